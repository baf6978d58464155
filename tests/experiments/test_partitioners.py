from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_pea.cli import app
from napari_pea.core.errors import InputError
from napari_pea.core.predict import Embedding
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments import partitioners
from napari_pea.experiments.partitioners import compare_partitioners, recipe_of
from napari_pea.experiments.recipes import Recipe
from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.settings import TrainingSettings

TRUTH = np.ones((8, 40, 40), np.int32)
TRUTH[:, 20:] = 2


class Known:
    """A model that sees which of two halves a voxel is in."""

    name, ndim = "known", 3
    recommended = SegmentationSettings(ranges=(1, 3), strides=1, min_size=5)

    def embed(self, image: np.ndarray, **_) -> Embedding:
        vectors = np.stack([image == 1, image == 2]).astype(np.float32)
        return Embedding(vectors, None)


def recipe(metric: str = "cremi") -> Recipe:
    item = LabelledImage(TRUTH, TRUTH, group="halves")
    model = ModelMetadata(name="known", architecture="resunet3d")
    return Recipe(model, TrainingSettings(), [], [item], metric=metric)


def test_every_partitioner_gets_the_bias_that_suits_it() -> None:
    seen = []
    outcomes = compare_partitioners(
        Known(), recipe(), biases=(0.0, 0.99), progress=lambda *counts: seen.append(counts)
    )
    assert [outcome.settings.partitioner for outcome in outcomes] == list(partitioners.COMPARED)
    assert seen == [(n, 6) for n in range(1, 7)]
    for outcome in outcomes:
        # With a bias of nearly 1 all would be one object.
        assert outcome.settings.bias == 0
        assert outcome.settings.ranges == (1, 3)
        assert outcome.scores["halves"]["cremi"] == pytest.approx(0, abs=1e-3)
        assert outcome.scores["halves"]["n_labels"] == 2
        assert outcome.seconds > 0


def test_recipes_of_volumes_are_known_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no recipe 'cells' .*: use nuclei-3d, neurons-em"):
        recipe_of("cells", tmp_path)


def test_the_command_prints_what_each_reaches(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(partitioners.RECIPES, "neurons-em", lambda data: recipe("aji"))
    monkeypatch.setattr("napari_pea.models.catalogue.load_model", lambda *_: Known())
    monkeypatch.setenv("COLUMNS", "200")
    command = ["benchmark", "partitioners", "--data", str(tmp_path)]
    lines = CliRunner().invoke(app, command).stdout.splitlines()
    assert any(line.split()[:2] == ["partitioner", "bias"] for line in lines)
    words = [line.split() for line in lines if line.strip()]
    assert [row[0] for row in words[-3:]] == ["mutex", "multicut", "average"]
    rows = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert [row["partitioner"] for row in rows] == ["mutex", "multicut", "average"]
    assert rows[0]["scores"]["halves"]["aji"] > 0.99
