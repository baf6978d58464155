from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.training.annotation import UNANNOTATED
from napari_pea.training.data import AnnotatedImage
from napari_pea.training.sampling import CropSampler
from napari_pea.training.settings import ObjectiveSettings, TrainingSettings

VOLUMES = TrainingSettings(
    crop=32, crop_depth=16, batch_size=4, objective=ObjectiveSettings(connectivity=6)
)


def test_a_draw_depends_on_its_number_only(make_discs) -> None:
    settings = TrainingSettings(crop=32, batch_size=3)
    items = [make_discs(seed) for seed in range(4)]
    first, second = CropSampler(items, settings), CropSampler(items, settings)
    for _ in first.crops(0):
        pass
    later, directly = list(first.crops(7)), list(second.crops(7))
    assert len(later) == 3
    for (image, labels), (same_image, same_labels) in zip(later, directly, strict=True):
        np.testing.assert_array_equal(image, same_image)
        np.testing.assert_array_equal(labels, same_labels)
    assert any((one[0] != other[0]).any() for one, other in zip(later, first.crops(8), strict=True))
    assert (later[0][0] != later[1][0]).any()
    reseeded = CropSampler(items, replace(settings, seed=1))
    assert (next(reseeded.crops(7))[0] != later[0][0]).any()


def test_images_are_drawn_by_weight() -> None:
    items = [
        AnnotatedImage(
            np.zeros((1, 20, 20), np.float32), np.full((20, 20), number, np.int32), weight
        )
        for number, weight in ((1, 1.0), (2, 3.0), (3, 0.0))
    ]
    sampler = CropSampler(items, TrainingSettings(crop=16, batch_size=200))
    drawn = np.bincount([labels[0, 0] for _, labels in sampler.crops(0)], minlength=4)
    assert drawn[3] == 0
    assert drawn[2] / drawn.sum() == pytest.approx(0.75, abs=0.1)


def test_crops_of_volumes_have_the_depth_asked_for() -> None:
    labels = np.arange(20 * 40 * 50, dtype=np.int32).reshape(20, 40, 50)
    item = AnnotatedImage(labels[None].astype(np.float32), labels)
    sampler = CropSampler([item], VOLUMES, divisor=(1, 16, 16))
    assert sampler.factors == (1, 2, 2)
    shapes = {(image.shape, ids.shape) for image, ids in sampler.crops(0)}
    assert shapes == {((1, 16, 32, 32), (16, 32, 32))}
    assert CropSampler([item], VOLUMES, divisor=(16, 16, 16)).factors == (2, 2, 2)


def test_crops_of_partly_annotated_volumes_show_what_is_annotated() -> None:
    labels = np.full((40, 90, 90), UNANNOTATED, np.int32)
    labels[30:33, 70:74, 10:14] = 6
    item = AnnotatedImage(np.zeros((1, *labels.shape), np.float32), labels)
    for divisor in ((1, 16, 16), (16, 16, 16)):
        sampler = CropSampler([item], VOLUMES, divisor=divisor)
        assert all((ids == 6).any() for n in range(5) for _, ids in sampler.crops(n))


def test_crops_that_a_network_cannot_halve_are_named() -> None:
    item = AnnotatedImage(np.zeros((1, 40, 40, 40), np.float32), np.ones((40, 40, 40), np.int32))
    shallow = replace(VOLUMES, crop_depth=18)
    CropSampler([item], shallow, divisor=(1, 16, 16))
    with pytest.raises(InputError, match=r"crop_depth must be a multiple of 16 .*, not 18"):
        CropSampler([item], shallow, divisor=(16, 16, 16))
    with pytest.raises(InputError, match="takes 2D images, but connectivity 6 is one of 3D"):
        CropSampler([item], VOLUMES, divisor=(16, 16))
