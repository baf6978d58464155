"""What the user has becomes labels on disk, or one sentence that says why not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import zarr

from napari_pea import load_model
from napari_pea.core.errors import InputError
from napari_pea.core.networks.resunet3d import ResUNet3D
from napari_pea.core.settings import SegmentationSettings
from napari_pea.io.lazy import open_image
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.model import Model
from napari_pea.volumes.arrays import job_state, open_levels, segment_array
from napari_pea.volumes.job import VolumeOptions

SETTINGS = SegmentationSettings(ranges=(1, 3), strides=1, min_size=0, foreground_threshold=0.0)
OPTIONS = VolumeOptions((32, 32), (8, 8))


@pytest.fixture(scope="module")
def flat(tiny_model_path):
    return load_model(tiny_model_path, "cpu")


@pytest.fixture(scope="module")
def deep():
    torch.manual_seed(0)
    network = ResUNet3D(widths=(2, 3, 3, 3, 3), embedding_dim=4, pyramid=False)
    metadata = ModelMetadata(name="deep", architecture="resunet3d", recommended=SETTINGS)
    return Model(network, metadata, torch.device("cpu"))


def noise(*shape):
    return np.random.default_rng(0).integers(0, 4000, shape, dtype=np.uint16)


def test_one_plane_of_a_lazy_array_becomes_levels_that_open_lazily(tmp_path, flat):
    import dask.array

    image = dask.array.from_array(noise(3, 60, 70), chunks=(1, 32, 32))
    out = tmp_path / "out.zarr"
    assert job_state(out) == "none"
    result = segment_array(
        flat, image, out, SETTINGS, OPTIONS, index=(1,), pixel_size=(2.0, 0.5, 0.25)
    )
    assert job_state(out) == "finished"
    (level,) = result.levels()
    assert (level.shape, level.npartitions) == ((60, 70), 6)
    assert int(level.max().compute()) == result.n_objects > 0
    assert open_image(out).pixel_size == (0.5, 0.25)
    assert np.array_equal(level.compute(), open_levels(out)[0].compute())


def test_other_pixels_are_another_job(tmp_path, flat):
    image, out = noise(60, 70), tmp_path / "out.zarr"

    def stop(done, total, /):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_array(flat, image, out, SETTINGS, OPTIONS, progress=stop)
    assert job_state(out) == "unfinished"
    with pytest.raises(InputError, match="another image"):
        segment_array(flat, image[::-1], out, SETTINGS, OPTIONS, resume=True)
    segment_array(flat, image, out, SETTINGS, OPTIONS, resume=True)
    assert job_state(out) == "finished"


@pytest.mark.parametrize("shape", [(2, 40, 24), (9, 5, 7), (1, 24, 24)])
def test_volumes_thinner_than_the_network_sees_are_segmented(tmp_path, deep, shape):
    result = segment_array(
        deep, noise(*shape), tmp_path / "out.zarr", None, VolumeOptions((4, 16, 16), (3, 3, 3))
    )
    labels = result.levels()[0].compute()
    assert labels.shape == shape
    assert labels.min() == 1


def test_missing_chunks_are_refused_unless_they_are_empty_on_purpose(tmp_path, flat):
    path, out = tmp_path / "image.zarr", tmp_path / "out.zarr"
    array = zarr.create_array(path, shape=(60, 70), chunks=(30, 35), dtype=np.uint16)
    array[:30] = noise(30, 70)
    with pytest.raises(InputError, match=r"2 of 4 chunks of image.zarr are missing"):
        segment_array(flat, open_image(path), out, SETTINGS, OPTIONS, name="image.zarr")
    assert job_state(out) == "none"
    segment_array(flat, open_image(path), out, SETTINGS, OPTIONS, allow_missing=True)


def test_a_job_goes_on_once_a_damaged_chunk_is_mended(tmp_path, flat, monkeypatch):
    monkeypatch.setattr("napari_pea.volumes.sources.N_SAMPLED", 500)
    monkeypatch.setattr("napari_pea.volumes.sources.N_PLACES", 2)
    path, out = tmp_path / "image.zarr", tmp_path / "out.zarr"
    pixels = noise(400, 40)
    array = zarr.create_array(path, shape=pixels.shape, chunks=(40, 40), dtype=np.uint16)
    array[...] = pixels
    chunk = path / "c" / "5" / "0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:20])
    with pytest.raises(InputError, match=r"chunk c/5/0 of .*image.zarr cannot be decoded"):
        segment_array(flat, open_image(path), out, SETTINGS, VolumeOptions((40, 40), (4, 4)))
    chunk.write_bytes(whole)
    told = []
    segment_array(
        flat,
        open_image(path),
        out,
        SETTINGS,
        VolumeOptions((40, 40), (4, 4)),
        resume=True,
        progress=lambda done, total, /: told.append(done),
    )
    assert told[:2] == [0, 1]
    assert job_state(out) == "finished"


@pytest.mark.parametrize(
    ("shape", "axes", "message"),
    [
        ((3, 40, 40), "CYX", "give the index to take of C"),
        ((40, 40), "XY", "needs YX at the end"),
        ((40, 40), "TX", "needs YX at the end"),
    ],
)
def test_axes_that_do_not_fit_are_named(tmp_path, flat, shape, axes, message):
    with pytest.raises(InputError, match=message):
        segment_array(flat, noise(*shape), tmp_path / "out.zarr", axes=axes)


def test_an_axis_that_is_not_known_is_taken_for_the_depth(tmp_path, deep):
    small = VolumeOptions((4, 16, 16), (3, 3, 3))
    segment_array(deep, noise(3, 16, 16), tmp_path / "out.zarr", None, small, axes="QYX")
    with pytest.raises(InputError, match="needs ZYX at the end"):
        segment_array(deep, noise(3, 16, 16), tmp_path / "b.zarr", None, small, axes="TYX")
