"""Priorities of pixel pairs: where they come from, and their order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.kernels import compiled, dot16, inlined

#: Room for rounding in angles, in radians: vectors may be longer than 1 by `ROUNDING`.
ANGLE_SLACK = np.float32(2e-3)

_SIGN = np.uint32(31)
_MAGNITUDE = np.uint32(0x7FFFFFFF)


@inlined
def flipped(bits: np.uint32) -> np.uint32:
    """Return the sort key of the bits of a number, or the bits of a key.

    Keys ascend where numbers descend; the number must not be negative zero.
    """
    return bits if bits >> _SIGN else np.uint32(~bits) & _MAGNITUDE


@inlined
def cosine(
    vectors: NDArray[np.float32], depth: np.uint64, first: np.uint64, second: np.uint64
) -> np.float32:
    """Return the affinity of two pixels from their vectors: the cosine, at least 0."""
    one, other = first * depth, second * depth
    total = np.float32(0)
    for _ in range(depth >> np.uint64(4)):
        total += dot16(vectors, one, other)
        one += np.uint64(16)
        other += np.uint64(16)
    for _ in range(depth & np.uint64(15)):
        total += vectors[one] * vectors[other]
        one += np.uint64(1)
        other += np.uint64(1)
    return min(max(total, np.float32(0)), np.float32(1))


@inlined
def priority_of(
    affinities: NDArray[np.float32],
    vectors: NDArray[np.float32],
    depth: np.uint64,
    bias: np.float32,
    value: int,
    pixel: int,
    partner: int,
) -> np.float32:
    """Return the priority of an attractive pair, zero without a sign."""
    if depth:
        affinity = cosine(vectors, depth, np.uint64(pixel), np.uint64(partner))
    else:
        affinity = affinities[value]
    return affinity + bias + np.float32(0)


@inlined
def angle_between(similarity: np.float32) -> np.float32:
    """Return an upper bound of the angle between two vectors, in radians.

    The arc cosine as in Abramowitz and Stegun, 4.4.45, which is right to 7e-5; the slack is
    larger.
    """
    if similarity <= 0:
        return np.float32(np.pi)
    x = similarity
    factor = np.float32(0.0742610) - np.float32(0.0187293) * x
    factor = np.float32(1.5707288) + x * (np.float32(-0.2121144) + x * factor)
    root: np.float32 = np.sqrt(np.float32(1) - x)
    return root * factor + ANGLE_SLACK


@inlined
def repulsion_within(angle: np.float32) -> np.float32:
    """Return an upper bound of the repulsion of two vectors that are at most an angle apart.

    It is 1 minus a cosine, and the series of the cosine alternates.
    """
    square = angle * angle
    return square * (
        np.float32(1 / 2) - square * (np.float32(1 / 24) - square * np.float32(1 / 720))
    )


@inlined
def sampled(rate: np.uint64, seed: np.uint64, channel: int, pixel: int) -> np.bool_ | bool:
    """Whether a pair is taken, by a hash of what identifies it."""
    if rate >> np.uint64(32):
        return True
    mixed = np.uint64(seed + np.uint64(pixel) * np.uint64(0x9E3779B97F4A7C15))
    mixed = np.uint64(mixed + np.uint64(channel + 1) * np.uint64(0xD1B54A32D192ED03))
    mixed = np.uint64((mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    mixed = np.uint64((mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
    return (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(32) < rate


@compiled
def sort_keys(
    keys: NDArray[np.uint32],
    ids: NDArray[np.uint32],
    keys_out: NDArray[np.uint32],
    ids_out: NDArray[np.uint32],
    n: int,
) -> None:
    """Sort the first n keys and their ids, stably, into the other two arrays."""
    low = np.zeros(2048, np.int64)
    middle = np.zeros(2048, np.int64)
    high = np.zeros(2048, np.int64)
    for i in range(n):
        key = keys[i]
        low[key & 2047] += 1
        middle[(key >> 11) & 2047] += 1
        high[key >> 22] += 1
    n_low = n_middle = n_high = 0
    for digit in range(2048):
        low[digit], n_low = n_low, n_low + low[digit]
        middle[digit], n_middle = n_middle, n_middle + middle[digit]
        high[digit], n_high = n_high, n_high + high[digit]
    for i in range(n):
        key = keys[i]
        to = low[key & 2047]
        low[key & 2047] = to + 1
        keys_out[to] = key
        ids_out[to] = ids[i]
    for i in range(n):
        key = keys_out[i]
        to = middle[(key >> 11) & 2047]
        middle[(key >> 11) & 2047] = to + 1
        keys[to] = key
        ids[to] = ids_out[i]
    for i in range(n):
        key = keys[i]
        to = high[key >> 22]
        high[key >> 22] = to + 1
        keys_out[to] = key
        ids_out[to] = ids[i]
