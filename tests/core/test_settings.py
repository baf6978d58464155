from __future__ import annotations

import json

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.settings import SegmentationSettings


def test_settings_give_the_neighborhood_of_2d_and_3d_images() -> None:
    settings = SegmentationSettings(ranges=(1, 3))
    assert settings.neighborhood(2) == Neighborhood((1, 3), 4, 2)
    assert settings.neighborhood(3) == Neighborhood((1, 3), 6, 3)
    stack = SegmentationSettings(ranges=(1, 3), z_ranges=(1, 2), connectivity=18)
    assert stack.neighborhood(3) == Neighborhood((1, 3), 18, 3, (1, 2))


def test_strides_are_given_once_or_for_each_axis() -> None:
    assert SegmentationSettings(strides=4).strides_for(3) == (4, 4, 4)
    assert SegmentationSettings(strides=[1, 10, 10]).strides_for(3) == (1, 10, 10)
    with pytest.raises(InputError, match="2D images need 2 strides, not 3"):
        SegmentationSettings(strides=(1, 10, 10)).strides_for(2)


def test_settings_survive_json() -> None:
    settings = SegmentationSettings(
        ranges=np.array([1, 5, 9]), z_ranges=[1, 2, 2], strides=np.array([1, 4, 4]), min_size=7
    )
    again = SegmentationSettings(**json.loads(json.dumps(settings.as_dict())))
    assert again == settings
    assert hash(again) == hash(settings)


def test_numbers_of_numpy_are_numbers() -> None:
    assert SegmentationSettings(strides=np.int64(4)) == SegmentationSettings(strides=4)
    given = SegmentationSettings(min_size=np.uint8(9), bias=np.float32(0.5), fill_holes=np.bool(0))
    assert json.loads(json.dumps(given.as_dict())) == {
        **SegmentationSettings().as_dict(),
        "min_size": 9,
        "bias": 0.5,
        "fill_holes": False,
    }


def test_updated_changes_what_is_named_and_nothing_else() -> None:
    settings = SegmentationSettings(min_size=9)
    changed = settings.updated(ranges=[1, 9], fill_holes=False)
    assert changed == SegmentationSettings(ranges=(1, 9), fill_holes=False, min_size=9)
    assert settings == SegmentationSettings(min_size=9)


def test_updated_names_a_setting_that_does_not_exist() -> None:
    with pytest.raises(InputError, match=r"'minsize'; the settings are ranges, .*min_size"):
        SegmentationSettings().updated(minsize=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ranges": 3}, "ranges must be a list of whole numbers, not 3"),
        ({"ranges": (1, -3)}, "range is a whole number of at least 1, not -3"),
        ({"ranges": ()}, "At least one range"),
        ({"z_ranges": (1, 0.5)}, "z range is a whole number of at least 1, not 0.5"),
        ({"strides": 0}, "stride is a whole number of at least 1, not 0"),
        ({"strides": (4, -1)}, "not -1"),
        ({"strides": 1.5}, "not 1.5"),
        ({"strides": ()}, "At least one stride"),
        ({"foreground_threshold": 1.2}, "between 0 and 1, not 1.2"),
        ({"foreground_threshold": float("nan")}, "between 0 and 1, not nan"),
        ({"bias": 1.5}, "bias lies between -1 and 1, not 1.5"),
        ({"bias": float("nan")}, "between -1 and 1, not nan"),
        ({"min_size": -1}, "cannot be negative: -1"),
        ({"min_size": "25"}, "min_size must be a whole number, not '25'"),
        ({"bias": None}, "bias must be a number, not None"),
        ({"foreground_threshold": True}, "foreground_threshold must be a number, not True"),
        ({"fill_holes": "no"}, "fill_holes must be True or False, not 'no'"),
        ({"connectivity": 5}, "Connectivity 5 does not exist: use 4 or 8 in 2D, 6, 18 or 26 in 3D"),
    ],
)
def test_bad_values_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SegmentationSettings(**changes)


def test_z_ranges_follow_other_ranges() -> None:
    settings = SegmentationSettings(ranges=(1, 3, 9, 27), z_ranges=(1, 2, 3, 4))
    changed = settings.updated(ranges=(1, 2, 9, 54))
    assert changed.z_ranges == (1, 2, 3, 8)
    assert changed.neighborhood(3).z_ranges == (1, 2, 3, 8)
    assert settings.updated(ranges=(1, 3), z_ranges=(1, 1)).z_ranges == (1, 1)
    assert SegmentationSettings().updated(ranges=(1, 2)).z_ranges is None
