from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_pea.core.affinity import label_affinities
from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.training.data import (
    AnnotatedImage,
    CropSampler,
    centre_crop,
    check_annotated,
    make_batch,
)
from napari_pea.training.settings import ObjectiveSettings, TrainingSettings

CPU = torch.device("cpu")


def test_a_batch_holds_images_foreground_and_all_targets(make_discs) -> None:
    items = [make_discs(seed, side=64) for seed in range(3)]
    settings = ObjectiveSettings(ranges=(1, 3, 5), balance_classes=False)
    batch = make_batch([(item.image, item.labels) for item in items], settings, CPU)
    assert batch.images.shape == (3, 1, 64, 64)
    assert batch.images.dtype == torch.float32
    assert batch.foreground.dtype == torch.int64
    for index, item in enumerate(items):
        np.testing.assert_array_equal(batch.images[index].numpy(), item.image)
        np.testing.assert_array_equal(batch.foreground[index].numpy(), item.labels > 0)
        affinities, valid = label_affinities(item.labels, Neighborhood((1, 3, 5)).offsets)
        np.testing.assert_array_equal(batch.target.affinities[index].numpy(), affinities)
        np.testing.assert_array_equal(batch.target.weights[index].numpy() > 0, valid)


def test_pyramid_targets_count_pixels_of_their_level(make_discs) -> None:
    item = make_discs(0, side=64)
    settings = ObjectiveSettings(ranges=(1, 3, 5, 9))
    batch = make_batch([(item.image, item.labels)], settings, CPU)
    assert [level.affinities.shape for level in batch.pyramid] == [
        (1, 8, 32, 32), (1, 6, 16, 16), (1, 4, 8, 8), (1, 2, 4, 4),
    ]  # fmt: skip
    for level, target in enumerate(batch.pyramid, start=1):
        step = 2**level
        coarse = item.labels[step // 2 :: step, step // 2 :: step]
        affinities, _ = label_affinities(coarse, target.offsets)
        np.testing.assert_array_equal(target.affinities[0].numpy(), affinities)


def test_classes_are_balanced_on_request(make_discs) -> None:
    item = make_discs(0, side=64)
    weights = [
        make_batch(
            [(item.image, item.labels)], ObjectiveSettings(balance_classes=balance), CPU
        ).target.weights
        for balance in (False, True)
    ]
    assert len(torch.unique(weights[0][0, 0])) == 2
    assert weights[1].sum() > weights[0].sum()


def test_what_cannot_be_trained_on_is_named(make_discs) -> None:
    item = make_discs(0)
    check_annotated([item, make_discs(1, side=40)], 1)
    with pytest.raises(InputError, match="There are no training images"):
        check_annotated([], 1)
    with pytest.raises(
        InputError, match="takes images with 3 channels, but training image 0 has 1"
    ):
        check_annotated([item], 3)
    two = replace(item, image=np.concatenate([item.image] * 2))
    with pytest.raises(InputError, match="validation image 1 has 2"):
        check_annotated([item, two], 1, "validation")
    small = replace(item, labels=item.labels[:-1])
    with pytest.raises(InputError, match=r"image 1 differ in size: \(96, 96\) and \(95, 96\)"):
        check_annotated([item, small], 1)
    empty = replace(item, labels=np.zeros_like(item.labels))
    with pytest.raises(InputError, match="No object is labelled in the training data"):
        check_annotated([empty, empty], 1)
    # One labelled image is enough.
    check_annotated([empty, item], 1)


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        ((100, 64), 256, (96, 64)),
        ((100, 200), 64, (64, 64)),
        ((16, 31), 256, (16, 16)),
        ((7, 40), 256, (16, 32)),
        ((1, 1), 256, (16, 16)),
    ],
)
def test_centre_crops_fit_the_network(
    shape: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    labels = np.arange(1, np.prod(shape) + 1, dtype=np.int32).reshape(shape)
    image = np.stack([labels, -labels]).astype(np.float32)
    crop, ids = centre_crop(AnnotatedImage(image, labels), side)
    assert ids.shape == expected
    np.testing.assert_array_equal(crop, np.stack([ids, -ids]))
    if min(shape) >= 16:
        middle = tuple(size // 2 for size in shape)
        assert ids[tuple(size // 2 for size in expected)] == pytest.approx(
            labels[middle], abs=shape[1] + 1
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
