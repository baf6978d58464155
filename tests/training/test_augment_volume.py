from __future__ import annotations

import numpy as np
import pytest

from napari_pea.training.annotation import UNANNOTATED
from napari_pea.training.augment_volume import augmented_block
from napari_pea.training.settings import AugmentationSettings

STILL = AugmentationSettings(
    geometric_probability=0, intensity_probability=0, blur_probability=0, noise_probability=0
)


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    """Return a volume in which every voxel has an id of its own, from 1."""
    return np.arange(1, np.prod(shape) + 1, dtype=np.int32).reshape(shape)


def cut(labels: np.ndarray, shape=(8, 16, 16), settings=STILL, seed=0, **options):
    image = labels[None].astype(np.float32)
    options.setdefault("isotropic", True)
    return augmented_block(image, labels, shape, settings, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("isotropic", [True, False])
def test_without_bending_voxels_move_whole_and_with_their_labels(isotropic: bool) -> None:
    labels = numbered((24, 30, 40))
    for seed in range(20):
        crop, ids = cut(labels, seed=seed, isotropic=isotropic)
        assert crop.shape == (1, 8, 16, 16)
        assert crop.dtype == np.float32
        assert ids.dtype == np.int32
        np.testing.assert_array_equal(crop[0], ids)
        # Every voxel of the crop comes from another one of the volume.
        assert len(np.unique(ids)) == ids.size


def test_bent_volumes_keep_their_labels() -> None:
    labels = np.zeros((40, 40, 40), np.int32)
    labels[12:28, 12:28, 12:28] = 1
    settings = AugmentationSettings(
        geometric_probability=1, intensity_probability=0, blur_probability=0, noise_probability=0
    )
    for seed in range(10):
        crop, ids = cut(labels, (32, 32, 32), settings, seed)
        assert ids.any()
        # Interpolated brightness above one half is where the object is.
        assert ((crop[0] > 0.5) == (ids == 1)).mean() > 0.98


@pytest.mark.parametrize(("isotropic", "count"), [(False, 16), (True, 48)])
def test_every_flip_and_turn_occurs(isotropic: bool, count: int) -> None:
    labels = numbered((2, 2, 2))
    seen = {
        cut(labels, (2, 2, 2), seed=seed, isotropic=isotropic)[1].tobytes() for seed in range(600)
    }
    assert len(seen) == count


def test_sections_of_other_distances_stay_sections() -> None:
    labels = np.broadcast_to(np.arange(1, 25, dtype=np.int32)[:, None, None], (24, 30, 30))
    for seed in range(10):
        _, ids = cut(np.ascontiguousarray(labels), seed=seed, isotropic=False)
        assert (ids == ids[:, :1, :1]).all()
        assert set(np.abs(np.diff(ids[:, 0, 0]))) == {1}


def test_volumes_smaller_than_the_crop_are_mirrored() -> None:
    labels = numbered((5, 12, 12))
    crop, ids = cut(labels, isotropic=False)
    np.testing.assert_array_equal(crop[0], ids)
    assert ids.min() > 0
    assert len(np.unique(ids)) == labels.size


def test_the_focus_is_in_the_crop_and_nothing_is_known_beyond_the_edges() -> None:
    labels = np.ones((20, 40, 40), np.int32)
    labels[0, 0, 0] = 2
    for seed in range(20):
        for isotropic in (True, False):
            _, ids = cut(labels, (16, 32, 32), seed=seed, isotropic=isotropic, focus=(0, 0, 0))
            assert (ids == 2).sum() == 1
    _, ids = cut(np.ones((6, 40, 40), np.int32), (16, 32, 32), focus=(0, 20, 20), isotropic=False)
    assert ((ids == 1).any(axis=(1, 2))).sum() == 6
    assert (ids == UNANNOTATED).sum() == 10 * 32 * 32


def test_a_missing_section_keeps_its_labels() -> None:
    settings = AugmentationSettings(**{**vars(STILL), "missing_probability": 1.0})
    crop, ids = cut(numbered((24, 30, 40)), settings=settings)
    empty = (crop[0] == 0).all(axis=(1, 2))
    assert empty.sum() == 1
    assert (ids > 0).all()
    np.testing.assert_array_equal(crop[0][~empty], ids[~empty])


def test_sections_out_of_place_take_their_labels_along() -> None:
    settings = AugmentationSettings(**{**vars(STILL), "shift_probability": 1.0, "shift": 5})
    labels = np.broadcast_to(numbered((60, 60)), (24, 60, 60))
    steps = set()
    for seed in range(20):
        crop, ids = cut(np.ascontiguousarray(labels), settings=settings, seed=seed, isotropic=False)
        np.testing.assert_array_equal(crop[0], ids)
        changes = np.flatnonzero((ids[1:] != ids[:-1]).any(axis=(1, 2)))
        assert len(changes) <= 1
        steps.update(changes.tolist())
    assert len(steps) > 3


def test_sections_are_lit_one_by_one_only_if_they_are_sections() -> None:
    settings = AugmentationSettings(
        geometric_probability=0, intensity_probability=1, blur_probability=0, noise_probability=0
    )
    labels = np.ones((24, 30, 30), np.int32)
    assert len(np.unique(cut(labels, settings=settings, isotropic=True)[0])) == 1
    by_section = cut(labels, settings=settings, isotropic=False)[0][0]
    assert len(np.unique(by_section)) == 8
    assert (by_section == by_section[:, :1, :1]).all()


def test_draws_are_repeatable() -> None:
    labels = numbered((24, 30, 40))
    first, again, other = (
        cut(labels, settings=AugmentationSettings(), seed=seed)[0] for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
