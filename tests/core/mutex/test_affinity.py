"""Partitions of chosen channels are those of a stack of these channels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pea.core.errors import InputError
from napari_pea.core.mutex import AffinityWatershed, mutex_watershed

DIRECT = {2: [(-1, 0), (0, -1)], 3: [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]}
FURTHER = {
    2: [(-3, 0), (0, -3), (-2, 2), (-2, -2), (0, -40), (-5, 1)],
    3: [(-2, 0, 0), (0, -4, 0), (0, 0, -4), (0, -2, 2), (-9, 0, 0)],
}


@given(st.data())
def test_other_channels_again_and_again(small_tiles, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = data.draw(st.sampled_from([(13, 17), (33, 40), (4, 9, 8)]))
    ndim = len(shape)
    further = FURTHER[ndim]
    order = rng.permutation(len(further) + ndim)
    offsets = [(DIRECT[ndim] + further)[n] for n in order]
    steps = data.draw(st.sampled_from([4, 1 << 20]))  # with and without ties
    affinities = (rng.integers(0, steps + 1, (len(offsets), *shape)) / steps).astype(np.float32)
    if data.draw(st.booleans()):  # mostly sure, as a model is
        affinities[rng.random(affinities.shape) < 0.7] = 1
    pixels = rng.permutation(affinities[0].size)
    said = data.draw(st.booleans())
    told = {
        "mask": data.draw(st.none() | st.just(rng.random(shape) < 0.8)),
        "bias": data.draw(st.sampled_from([0.0, 0.25, -0.25])),
        "must_link": pixels[:4].reshape(2, 2) if said else None,
        "cannot_link": pixels[4:8].reshape(2, 2) if said else None,
        "threads": data.draw(st.integers(1, 2)),
    }
    channel = {offset: n for n, offset in enumerate(offsets)}
    with small_tiles():
        watershed = AffinityWatershed(affinities, offsets, DIRECT[ndim], **told)
        for some in (further, further[:1], (), further[2:], further[1:3]):
            every = data.draw(st.none() | st.integers(1, 3))
            wanted = [*DIRECT[ndim], *some]
            expected = mutex_watershed(
                affinities[[channel[offset] for offset in wanted]],
                wanted,
                ndim,
                strides=every,
                **told,
            )
            assert np.array_equal(watershed.partition(some, strides=every), expected)


def test_what_is_not_there_is_refused():
    affinities = np.ones((3, 5, 6), np.float32)
    watershed = AffinityWatershed(affinities, [*DIRECT[2], (-3, 0)], DIRECT[2])
    with pytest.raises(InputError, match=r"offset \(0, -3\)"):
        watershed.partition([(0, -3)])
    with pytest.raises(InputError, match=r"offset \(0, -1\)"):
        AffinityWatershed(affinities[:2], [(-1, 0), (-3, 0)], DIRECT[2])
    affinities[0, 1, 1] = np.nan
    with pytest.raises(InputError, match="not numbers"):
        AffinityWatershed(affinities, [*DIRECT[2], (-3, 0)], DIRECT[2])


def test_affinities_are_not_changed():
    affinities = np.random.default_rng(0).random((4, 20, 24), dtype=np.float32)
    kept = affinities.copy()
    offsets = [*DIRECT[2], (-3, 0), (0, -3)]
    watershed = AffinityWatershed(affinities, offsets, DIRECT[2])
    watershed.partition(offsets[2:])
    np.testing.assert_array_equal(affinities, kept)
    assert watershed.nbytes > 0
