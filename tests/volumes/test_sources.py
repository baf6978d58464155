"""The embedding of a region is that of the whole image."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from napari_pea import load_model
from napari_pea.core.errors import InputError
from napari_pea.volumes import sources
from napari_pea.volumes.sources import ModelSource, Taken


@pytest.fixture(scope="module")
def model(tiny_model_path):
    return load_model(tiny_model_path, "cpu")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 4000, (320, 300), dtype=np.uint16)


@pytest.mark.parametrize(
    "region",
    [
        (slice(0, 40), slice(0, 300)),
        (slice(110, 200), slice(101, 130)),
        (slice(300, 320), slice(295, 300)),
    ],
)
def test_a_region_is_embedded_as_in_the_whole_image(model, image, region):
    whole = model.embed(image)
    found = ModelSource(model, image)(region)
    np.testing.assert_allclose(found.vectors, whole.vectors[(slice(None), *region)], atol=1e-4)
    np.testing.assert_allclose(found.foreground, whole.foreground[region], atol=1e-4)


def test_intensities_of_large_images_come_from_places_all_over_them(model, image, monkeypatch):
    near = ModelSource(model, image)._limits
    monkeypatch.setattr(sources, "N_SAMPLED", 20_000)
    assert ModelSource(model, image)._limits == pytest.approx(near, rel=0.1, abs=20)
    y, x = np.mgrid[:400, :500]
    slope = (y + x).astype(np.float32)
    low, high = ModelSource(model, slope)._limits
    assert low < 200
    assert high > 700
    empty = np.zeros((3000, 200), np.uint16)
    empty[1510, 7] = 9  # at no place that was looked at: no reason to refuse it
    assert ModelSource(model, empty)._limits == (0, 0)


def test_few_chunks_are_read_for_intensities(monkeypatch):
    class Chunks:
        """Takes note of the chunks of 16 x 64 x 64 that are read."""

        shape = (128, 1024, 1024)
        chunks = (16, 64, 64)

        def __init__(self):
            self.read = set()

        def __getitem__(self, box):
            places = [
                range(part.start // side, (part.stop - 1) // side + 1)
                for part, side in zip(box, (16, 64, 64), strict=True)
            ]
            self.read.update(product(*places))
            return np.zeros([part.stop - part.start for part in box], np.uint8)

    array = Chunks()
    monkeypatch.setattr(sources, "N_PLACES", 32)
    monkeypatch.setattr(sources, "N_SAMPLED", 32 * 20**3)
    assert sources._sampled(array).size == pytest.approx(32 * 20**3, rel=0.05)
    assert 32 <= len(array.read) <= 0.2 * 8 * 16 * 16
    assert len({index[0] for index in array.read}) == 8


def test_pages_are_read_once_for_intensities():
    class Pages:
        """A stack of files, each of which is read as a whole."""

        shape = (300, 2048, 2048)
        n_read = 0

        def __getitem__(self, box):
            self.n_read += box[0].stop - box[0].start
            return np.zeros([part.stop - part.start for part in box], np.uint8)

    pages = Pages()
    sources._sampled(pages)
    assert pages.n_read <= 128


def test_identity_changes_with_the_weights_and_the_image(model, image):
    first = ModelSource(model, image, "a").identity
    assert first == ModelSource(model, image, "a").identity
    assert first != ModelSource(model, image, "b").identity
    parameter = next(model.network.parameters())
    kept = parameter.detach().clone()
    with torch.no_grad():
        parameter += 1
    try:
        assert first != ModelSource(model, image, "a").identity
    finally:
        with torch.no_grad():
            parameter.copy_(kept)


def test_images_that_cannot_be_used_are_named(model, image):
    with pytest.raises(InputError, match="constant"):
        ModelSource(model, np.zeros((40, 40)))
    with pytest.raises(InputError, match="segments 2D images"):
        ModelSource(model, image[None])
    with pytest.raises(InputError, match="resizes its images"):
        ModelSource(model.with_scale(0.5), image)
    with pytest.raises(InputError, match="no finite pixel"):
        ModelSource(model, np.full((40, 40), np.nan))
    spoiled = image.astype(float)
    spoiled[100, 100] = np.nan
    source = ModelSource(model, spoiled)
    with pytest.raises(InputError, match="NaN or infinite pixels in"):
        source((slice(90, 120), slice(90, 120)))


def test_axes_in_front_are_taken_at_one_place(image):
    stack = np.stack([image, image + 1])
    taken = Taken(stack, (1,))
    assert taken.shape == image.shape
    assert np.array_equal(taken[3:5, 7], image[3:5, 7] + 1)
    assert np.array_equal(taken[4], image[4] + 1)
