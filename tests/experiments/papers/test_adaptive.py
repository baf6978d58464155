from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.networks import build_network
from napari_pea.core.progress import CancelToken
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.papers import neuron_benchmarks
from napari_pea.experiments.papers.adaptive import adaptive_settings, measure_adaptive
from napari_pea.experiments.papers.benchmarks import made_up
from napari_pea.models.catalogue import load_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.model import Model

IMAGES = made_up().held_out


@pytest.fixture
def model(tiny_model_path: Path) -> Model:
    return load_model(tiny_model_path, "cpu")


def test_ranges_are_those_of_the_paper_in_pixels_of_the_network(model: Model) -> None:
    plain = adaptive_settings(model)
    assert list(plain) == ["five-4", "five-8", "nine-8", "recommended", "recommended-otherwise"]
    assert plain["recommended-otherwise"] == model.recommended.updated(connectivity=8)
    assert plain["five-8"].ranges == (1, 3, 5, 9, 27)
    assert plain["five-8"].connectivity == 8
    assert len(plain["nine-8"].ranges) == 9
    assert plain["five-4"].updated(ranges=(1,), connectivity=None) == model.recommended.updated(
        ranges=(1,)
    )
    # Images are shrunk to half: pixels of the network are two of the image.
    assert adaptive_settings(model.with_scale(0.5))["five-4"].ranges == (1, 6, 10, 18, 54)


@dataclass
class Masks:
    """What is known of a model whose pairs are fixed."""

    offsets: tuple[tuple[int, int], ...]
    recommended = SegmentationSettings(ranges=(1, 4), strides=2)
    name, ndim, field = "masks", 2, None


def test_models_of_fixed_pairs_are_compared_on_the_pairs_they_know() -> None:
    straight = ((0, -1), (-1, 0), (-4, 0), (0, 4), (-8, 0), (0, -8))
    found = adaptive_settings(Masks(straight))
    assert list(found) == ["all-4", "recommended"]
    assert found["all-4"].ranges == (1, 4, 8)
    diagonal = tuple((-step, sign * step) for step in (1, 4) for sign in (-1, 1))
    assert list(adaptive_settings(Masks((*straight, *diagonal)))) == [
        "all-4", "recommended", "recommended-otherwise",
    ]  # fmt: skip
    wide = Masks((*straight, *diagonal))
    wide.recommended = wide.recommended.updated(connectivity=8)
    assert adaptive_settings(wide)["recommended-otherwise"].connectivity == 4


def test_every_choice_is_told_with_its_paired_difference(model: Model, tmp_path: Path) -> None:
    empty = replace(IMAGES[0], labels=np.zeros_like(IMAGES[0].labels), name="empty")
    report = measure_adaptive(model, [*IMAGES, empty], tmp_path)
    text = report.markdown()
    assert "each of the 2 images" in text  # the empty one tells nothing
    assert [line.title for line in report.lines] == [
        "1 3 5 9 27, 4 neighbours",
        "1 3 5 9 27, 8 neighbours",
        "nine ranges, 8 neighbours",
        "recommended by `tiny`",
        "the same ranges, other neighbours",
    ]
    assert report.lines[2].paper == {"sbd": 0.774, "dic": 1.55}
    stored = json.loads((tmp_path / "table-7-tiny-images.json").read_text())["images"]
    values = [
        stored[item.name]["five-8"]["aji"] - stored[item.name]["five-4"]["aji"] for item in IMAGES
    ]
    error = abs(values[0] - values[1]) / 2
    assert report.lines[1].extra["difference in AJI"] == f"{np.mean(values):+.4f} ± {error:.4f}"


def test_volumes_are_told_to_be_scored_as_their_ids_say(tmp_path: Path) -> None:
    metadata = ModelMetadata(
        name="tiny-3d", architecture="resunet3d", arguments={"widths": (4,) * 5, "isotropic": True}
    )
    network = build_network(metadata.architecture, metadata.arguments).eval()
    volumes = neuron_benchmarks.made_up().held_out
    report = measure_adaptive(
        Model(network, metadata, torch.device("cpu")), volumes, tmp_path, metric="cremi",
        shown=("cremi",),
    )  # fmt: skip
    assert "not by connected components as in table 1 of LSIM" in report.markdown()


def test_what_was_measured_is_not_measured_again(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = CancelToken()
    with pytest.raises(Cancelled):
        measure_adaptive(
            model, IMAGES, tmp_path, cancel=token, progress=lambda done, _: done and token.cancel()
        )
    embedded: list[int] = []
    monkeypatch.setattr(
        model, "embed", lambda *args, **kw: embedded.append(1) or Model.embed(model, *args, **kw)
    )
    again = measure_adaptive(model, IMAGES, tmp_path)
    assert len(embedded) == 1
    assert again == measure_adaptive(model, IMAGES, tmp_path / "whole")


def test_figures_of_another_model_are_not_mixed_in(model: Model, tmp_path: Path) -> None:
    measure_adaptive(model, IMAGES[:1], tmp_path)
    with pytest.raises(InputError, match="of another version of 'tiny'"):
        measure_adaptive(model.with_scale(0.9), IMAGES, tmp_path)
    path = tmp_path / "table-7-tiny-images.json"
    other = replace(IMAGES[1], name=IMAGES[0].name)
    with pytest.raises(InputError, match="of another image called 'discs 2'"):
        measure_adaptive(model, [other], tmp_path)
    # Records of old say nothing of pixels.
    record = json.loads(path.read_text())
    del record["pixels"]
    path.write_text(json.dumps(record))
    measure_adaptive(model, IMAGES[:1], tmp_path)
    path.write_text("{")
    with pytest.raises(InputError, match="cannot be read: delete it"):
        measure_adaptive(model, IMAGES, tmp_path)
