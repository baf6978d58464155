"""Affinities of fixed offsets."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.affinity import label_affinities
from napari_pea.core.errors import InputError
from napari_pea.core.field import AffinityField
from napari_pea.core.mutex import mutex_watershed
from napari_pea.core.neighborhood import Neighborhood

LABELS = np.kron([[1, 2], [3, 4]], np.ones((8, 10), int))


def field(offsets, **more) -> AffinityField:
    return AffinityField(label_affinities(LABELS, offsets)[0], tuple(offsets), **more)


def test_a_neighborhood_is_taken_from_the_channels() -> None:
    known = field(Neighborhood((1, 2, 4, 8), 8).offset_list)
    wanted = Neighborhood((1, 4))
    taken = known.affinities(wanted.offset_list)
    np.testing.assert_array_equal(taken, label_affinities(LABELS, wanted.offsets)[0])
    labels = mutex_watershed(taken, wanted.offset_list)
    np.testing.assert_array_equal(labels, LABELS)


def test_opposite_offsets_are_the_same_pairs() -> None:
    known = field([(1, 0), (0, 1), (-3, 3)])
    wanted = [(-1, 0), (0, -1), (3, -3)]
    np.testing.assert_array_equal(known.affinities(wanted), label_affinities(LABELS, wanted)[0])


def test_prepared_it_says_the_same_where_neighborhoods_ask() -> None:
    rng = np.random.default_rng(0)
    offsets = ((0, 1), (-1, 0), (3, -3), (0, -1))
    values = rng.random((4, *LABELS.shape)).astype(np.float16)
    given = AffinityField(values, offsets, variances=values / 4, codes=values[:2])
    ready = given.prepared()
    assert ready.offsets == ((0, -1), (-1, 0), (-3, 3))
    assert ready.values.dtype == np.float32
    wanted = [(0, -1), (-1, 0), (-3, 3)]
    np.testing.assert_array_equal(ready.affinities(wanted), given.affinities(wanted))
    np.testing.assert_array_equal(ready.uncertainties(wanted), given.uncertainties(wanted))
    assert ready.codes is given.codes
    again = ready.prepared()
    assert again.values is ready.values  # nothing is copied twice


def test_unknown_offsets_are_refused_with_what_is_known() -> None:
    known = field(Neighborhood((1, 4)).offset_list)
    with pytest.raises(InputError, match="1, 4"):
        known.affinities([(-2, 0)])
    with pytest.raises(InputError, match="smallest connectivity"):
        known.affinities(Neighborhood((1, 4), 8).offset_list)


def test_uncertainties_are_taken_alike() -> None:
    offsets = Neighborhood((1, 3)).offset_list
    assert field(offsets).uncertainties(offsets[:1]) is None
    variances = np.random.default_rng(0).random((4, *LABELS.shape)).astype(np.float16)
    taken = field(offsets, variances=variances).uncertainties([offsets[2]])
    np.testing.assert_array_equal(taken[0, 3:], variances[2, 3:])
    assert not taken[0, :3].any()


def test_a_window_is_the_part_of_all_maps() -> None:
    offsets = Neighborhood((1,)).offset_list
    foreground = np.random.default_rng(0).random(LABELS.shape, dtype=np.float32)
    whole = field(offsets, foreground=foreground)
    region = (slice(2, 9), slice(5, 15))
    part = whole.window(region)
    assert part.shape == (7, 10)
    np.testing.assert_array_equal(part.foreground, foreground[region])
    np.testing.assert_array_equal(
        part.affinities(offsets)[:, 1:, 1:], whole.values[(slice(None), *region)][:, 1:, 1:]
    )
    assert [array.nbytes for array in part.arrays] == [len(offsets) * 70 * 4, 70 * 4]
    coded = field(offsets, codes=np.zeros((3, *LABELS.shape), np.float16)).window(region)
    assert coded.codes is not None
    assert coded.codes.shape == (3, 7, 10)
