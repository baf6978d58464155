from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.predict import Embedding
from napari_pea.core.scaling import (
    check_scale,
    scaled_image,
    scaled_labels,
    scaled_settings,
    unscaled_embedding,
)
from napari_pea.core.settings import SegmentationSettings


@pytest.mark.parametrize("scale", [0.4, 0.5, 2.0])
def test_image_and_labels_stay_together(scale: float) -> None:
    labels = np.zeros((60, 80), np.int32)
    labels[20:40, 10:50] = 7
    image = scaled_image(labels[None].astype(np.float32), scale)
    ids = scaled_labels(labels, scale)
    assert image.shape == (1, *ids.shape) == (1, round(60 * scale), round(80 * scale))
    # On outlines the image is between the values, nearer to that of the label.
    assert (np.abs(image[0] - ids) < 3.6).mean() > 0.98
    assert set(np.unique(ids)) == {0, 7}
    assert (ids > 0).sum() == pytest.approx((labels > 0).sum() * scale**2, rel=0.1)


def test_ids_of_any_kind_are_kept_exactly() -> None:
    labels = np.array([[2**31 - 2, -1], [-2, 0]], np.int32)
    assert (scaled_labels(labels, 2.0)[::2, ::2] == labels).all()
    assert scaled_labels(labels, 1.0) is labels


def test_shrinking_smooths() -> None:
    stripes = np.zeros((1, 64, 64), np.float32)
    stripes[:, :, ::2] = 1
    small = scaled_image(stripes, 0.25)
    np.testing.assert_allclose(small[:, 3:-3, 3:-3], 0.5, atol=0.05)


def test_an_embedding_comes_back_at_the_size_of_the_image() -> None:
    vectors = np.zeros((2, 10, 10), np.float32)
    vectors[0, :, :5], vectors[1, :, 5:] = 1, 1
    foreground = np.zeros((10, 10), np.float32)
    foreground[:, 5:] = 1
    found = unscaled_embedding(Embedding(vectors, foreground), (25, 24))
    assert found.shape == (25, 24)
    assert found.foreground is not None
    assert found.foreground.shape == (25, 24)
    # Nothing lies between two objects.
    assert set(np.unique(found.vectors)) == {0.0, 1.0}
    np.testing.assert_array_equal(found.vectors[0, 0], np.arange(24) < 12)
    np.testing.assert_allclose(found.foreground[:, 14:], 1, atol=1e-5)


def test_settings_in_pixels_follow_the_image() -> None:
    settings = SegmentationSettings(ranges=(1, 3, 9), strides=3, min_size=25, bias=0.1)
    larger = scaled_settings(settings, 2.0)
    assert larger == settings.updated(ranges=(1, 6, 18), strides=6, min_size=100)
    smaller = scaled_settings(larger, 0.1)
    assert smaller.ranges == (1, 2)
    assert smaller.strides == 2
    assert scaled_settings(settings.updated(strides=(1, 4)), 0.5).strides == (1, 2)
    assert scaled_settings(settings, 1) is settings


@pytest.mark.parametrize("scale", [0.0, -1.0, 50.0, float("nan")])
def test_senseless_scales_are_refused(scale: float) -> None:
    with pytest.raises(InputError, match="The scale lies between"):
        check_scale(scale)
