from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from napari_pea.training.augment import CrossTransform, augmented_crop, change_intensity
from napari_pea.training.settings import AugmentationSettings, ObjectiveSettings

UNCHANGED = {"intensity_probability": 0.0, "blur_probability": 0.0, "noise_probability": 0.0}
FLIPS_ONLY = AugmentationSettings(geometric_probability=0.0, **UNCHANGED)
GEOMETRY_ONLY = AugmentationSettings(geometric_probability=1.0, **UNCHANGED)


def numbered(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """An image in which every pixel is another, and the same as labels."""
    labels = np.arange(1, np.prod(shape) + 1, dtype=np.int32).reshape(shape)
    return labels[None].astype(np.float32), labels


@pytest.mark.parametrize("settings", [AugmentationSettings(), FLIPS_ONLY, GEOMETRY_ONLY])
@pytest.mark.parametrize("shape", [(90, 70), (40, 31), (5, 64), (1, 1)])
def test_crops_have_the_size_that_was_asked_for(
    settings: AugmentationSettings, shape: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    image = np.random.default_rng(1).random((3, *shape), dtype=np.float32)
    labels = (image[0] > 0.5).astype(np.int32) * 9
    crop, ids = augmented_crop(image, labels, 48, settings, rng)
    assert crop.shape == (3, 48, 48)
    assert crop.dtype == np.float32
    assert np.isfinite(crop).all()
    assert ids.shape == (48, 48)
    assert ids.dtype == np.int32
    assert set(np.unique(ids)) <= set(np.unique(labels))


def test_image_and_labels_are_moved_alike() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:120, :130]
    labels = ((rows // 20 + columns // 20) % 3).astype(np.int32)
    image = labels[None].astype(np.float32)
    for _ in range(10):
        crop, ids = augmented_crop(image, labels, 64, GEOMETRY_ONLY, rng)
        # They differ on outlines only, where the image is interpolated.
        assert (np.abs(crop[0] - ids) < 0.51).mean() > 0.9
        assert len(np.unique(ids)) == 3


def test_without_geometry_pixels_are_moved_but_not_changed() -> None:
    image, labels = numbered(40, 50)
    rng = np.random.default_rng(0)
    for _ in range(10):
        crop, ids = augmented_crop(image, labels, 32, FLIPS_ONLY, rng)
        np.testing.assert_array_equal(crop[0], ids)
        assert len(np.unique(ids)) == 32 * 32


@pytest.mark.parametrize("shape", [(15, 17), (15, 16), (31, 32), (16, 16)])
def test_small_images_keep_all_their_pixels(shape: tuple[int, int]) -> None:
    image, labels = numbered(*shape)
    rng = np.random.default_rng(0)
    for _ in range(8):
        crop, ids = augmented_crop(image, labels, 32, FLIPS_ONLY, rng)
        assert len(np.unique(ids)) == labels.size
        np.testing.assert_array_equal(crop[0], ids)
        # Neighbours stay neighbours, also where the image is mirrored.
        steps = np.abs(np.diff(ids.astype(int), axis=1))
        assert set(np.unique(steps)) <= {0, 1, shape[1]}


def test_all_eight_flips_and_turns_occur() -> None:
    image, labels = numbered(16, 16)
    rng = np.random.default_rng(0)
    seen = {augmented_crop(image, labels, 16, FLIPS_ONLY, rng)[1].tobytes() for _ in range(100)}
    variants = {
        np.ascontiguousarray(np.rot90(turned, turns)).tobytes()
        for turned, turns in product((labels, labels.T), range(4))
    }
    assert seen == variants


def test_scale_magnifies() -> None:
    # Stripes 10 pixels wide become stripes about 20 wide.
    labels = (np.arange(400) // 10 % 2).astype(np.int32)[None].repeat(400, axis=0)
    settings = AugmentationSettings(
        geometric_probability=1.0, scale=(2.0, 2.0), elastic_amplitude=0.0, **UNCHANGED
    )
    rng = np.random.default_rng(0)
    changes = []
    for _ in range(20):
        _, ids = augmented_crop(labels[None].astype(np.float32), labels, 128, settings, rng)
        # A line's crossings depend on the angle, their squares along both axes do not.
        across = (np.diff(ids, axis=1) != 0).mean() ** 2 + (np.diff(ids, axis=0) != 0).mean() ** 2
        changes.append(across**0.5)
    assert np.mean(changes) == pytest.approx(1 / 20, rel=0.1)


def test_the_same_generator_gives_the_same_crop() -> None:
    image, labels = numbered(60, 60)
    first = augmented_crop(image, labels, 32, AugmentationSettings(), np.random.default_rng(7))
    again = augmented_crop(image, labels, 32, AugmentationSettings(), np.random.default_rng(7))
    other = augmented_crop(image, labels, 32, AugmentationSettings(), np.random.default_rng(8))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[1] != other[1]).any()


def test_intensities_change_within_bounds() -> None:
    image = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    settings = AugmentationSettings(
        intensity_probability=1.0, blur_probability=0.0, noise_probability=0.0
    )
    rng = np.random.default_rng(0)
    results = np.stack([change_intensity(image, settings, rng) for _ in range(200)])
    assert results.dtype == np.float32
    # Black moves with the brightness only, white with the contrast too; order is kept.
    assert np.abs(results[:, 0, 0, 0]).max() <= 0.15 + 1e-6
    assert np.abs(results[:, 0, 0, 0]).max() > 0.1
    assert np.abs(results[:, 0, -1, -1] - 1).max() <= 0.45 + 1e-6
    assert (np.diff(results.reshape(200, -1), axis=1) >= 0).all()


def test_nothing_changes_with_probability_0() -> None:
    image = np.random.default_rng(0).normal(size=(2, 8, 8)).astype(np.float32)
    before = image.copy()
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(change_intensity(image, FLIPS_ONLY, rng), before)
    change_intensity(image, AugmentationSettings(), rng)
    np.testing.assert_array_equal(image, before)


def still(**changes) -> CrossTransform:
    """A transform that does nothing but what is asked for."""
    arguments = {
        "flips": (),
        "transpose": False,
        "contrast": 1.0,
        "brightness": 0.0,
        "squares": (),
        "square_side": 0,
        **changes,
    }
    return CrossTransform(**arguments)


@pytest.mark.parametrize("flips", [(), (-1,), (-2,), (-1, -2)])
@pytest.mark.parametrize("transpose", [False, True])
def test_undo_takes_an_embedding_back(flips: tuple[int, ...], transpose: bool) -> None:
    transform = still(flips=flips, transpose=transpose)
    image = torch.rand(2, 3, 6, 8)
    changed = transform.apply(image, torch.ones(2, 6, 8))
    assert changed.shape == ((2, 3, 8, 6) if transpose else (2, 3, 6, 8))
    torch.testing.assert_close(transform.undo(changed), image)
    # A pixel is followed to where the formulas of methods A6 put it.
    expected = image
    if -1 in flips:
        expected = expected.flip(-1)
    if -2 in flips:
        expected = expected.flip(-2)
    torch.testing.assert_close(changed, expected.transpose(-1, -2) if transpose else expected)


def test_drawn_transforms_stay_within_the_bounds_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    drawn = [CrossTransform.draw((64, 80), rng) for _ in range(500)]
    assert {(transform.flips, transform.transpose) for transform in drawn} == set(
        product([(), (-1,), (-2,), (-1, -2)], [False, True])
    )
    assert {transform.square_side for transform in drawn} == set(range(21))
    assert {len(transform.squares) for transform in drawn} == set(range(21))
    corners = np.array([corner for transform in drawn for corner in transform.squares])
    assert (corners >= 0).all()
    assert (corners < (64, 80)).all()
    for name, middle in (("contrast", 1), ("brightness", 0)):
        values = np.array([getattr(transform, name) for transform in drawn]) - middle
        assert 0.04 < np.abs(values).max() <= 0.05
        assert abs(values.mean()) < 0.01


def test_drawing_depends_on_the_generator_only() -> None:
    draws = [CrossTransform.draw((64, 64), np.random.default_rng((5, 3))) for _ in range(2)]
    assert draws[0] == draws[1]


def test_cut_out_squares_take_the_mean_foreground() -> None:
    image = torch.rand(2, 3, 10, 12)
    foreground = torch.zeros(2, 10, 12, dtype=torch.int64)
    foreground[0, 6:, 6:] = 1
    foreground[1, :2] = 1
    transform = still(squares=((1, 2), (8, 10)), square_side=4, contrast=1.1, brightness=0.2)
    changed = transform.apply(image, foreground)
    inside = torch.zeros(10, 12, dtype=torch.bool)
    inside[1:5, 2:6] = True
    inside[8:, 10:] = True
    plain = image * 1.1 + 0.2
    torch.testing.assert_close(changed[:, :, ~inside], plain[:, :, ~inside])
    for index, region in enumerate((plain[0, :, 6:, 6:], plain[1, :, :2])):
        mean = region.mean(dim=(1, 2))
        torch.testing.assert_close(
            changed[index][:, inside], mean[:, None].expand(-1, int(inside.sum()))
        )


def test_squares_in_a_crop_without_foreground_stay_finite() -> None:
    transform = still(squares=((0, 0),), square_side=5)
    changed = transform.apply(torch.rand(1, 1, 8, 8), torch.zeros(1, 8, 8))
    assert torch.isfinite(changed).all()


def test_parts_of_the_cross_transform_can_be_left_out() -> None:
    drawn = CrossTransform((-1, -2), True, 1.04, 0.03, ((3, 4),), 6)
    assert drawn.limited(ObjectiveSettings()) == drawn
    assert drawn.limited(ObjectiveSettings(cross_flips=False)) == replace(
        drawn, flips=(), transpose=False
    )
    assert drawn.limited(ObjectiveSettings(cross_cutout=False)) == replace(drawn, squares=())
    assert drawn.limited(ObjectiveSettings(cross_intensity=False)) == replace(
        drawn, contrast=1.0, brightness=0.0
    )
