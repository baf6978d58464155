"""`napari-pea volume`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_pea.core.networks.resunet3d import ResUNet3D
from napari_pea.io import write_labels
from napari_pea.io.lazy import open_image
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import save_model


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "slide.zarr"
    write_labels(path, rng.integers(0, 4000, (90, 120), dtype=np.uint16), pixel_size=(0.5, 0.5))
    return path


def test_labels_are_written_with_their_pixel_size(run, slide, tmp_path, tiny_model_path):
    out = tmp_path / "out.zarr"
    options = ["-m", tiny_model_path, "--foreground-threshold", 0, "--min-size", 0]
    options += ["--no-fill-holes", "--no-merge-fragments"]
    options += ["--block", "64,64", "--halo", "8,8", "--workers", 2, "--ranges", "1,3", "--json"]
    report = json.loads(run("volume", slide, "-o", out, *options).stdout)
    labels = open_image(out)
    assert labels.shape == (90, 120)
    assert labels.pixel_size == (0.5, 0.5)
    found = labels[...]
    assert (report["objects"], report["blocks"]) == (found.max(), 4)
    assert (found > 0).all()
    settings = zarr.open_group(out, mode="r").attrs["napari_pea"]["settings"]
    assert settings["ranges"] == [1, 3]
    assert (settings["fill_holes"], settings["merge_fragments"]) == (False, False)


def test_a_channel_can_be_taken(run, tmp_path, tiny_model_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "many.npy", rng.random((3, 40, 50)))
    out = tmp_path / "out.zarr"
    run("volume", tmp_path / "many.npy", "-o", out, "-m", tiny_model_path, "--index", 2)
    assert open_image(out).shape == (40, 50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--index", "99"], "number 99 cannot be taken of axis 0"),
        (["--index", "x"], "--index takes whole numbers"),
        (["--index", "0"], "choose one channel or time point"),
        (["--pixel-size", "1,zero"], "--pixel-size takes numbers above 0"),
        (["--pixel-size", "1"], "--pixel-size takes 2 numbers"),
        (["--block", "64"], "needs 2 sides of a block"),
        (["--scheduler", "tcp://127.0.0.1:1"], "does not answer"),
    ],
)
def test_bad_input_is_named(fails, slide, tmp_path, tiny_model_path, options, message, monkeypatch):
    monkeypatch.setattr("napari_pea.volumes.workers.PATIENCE", "1s")
    words = ["volume", slide, "-o", tmp_path / "out.zarr", "-m", tiny_model_path, *options]
    assert message in fails(*words)


@pytest.fixture(scope="module")
def deep_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    arguments = {"widths": [2, 3, 3, 3, 3], "embedding_dim": 4, "pyramid": False}
    metadata = ModelMetadata(name="deep", architecture="resunet3d", arguments=arguments)
    path = tmp_path_factory.mktemp("models") / "deep.pea.safetensors"
    return save_model(path, ResUNet3D(**arguments), metadata)


def test_voxels_of_unknown_size_are_told(run, tmp_path, deep_model_path):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).random((4, 20, 20)))
    words = ["volume", tmp_path / "v.npy", "-o", tmp_path / "a.zarr", "-m", deep_model_path]
    assert "does not say how large its voxels are" in run(*words).stderr
    words[3] = tmp_path / "b.zarr"
    assert "voxels" not in run(*words, "--pixel-size", "2,0.5,0.5").stderr
    assert open_image(tmp_path / "b.zarr").pixel_size == (2.0, 0.5, 0.5)


def test_missing_chunks_are_refused_or_allowed(fails, run, tmp_path, tiny_model_path):
    path, out = tmp_path / "image.zarr", tmp_path / "out.zarr"
    array = zarr.create_array(path, shape=(60, 60), chunks=(30, 30), dtype=np.uint16)
    array[:30] = np.random.default_rng(0).integers(1, 9, (30, 60))
    words = ["volume", path, "-o", out, "-m", tiny_model_path]
    assert "2 of 4 chunks" in fails(*words)
    run(*words, "--allow-missing")
    assert open_image(out).shape == (60, 60)


def test_the_image_is_never_replaced_by_its_labels(fails, slide, tiny_model_path):
    said = fails("volume", slide, "-o", slide, "-m", tiny_model_path, "--overwrite")
    assert "is the image itself" in said
    assert open_image(slide)[...].max() > 0
