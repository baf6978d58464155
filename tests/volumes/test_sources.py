"""The embedding of a region is that of the whole image."""

from __future__ import annotations

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


def test_intensities_of_large_images_come_from_slabs_of_them(model, image, monkeypatch):
    near = ModelSource(model, image)._limits
    monkeypatch.setattr(sources, "N_SAMPLED", 20_000)
    sampled = ModelSource(model, image)._limits
    assert sampled == pytest.approx(near, rel=0.1, abs=20)
    empty = np.zeros((3000, 200), np.uint16)
    empty[1510, 7] = 9  # not in any slab: no reason to refuse it
    assert ModelSource(model, empty)._limits == (0, 0)


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
