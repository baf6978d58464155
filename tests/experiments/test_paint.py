from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk

from napari_pea.core.errors import InputError
from napari_pea.experiments.paint import STROKE_DISTANCE, paint, ragged


@pytest.fixture(scope="module")
def truths() -> list[np.ndarray]:
    """Three images with discs in a grid, and a speck."""
    images = []
    for rows in (2, 3, 4):
        labels = np.zeros((240, 240), np.uint16)
        for number in range(rows * 4):
            y, x = divmod(number, 4)
            labels[disk((30 + 55 * y, 30 + 55 * x), 18)] = 3 * number + 2
        labels[237:239, 237:239] = 1
        images.append(labels)
    return images


def test_the_wanted_number_of_objects_is_painted_inside(truths) -> None:
    done = paint(truths, 12, seed=1)
    painted = [set(np.unique(item.labels)) - {0} for item in done]
    assert sum(map(len, painted)) == 12
    for item, truth in zip(done, truths, strict=True):
        inside = item.labels > 0
        np.testing.assert_array_equal(item.labels[inside], truth[inside])
        for number in set(np.unique(item.labels)) - {0}:
            share = (item.labels == number).sum() / (truth == number).sum()
            assert 0.4 < share < 0.98
            assert ndimage.label(item.labels == number)[1] == 1
    assert all(1 not in numbers for numbers in painted)  # specks are left out


def test_strokes_stay_on_the_background(truths) -> None:
    for item, truth in zip(paint(truths, 20, seed=1), truths, strict=True):
        assert item.background.sum() > 200
        # What is beside a stroke's pixel is no object either.
        near = ndimage.binary_dilation(item.background, iterations=STROKE_DISTANCE - 1)
        assert not truth[near].any()


def test_the_seed_decides_and_more_paint_holds_less(truths) -> None:
    few, same, other = paint(truths, 6, 1), paint(truths, 6, 1), paint(truths, 6, 2)
    more = paint(truths, 18, 1)
    for one, again, larger in zip(few, same, more, strict=True):
        np.testing.assert_array_equal(one.labels, again.labels)
        np.testing.assert_array_equal(one.background, again.background)
        inside = one.labels > 0
        np.testing.assert_array_equal(larger.labels[inside], one.labels[inside])
    assert any((a.labels != b.labels).any() for a, b in zip(few, other, strict=True))


def test_untouched_images_stay_empty(truths) -> None:
    done = paint(truths, 1, seed=1)
    assert sum(item.labels.any() for item in done) == 1
    assert [item.background.any() for item in done] == [item.labels.any() for item in done]
    with pytest.raises(InputError, match="There are 36 objects to paint, not 37"):
        paint(truths, 37, seed=1)


def test_thin_objects_are_painted_too() -> None:
    line = np.zeros((20, 60), bool)
    line[9:12] = True
    painted = ragged(line, np.random.default_rng(0))
    assert painted.any()
    assert not painted[~line].any()
