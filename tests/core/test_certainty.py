from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_pea.core.certainty import certainty, pixel_variance, steadiness, sureness
from napari_pea.core.errors import InputError
from napari_pea.core.field import AffinityField


def test_certainty_weighs_foreground_and_margin() -> None:
    table = pd.DataFrame({"foreground": [1.0, 0.5, 1.0], "margin": [1.0, 1.0, 0.0]})
    assert certainty(table) == pytest.approx([1.0, 0.6, 0.8])


def test_an_object_that_touches_no_other_stands_out_best() -> None:
    table = pd.DataFrame({"foreground": [0.9, 0.9], "margin": [np.nan, 1.0]})
    values = certainty(table)
    assert values[0] == values[1] == pytest.approx(0.92)


def test_what_is_not_known_does_not_count() -> None:
    assert certainty(pd.DataFrame({"margin": [0.25, -0.5]})).tolist() == [0.25, 0.0]
    assert certainty(pd.DataFrame({"foreground": [0.5]})) == pytest.approx([0.6])
    assert certainty(pd.DataFrame({"label": [1]})) is None


def test_averaged_masks_that_agree_make_an_object_sure() -> None:
    table = pd.DataFrame({"variance": [0.0, 0.25, 0.1, 0.3, np.nan]})
    assert steadiness(table) == pytest.approx([1, 0, 0.6, 0, 1])
    assert sureness(table, "variance") == pytest.approx([1, 0, 0.6, 0, 1])


def test_without_a_variance_objects_are_sorted_by_what_there_is() -> None:
    table = pd.DataFrame({"foreground": [0.5], "margin": [0.5]})
    assert steadiness(table) is None
    assert sureness(table, "variance") == pytest.approx(certainty(table))


def test_a_pixel_is_as_uncertain_as_its_pairs() -> None:
    variances = np.zeros((2, 2, 3), np.float32)
    variances[0, 0, 1] = 0.2  # with the pixel to the left
    variances[1, 1, 1] = 0.1  # with the pixel above
    values = np.ones_like(variances)
    told = AffinityField(values, ((0, -1), (-1, 0)), variances=variances)
    found = pixel_variance(told, told.offsets)
    # Corners have two pairs, the pixels between them three.
    assert found == pytest.approx(np.array([[0.1, 0.1, 0], [0, 0.1 / 3, 0]]))
    first = pixel_variance(told, told.offsets, ends=False)
    assert first == pytest.approx(np.array([[0, 0.2, 0], [0, 0.05, 0]]))
    # No pair of this offset lies in the image.
    far = AffinityField(values[:1], ((0, -3),), variances=variances[:1])
    assert not pixel_variance(far, far.offsets).any()


def test_a_model_without_variances_is_told_apart() -> None:
    told = AffinityField(np.ones((1, 2, 2), np.float32), ((0, -1),))
    with pytest.raises(InputError, match="does not tell how uncertain"):
        pixel_variance(told, told.offsets)
