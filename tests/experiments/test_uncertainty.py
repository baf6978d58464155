from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_pea.core.errors import Cancelled
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.uncertainty import (
    SIGNS,
    VARIANCE_SIGNS,
    area_under_curve,
    measure_uncertainty,
    middle_of,
)
from napari_pea.training.labelled import LabelledImage


def test_area_under_curve_counts_pairs() -> None:
    wrong = np.array([True, True, False, False, False])
    # Of six pairs, four are in order and one is a tie.
    assert area_under_curve([0.1, 0.5, 0.5, 0.9, 0.3], wrong) == pytest.approx(4.5 / 6)
    assert area_under_curve([0.0, 0.1, 1, 1, 1], wrong) == 1.0


def test_nothing_to_compare_is_the_surest() -> None:
    wrong = np.array([True, False])
    assert area_under_curve([0.9, np.nan], wrong) == 1.0
    assert area_under_curve([np.nan, np.nan], wrong) == 0.5
    assert np.isnan(area_under_curve([0.1, 0.2], np.array([True, True])))


class Model:
    """Knows what every pixel is: its brightness."""

    name = "brightness"
    ndim = 2
    recommended = SegmentationSettings(ranges=(1, 2), strides=1, min_size=1, merge_fragments=False)

    def embed(self, image: np.ndarray, **_: Any) -> Embedding:
        codes = np.moveaxis(np.eye(8, dtype=np.float32)[image], -1, 0)
        return Embedding(codes, np.where(image > 0, 0.5 + image / 20, 0.0).astype(np.float32))


@pytest.fixture
def images() -> list[LabelledImage]:
    """Five squares in a row; those of three are right, and the darkest two wrong."""
    image = np.zeros((6, 26), dtype=np.int64)
    truth = np.zeros(image.shape, dtype=np.int32)
    for n in range(1, 6):
        image[1:5, 5 * n - 4 : 5 * n] = n
        truth[1:5, 5 * n - 4 : 5 * n] = 0 if n < 3 else n
    return [LabelledImage(image, truth, "one", 1.0, group) for group in ("here", "there", "here")]


def test_every_group_is_measured(images: list[LabelledImage]) -> None:
    steps: list[tuple[int, int]] = []
    found = measure_uncertainty(
        Model(), images, progress=lambda done, total: steps.append((done, total))
    )
    assert list(found) == ["here", "there"]
    assert (found["here"].n_objects, found["here"].n_wrong) == (10, 4)
    assert (found["there"].n_objects, found["there"].n_wrong) == (5, 2)
    assert found["here"].areas == found["there"].areas
    assert list(found["here"].areas) == list(SIGNS)
    # The darker, the less certain; nothing touches, and no pixels of one object differ.
    assert found["here"].areas["foreground"] == found["here"].areas["certainty"] == 1
    assert found["here"].areas["outside"] == found["here"].areas["inside"] == 0.5
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_averaged_masks_tell_too(images: list[LabelledImage], known_field: Any) -> None:
    (item, *_) = images
    doubtful = known_field(doubtful=2)  # one of the two that are wrong
    areas = measure_uncertainty(doubtful, [item])[item.group].areas
    assert list(areas) == [*SIGNS, *VARIANCE_SIGNS]
    assert areas["outline variance"] == (3 + 3 / 2) / 6
    assert areas["object variance"] >= areas["outline variance"]  # what is beside it gets some
    cannot = known_field(can_average=False)
    assert list(measure_uncertainty(cannot, [item])[item.group].areas) == list(SIGNS)


def test_the_middle_has_image_and_truth(images: list[LabelledImage]) -> None:
    part = middle_of(images[0], 10)
    assert part.image.shape == part.labels.shape == (6, 10)
    np.testing.assert_array_equal(part.image, images[0].image[:, 8:18])
    np.testing.assert_array_equal(part.labels, images[0].labels[:, 8:18])


def test_measuring_can_be_cancelled(images: list[LabelledImage]) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        measure_uncertainty(Model(), images, cancel=token)
