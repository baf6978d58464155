from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core import normalization
from napari_pea.core.errors import InputError
from napari_pea.core.normalization import Normalization


def test_percentiles_become_0_and_1() -> None:
    image = np.random.default_rng(0).gamma(2.0, 300.0, (1, 80, 90))
    low, high = np.percentile(image, (2, 99))
    result = Normalization("percentile", 2, 99)(image)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, (image - low) / (high - low), atol=1e-5)
    # Bright pixels keep their differences.
    assert result.max() > 1


def test_min_max_fills_0_to_1() -> None:
    result = Normalization("min-max")(np.array([[[5, 10], [20, 25]]], np.uint16))
    np.testing.assert_allclose(result, [[[0, 0.25], [0.75, 1]]])


@pytest.mark.parametrize("kind", ["percentile", "min-max"])
def test_channels_are_treated_apart(kind: str) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((20, 20)), 1000 + 50 * rng.random((20, 20))
    normalize = Normalization(kind)
    both = normalize(np.stack([first, second]))
    np.testing.assert_array_equal(both[0], normalize(first[None])[0])
    np.testing.assert_array_equal(both[1], normalize(second[None])[0])


@pytest.mark.parametrize("kind", ["percentile", "min-max"])
@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.int16, np.uint16, np.uint32, np.int64, np.float16, np.float64]
)
def test_every_type_gives_the_same_picture(kind: str, dtype: type) -> None:
    binary = np.random.default_rng(0).random((1, 30, 30)) > 0.5
    image = binary.astype(dtype) if dtype is bool else (binary * 100 + 20).astype(dtype)
    before = image.copy()
    np.testing.assert_array_equal(Normalization(kind)(image), binary)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("kind", ["percentile", "min-max"])
@pytest.mark.parametrize("value", [0, 7, 65535])
def test_an_image_without_contrast_becomes_0(kind: str, value: int) -> None:
    assert not Normalization(kind)(np.full((2, 9, 9), value, np.uint16)).any()


def test_a_few_bright_pixels_on_black_are_kept() -> None:
    # Both percentiles are 0 here: the extremes step in.
    image = np.zeros((1, 100, 100), np.uint8)
    image[0, 3, 4] = 200
    result = Normalization()(image)
    assert result[0, 3, 4] == 1
    assert result.sum() == 1


def test_large_images_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).normal(100, 10, (1, 300, 500)).astype(np.float32)
    exact = Normalization()(image)
    monkeypatch.setattr(normalization, "SAMPLE_SIZE", 20_000)
    np.testing.assert_allclose(Normalization()(image), exact, atol=0.05)
    stack = image.reshape(1, 30, 50, 100)
    np.testing.assert_allclose(Normalization()(stack), exact.reshape(stack.shape), atol=0.05)


def test_bad_values_are_named() -> None:
    with pytest.raises(InputError, match="'z-score' is not known: use 'percentile' or 'min-max'"):
        Normalization("z-score")
    with pytest.raises(InputError, match="must rise between 0 and 100, not 99 to 1"):
        Normalization("percentile", 99, 1)
    with pytest.raises(InputError, match=r"not 1\.0 to 101"):
        Normalization(upper=101)


@pytest.mark.parametrize("kind", ["percentile", "min-max"])
@pytest.mark.parametrize(
    ("dtype", "scale", "shift"),
    [
        ("int64", 1, 2**33),
        ("uint64", 1, 2**40),
        ("uint32", 1, 2**31),
        ("float64", 1e-3, 1e9),
        ("float64", 1e300, 0.0),
        ("float32", 4.0, -100.0),
    ],
)
def test_shift_scale_and_type_of_the_intensities_do_not_matter(kind, dtype, scale, shift) -> None:
    plain = np.random.default_rng(0).integers(0, 4096, (1, 40, 50)).astype(np.uint16)
    other = (plain.astype(dtype) * np.array(scale, dtype) + np.array(shift, dtype)).astype(dtype)
    np.testing.assert_allclose(
        Normalization(kind)(other), Normalization(kind)(plain), rtol=1e-3, atol=1e-3
    )
