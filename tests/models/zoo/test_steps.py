from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.models.zoo.steps import applied, check_steps, sigmoid

IMAGE = np.stack([np.arange(12), 10 * np.arange(12)]).reshape(2, 3, 4).astype(np.float32)


def test_images_are_standardized_by_channel_or_jointly() -> None:
    by_channel = applied(IMAGE, [("zero_mean_unit_variance", {"axes": "yx"})])
    np.testing.assert_allclose(by_channel.mean(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(by_channel.std(axis=(1, 2)), 1, atol=1e-5)
    for axes in ({"axes": "cyx"}, {"axes": ["channel", "y", "x"]}, {}):
        jointly = applied(IMAGE, [("zero_mean_unit_variance", axes)])
        np.testing.assert_allclose(jointly, (IMAGE - IMAGE.mean()) / IMAGE.std(), atol=1e-5)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (("scale_range", {"axes": ["y", "x"]}), IMAGE / [[[11]], [[110]]]),
        (
            ("fixed_zero_mean_unit_variance", {"mean": [1, 2], "std": [2, 4]}),
            (IMAGE - [[[1]], [[2]]]) / [[[2]], [[4]]],
        ),
        (
            ("zero_mean_unit_variance", {"mode": "fixed", "mean": 1, "std": 2}),
            (IMAGE - 1) / 2,
        ),
        (("scale_linear", {"gain": 2, "offset": -1}), 2 * IMAGE - 1),
        (("clip", {"min": 2, "max": 5}), np.clip(IMAGE, 2, 5)),
        (("sigmoid", {}), 1 / (1 + np.exp(-IMAGE.astype(np.float64)))),
        (("ensure_dtype", {"dtype": "float32"}), IMAGE),
    ],
)
def test_steps_do_what_the_format_says(step: Any, expected: Any) -> None:
    found = applied(IMAGE, [step])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_steps_follow_each_other() -> None:
    found = applied(IMAGE, [("scale_linear", {"gain": 10}), ("clip", {"min": 0, "max": 50})])
    np.testing.assert_array_equal(found, np.clip(10 * IMAGE, 0, 50))


def test_unknown_steps_and_arguments_get_one_sentence() -> None:
    with pytest.raises(InputError, match="step 'magic'"):
        check_steps([("magic", {})], before=True)
    with pytest.raises(InputError, match="step 'scale_range'"):
        check_steps([("scale_range", {})], before=False)
    check_steps([("scale_range", {}), ("clip", {})], before=True)
    with pytest.raises(InputError, match="make no sense"):
        applied(IMAGE, [("scale_range", {"min_percentile": "x"})])
    with pytest.raises(InputError, match="make no sense"):
        applied(IMAGE, [("fixed_zero_mean_unit_variance", {"mean": [1, 2, 3], "std": 1})])


def test_far_logits_are_no_warnings() -> None:
    np.testing.assert_array_equal(sigmoid(np.array([-1e4, 0, 1e4], dtype=np.float32)), [0, 0.5, 1])
