from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.image import prepare_image


def ramp(*shape: int, dtype: str = "uint8") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float64", "bool"])
def test_every_real_type_is_accepted(dtype: str) -> None:
    image = ramp(5, 6, dtype=dtype)
    assert prepare_image(image, 1, 2).shape == (1, 5, 6)


def test_grey_is_repeated_for_networks_with_several_channels() -> None:
    channels = prepare_image(ramp(5, 6), 3, 2)
    assert channels.shape == (3, 5, 6)
    np.testing.assert_array_equal(channels[0], channels[2])


@pytest.mark.parametrize("n_channels", [3, 4])
def test_colour_becomes_grey_by_luminance_and_ignores_alpha(n_channels: int) -> None:
    image = np.zeros((5, 6, n_channels), dtype=np.uint8)
    image[2, 3] = [100, 200, 50, 7][:n_channels]
    grey = prepare_image(image, 1, 2)
    assert grey.shape == (1, 5, 6)
    assert grey[0, 2, 3] == pytest.approx(0.299 * 100 + 0.587 * 200 + 0.114 * 50)


def test_colour_goes_to_colour_networks_without_alpha() -> None:
    image = ramp(5, 6, 4)
    np.testing.assert_array_equal(prepare_image(image, 3, 2)[1], image[..., 1])


def test_one_channel_can_be_chosen() -> None:
    image = ramp(7, 5, 6)
    chosen = prepare_image(image, 1, 2, channel=4, channel_axis=0)
    np.testing.assert_array_equal(chosen[0], image[4])
    assert prepare_image(image, 3, 2, channel=4, channel_axis=0).shape == (3, 5, 6)


def test_all_channels_are_used_when_their_number_fits() -> None:
    assert prepare_image(ramp(2, 5, 6), 2, 2, channel_axis=0).shape == (2, 5, 6)


@pytest.mark.parametrize(
    ("image", "arguments", "sentence"),
    [
        (np.zeros((0, 5)), {}, "image is empty"),
        (np.full((5, 6), 3), {}, "constant, every pixel is 3"),
        (np.array([[0.0, np.nan], [1.0, 2.0]]), {}, "NaN or infinite"),
        (np.array([[0.0, np.inf], [1.0, 2.0]]), {}, "NaN or infinite"),
        (ramp(1, 9), {}, "1 pixel wide"),
        (ramp(9, 1), {}, "1 pixel wide"),
        (ramp(9), {}, "segments 2D images"),
        (ramp(4, 9, 9), {}, "choose a single plane"),
        (ramp(2, 9, 9), {"channel_axis": 0}, "2 channels and the model expects 1"),
        (ramp(2, 9, 9), {"channel_axis": 0, "channel": 2}, "there is no channel 2"),
        (ramp(2, 9, 9), {"channel_axis": 0, "channel": -1}, "there is no channel -1"),
        (ramp(2, 9, 9), {"channel_axis": 5}, "there is no axis 5"),
        (ramp(9, 9), {"channel_axis": 0}, "has 3 axes, not 2"),
        (ramp(9, 9), {"channel": 1}, "there is no channel 1"),
        (np.zeros((5, 6), dtype=complex), {}, "numbers or booleans"),
        (np.array([["a", "b"]]), {}, "numbers or booleans"),
    ],
)
def test_unusable_images_get_one_sentence(image, arguments, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        prepare_image(image, 1, 2, **arguments)
    assert "\n" not in str(caught.value)


def test_the_image_is_not_changed() -> None:
    image = ramp(5, 6, 3)
    before = image.copy()
    prepare_image(image, 1, 2)
    np.testing.assert_array_equal(image, before)


def test_rows_of_different_lengths_are_no_image() -> None:
    with pytest.raises(InputError, match="rows of the same length"):
        prepare_image([[1, 2, 3], [4, 5]], 1, 2)
