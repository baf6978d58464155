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
    centre_crop,
    check_annotated,
    known_affinities,
    make_batch,
)
from napari_pea.training.settings import ObjectiveSettings

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
    crop, ids = centre_crop(AnnotatedImage(image, labels), (side, side), (16, 16))
    assert ids.shape == expected
    np.testing.assert_array_equal(crop, np.stack([ids, -ids]))
    if min(shape) >= 16:
        middle = tuple(size // 2 for size in shape)
        assert ids[tuple(size // 2 for size in expected)] == pytest.approx(
            labels[middle], abs=shape[1] + 1
        )


@pytest.mark.parametrize(
    ("background", "affinities", "counted"),
    [
        ("object", [1, 0, 1, 0, 0], [1, 1, 1, 1, 1]),
        ("apart", [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]),
        ("ignored", [1, 0, 0, 0, 0], [1, 0, 0, 0, 1]),
    ],
)
def test_pairs_with_background_are_what_they_are_said_to_be(
    background: str, affinities: list[int], counted: list[int]
) -> None:
    row = np.array([[5, 5, 0, 0, 7, 8]], np.int32)
    found, valid = known_affinities(row, [(0, -1)], background)
    assert found[0, 0, 1:].tolist() == affinities
    assert valid[0, 0].tolist() == [False, *map(bool, counted)]


def test_what_is_not_annotated_counts_nowhere_whatever_background_is() -> None:
    row = np.array([[5, -1, 0, 0, -1, 5]], np.int32)
    for background in ("object", "apart", "ignored"):
        _, valid = known_affinities(row, [(0, -1)], background)
        assert valid[0, 0].tolist() == [False, False, False, background != "ignored", False, False]


def test_targets_of_volumes() -> None:
    labels = np.zeros((2, 32, 32), np.int32)
    labels[:, :, :16], labels[1, :, 16:] = 3, 4
    settings = ObjectiveSettings(
        ranges=(1, 4),
        z_ranges=(1, 2),
        connectivity=6,
        pyramid_ranges=(1, 1, 1, 1),
        background_pairs="apart",
        balance_classes=False,
    )
    crop = np.zeros((1, *labels.shape), np.float32), labels
    batch = make_batch([crop], settings, CPU, factors=(1, 2, 2))
    assert batch.images.is_contiguous(memory_format=torch.channels_last_3d)
    assert batch.target.offsets == (
        (-1, 0, 0), (0, -1, 0), (0, 0, -1), (-2, 0, 0), (0, -4, 0), (0, 0, -4),
    )  # fmt: skip
    across, _, beside = batch.target.affinities[0, :3].numpy()
    # The object 3 goes on in the section above, where object 4 has only background.
    assert across[1, 5].tolist() == [1] * 16 + [0] * 16
    assert beside[1, 5, 15:18].tolist() == [1, 0, 1]
    assert beside[0, 5, 15:18].tolist() == [1, 0, 0]
    # Two sections have no pair that is two apart.
    assert batch.target.weights[0, 3].sum() == 0
    # Sections are never made coarser, and each level has its direct neighbours only.
    assert [level.affinities.shape for level in batch.pyramid] == [
        (1, 3, 2, side, side) for side in (16, 8, 4, 2)
    ]
    assert batch.pyramid[3].affinities[0, 2, 1].tolist() == [[0, 0], [0, 0]]
    assert batch.pyramid[3].affinities[0, 0, 1].tolist() == [[1, 0], [1, 0]]


def test_the_pyramid_of_like_axes_halves_them_all() -> None:
    labels = np.ones((32, 32, 32), np.int32)
    settings = ObjectiveSettings(connectivity=6, ranges=(1,), pyramid_ranges=(1, 1, 1, 1))
    batch = make_batch([(labels[None].astype(np.float32), labels)], settings, CPU)
    assert [level.affinities.shape[2:] for level in batch.pyramid] == [
        (side,) * 3 for side in (16, 8, 4, 2)
    ]


def test_objects_are_parted_in_pairs_but_not_in_the_foreground() -> None:
    labels = np.ones((1, 16, 16), np.int32)
    labels[..., 8:] = 2
    settings = ObjectiveSettings(
        connectivity=6, ranges=(1,), widened=True, background_pairs="apart"
    )
    batch = make_batch([(labels[None].astype(np.float32), labels)], settings, CPU)
    assert batch.target.affinities[0, 1, 0, 5].tolist() == [1] * 7 + [0] * 2 + [1] * 7
    assert (batch.foreground == 1).all()
