"""The signed variant: every pair attracts or repels, and some are drawn at random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pea.core.errors import InputError
from napari_pea.core.mutex import signed_mutex_watershed

FOUR = [(-1, 0), (0, -1), (-3, 0), (0, -3)]


def random_affinities(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@given(st.data())
def test_equals_the_definition(reference, small_tiles, drawn, data):
    _, affinities, offsets, arguments = data.draw(drawn())
    if data.draw(st.booleans()):  # many ties, and pairs at exactly one half
        affinities = np.round(affinities * 6) / np.float32(6)
    mask = arguments["mask"]
    threads = data.draw(st.integers(1, 2))
    with small_tiles():
        labels = signed_mutex_watershed(affinities, offsets, fraction=1, mask=mask, threads=threads)
    expected = reference(affinities, offsets, 0, mask=mask, signed=True)
    assert np.array_equal(labels, expected)


def test_far_pixels_can_be_one_object():
    direct = [[0.0, 0.2, 0.2]]
    further = [[0.0, 0.0, 0.9]]
    affinities = np.array([direct, further])
    labels = signed_mutex_watershed(affinities, [(0, -1), (0, -2)], 1, fraction=1)
    assert labels.tolist() == [[1, 2, 1]]


def test_the_same_seed_takes_the_same_pairs(small_tiles):
    affinities = random_affinities((4, 40, 40))
    labels = [signed_mutex_watershed(affinities, FOUR, seed=seed) for seed in (0, 0, 1)]
    assert np.array_equal(labels[0], labels[1])
    assert not np.array_equal(labels[0], labels[2])
    with small_tiles():
        for threads in (1, 2):
            again = signed_mutex_watershed(affinities, FOUR, threads=threads)
            assert np.array_equal(again, labels[0])


@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 1])
def test_fraction_of_the_further_pairs_is_taken(fraction):
    # No direct attraction; pixels two apart attract, and each pair taken joins two pixels.
    affinities = np.stack([np.zeros((100, 200)), np.ones((100, 200))])
    labels = signed_mutex_watershed(affinities, [(1, 0), (0, 101)], 1, fraction=fraction)
    taken = labels.size - labels.max()
    assert taken / (100 * 99) == pytest.approx(fraction, abs=0.02)


def test_direct_pairs_are_always_taken(reference):
    affinities = random_affinities((4, 12, 13))
    labels = signed_mutex_watershed(affinities, FOUR, fraction=0)
    expected = reference(affinities, FOUR, 0, signed=True, taken=lambda channel, _: channel < 2)
    assert np.array_equal(labels, expected)
    every = signed_mutex_watershed(affinities, FOUR, 4, fraction=0)
    assert np.array_equal(every, reference(affinities, FOUR, 0, signed=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fraction": -0.1}, "between 0 and 1, not -0.1"),
        ({"fraction": 1.5}, "between 0 and 1, not 1.5"),
        ({"fraction": np.nan}, "between 0 and 1, not nan"),
        ({"n_direct": 5}, "between 0 and 4"),
        ({"affinities": np.full((4, 6, 7), np.nan)}, "Channel 0 of the affinities"),
        ({"offsets": FOUR[:3]}, "need one offset"),
        ({"mask": np.ones((7, 6), bool)}, "The mask must have the shape"),
        ({"threads": 1.5}, "threads"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"affinities": random_affinities((4, 6, 7)), "offsets": FOUR} | changes
    with pytest.raises(InputError, match=message):
        signed_mutex_watershed(**arguments)
