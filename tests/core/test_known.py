"""Which neighborhoods a model can be asked for."""

from __future__ import annotations

import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.known import KnownOffsets, ranges_of
from napari_pea.core.neighborhood import Neighborhood, graph_offsets
from napari_pea.core.settings import SegmentationSettings

PLANE = KnownOffsets(Neighborhood((1, 2, 3, 4, 8, 12), 8).offset_list)
VOLUME = KnownOffsets(graph_offsets(3))


def test_ranges_are_those_known_along_both_axes() -> None:
    assert PLANE.ranges == (1, 2, 3, 4, 8, 12)
    assert VOLUME.ranges == (1, 4, 12)
    assert ranges_of([(1, 0), (0, -1), (0, -5), (-9, 9)]) == (1,)


def test_z_ranges_and_connectivities_are_those_known_too() -> None:
    assert PLANE.z_ranges == ()
    assert PLANE.connectivities == (4, 8)
    assert VOLUME.z_ranges == (1, 2)
    assert VOLUME.connectivities == (6,)


def test_a_model_that_knows_everything_is_asked_for_anything() -> None:
    every = KnownOffsets()
    assert not every.is_limited
    assert (every.ranges, every.z_ranges, every.connectivities) == ((), (), ())
    every.check(Neighborhood((1, 77), 8))
    settings = SegmentationSettings(ranges=(1, 4), z_ranges=(1, 2))
    assert every.updated(settings, ranges=(1, 4, 12)) == settings.updated(ranges=(1, 4, 12))


def test_known_neighborhoods_pass_and_others_are_told_what_is_known() -> None:
    PLANE.check(Neighborhood((1, 3, 12), 8))
    VOLUME.check(Neighborhood((1, 4, 12), None, 3, (1, 2, 2)))
    for asked, known in (
        (Neighborhood((1, 5)), "the range 5: take ranges out of 1, 2, 3, 4, 8, 12"),
        (Neighborhood((1, 4), None, 3), "the z range 4: take z ranges out of 1, 2"),
        (
            Neighborhood((1, 4), 18, 3, (1, 2)),
            "know connectivity 18 with its offset .*: take connectivity 6",
        ),
    ):
        with pytest.raises(InputError, match=known):
            (PLANE if asked.ndim == 2 else VOLUME).check(asked)


def test_z_ranges_follow_ranges_as_far_as_they_are_known() -> None:
    settings = SegmentationSettings(ranges=(1, 4), z_ranges=(1, 2))
    changed = VOLUME.updated(settings, ranges=(1, 4, 12))
    assert (changed.ranges, changed.z_ranges) == ((1, 4, 12), (1, 2, 2))
    # What was said about them stays as it was said.
    assert VOLUME.updated(settings, ranges=(1, 4), z_ranges=(1, 3)).z_ranges == (1, 3)
    assert VOLUME.with_known_z(SegmentationSettings(ranges=(1, 12))).z_ranges == (1, 2)
