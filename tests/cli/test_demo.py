from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import napari
import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel

import napari_pea
from napari_pea import sample_data
from napari_pea.io import read_labels
from napari_pea.sample_data import Sample, load_sample

if TYPE_CHECKING:
    from typer.testing import Result


@pytest.fixture(autouse=True)
def sample(monkeypatch: pytest.MonkeyPatch) -> Sample:
    """A corner of the sample: enough here, and quicker."""
    whole = load_sample("nuclei")
    corner = replace(whole, image=whole.image[:96, :128], truth=whole.truth[:96, :128])
    monkeypatch.setattr(sample_data, "load_sample", lambda name: corner)
    return corner


def test_demo_segments_the_sample(
    run: Callable[..., Result], sample: Sample, tmp_path: Path, tiny_model_path: Path
) -> None:
    folder = tmp_path / "demo"
    result = run("demo", "-o", folder, "--model", tiny_model_path)
    assert result.exit_code == 0, result.output
    expected = napari_pea.segment(sample.image, tiny_model_path)
    np.testing.assert_array_equal(read_labels(folder / "nuclei_labels.tif"), expected.labels)
    assert len(pd.read_csv(folder / "nuclei_table.csv")) == len(expected.table)
    assert (folder / "nuclei.png").read_bytes() == sample.image_path.read_bytes()
    assert (folder / "nuclei_truth.png").read_bytes() == sample.truth_path.read_bytes()
    picture = imagecodecs.png_decode((folder / "nuclei_overview.png").read_bytes())
    assert picture.shape[1] > 3 * picture.shape[0] / 2
    assert f"{len(expected.table)} nuclei" in result.stdout
    for path in folder.iterdir():
        assert path.name in result.stdout


def test_a_folder_that_cannot_be_made(
    fails: Callable[..., str], run: Callable[..., Result], tmp_path: Path, tiny_model_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = run("demo", "-o", tmp_path / "file", "--model", tiny_model_path)
    assert result.exit_code == 2
    assert "cannot be written to" in result.stderr
    assert "There is no model" in fails("demo", "--model", "elephants", "-o", tmp_path / "out")


def test_result_can_be_shown_in_napari(
    run: Callable[..., Result],
    tmp_path: Path,
    tiny_model_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = []

    def viewer(**options: str) -> ViewerModel:
        shown.append(ViewerModel(**options))
        return shown[-1]

    monkeypatch.setattr(napari, "Viewer", viewer)
    monkeypatch.setattr(napari, "run", lambda: None)
    result = run("demo", "-o", tmp_path, "--model", tiny_model_path, "--show")
    assert result.exit_code == 0, result.output
    layers = shown[0].layers
    assert [layer.name for layer in layers] == ["nuclei", "nuclei embedding", "nuclei labels"]
    np.testing.assert_array_equal(layers[2].data, read_labels(tmp_path / "nuclei_labels.tif"))
    assert set(layers[2].features["index"]) == set(np.unique(layers[2].data)) - {0}
