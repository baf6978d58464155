"""The heart of the Mutex Watershed: attractive pairs in order, and what forbids a merge.

Only attractive pairs are sorted. When the pair (u, v) with priority w has its turn, it is
forbidden exactly if a repulsive pair stronger than w joins the present cluster of u to that
of v: clusters only grow, so a pair that joins them now also joined them when it had its own
turn. The search begins at u and v, where such a pair nearly always lies, and goes on through
the members of the smaller cluster.

What makes the search short are *marks*: for a stretch of pairs that is about to be visited,
one bit for each pixel, repulsive offset and direction tells whether that repulsion is
stronger than the weakest pair of the stretch. Only marked pairs are looked up.

All indices are unsigned: numba would test signed ones for counting from the end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.kernels import compiled, dot16, inlined, prefetch

#: Label of pixels that belong to no object.
OUTSIDE = np.uint32(0xFFFFFFFF)
#: Repulsive offsets per word of marks: a bit for each direction.
OFFSETS_PER_WORD = 16
#: Entries of the memory of cluster pairs that cannot be merged.
N_REMEMBERED = 256

#: Room for rounding in angles, in radians.
ANGLE_SLACK = np.float32(1e-3)
#: How many pairs ahead memory is fetched.
LOOK_AHEAD = 32

_ZERO = np.uint32(0)
_ONE = np.uint32(1)
_SIGN = np.uint32(31)
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_DE_BRUIJN = np.uint32(0x077CB531)
#: Position of the only bit of a word, by the topmost five bits of its product with that number.
_BIT = np.zeros(32, dtype=np.uint8)
for _n in range(32):
    _BIT[((0x077CB531 << _n) & 0xFFFFFFFF) >> 27] = _n


class Pairs(NamedTuple):
    """The pixel pairs of an image and their affinities; 2D images have one section.

    Attributes
    ----------
    shape : array of int64, shape (3,)
    affinities : array of float32, shape (N * pixels,)
        Channel by channel; of no length if there are vectors.
    vectors : array of float32, shape (pixels * depth,)
        The embedding, pixel by pixel, of unit length.
    depth : uint64
        Length of its vectors; 0 if there are affinities.
    attractive, repulsive : array of int64, shape (A, 3) and (R, 3)
        Offsets.
    attractive_channels, repulsive_channels : array of int64, shape (A,) and (R,)
        Which affinities are theirs.
    strides : array of int64, shape (3,)
        Repulsive pairs start at multiples only.
    bias : float32
        An attractive pair has priority affinity + bias.
    top : float32
        A repulsive pair has priority top - affinity.
    signed : bool
        Whether each pair attracts or repels by the sign of its priority.
    rates : array of uint64, shape (N,)
        How many of 2**32 pairs of a channel are taken, if signed.
    seed : uint64
        Decides which.
    masked : bool
        Whether some pixels lie outside.
    """

    shape: NDArray[np.int64]
    affinities: NDArray[np.float32]
    vectors: NDArray[np.float32]
    depth: np.uint64
    attractive: NDArray[np.int64]
    repulsive: NDArray[np.int64]
    attractive_channels: NDArray[np.int64]
    repulsive_channels: NDArray[np.int64]
    strides: NDArray[np.int64]
    bias: np.float32
    top: np.float32
    signed: bool
    rates: NDArray[np.uint64]
    seed: np.uint64
    masked: bool


class Frame(NamedTuple):
    """How a part of the image is laid out in memory.

    Attributes
    ----------
    origin, extent : array of int64, shape (3,)
        Where it lies.
    strides : array of int64, shape (3,)
        Steps between its pixels along each axis.
    steps : array of uint64, shape (A,)
        What the attractive offsets are in such steps, modulo 2**64.
    ways : array of uint64, shape (2 R,)
        What the repulsive offsets are, forwards and backwards in turn.
    values, partners : array of uint64, shape (2 R,)
        What to add to a pixel of the image for the index of that affinity and for the pixel
        at the other end.
    reach : array of uint32, shape (S, words)
        Marks that can join two clusters of so many pixels in all.
    least : uint32
        Fewest pixels that some mark can join.
    toward : array of uint32, shape (2 A + 1, words)
        Marks that point along an attractive offset, forwards and backwards in turn; then all.
    row, section : uint64
        Base 2 logarithms of the strides of y and z; 63 for the image itself.
    """

    origin: NDArray[np.int64]
    extent: NDArray[np.int64]
    strides: NDArray[np.int64]
    steps: NDArray[np.uint64]
    ways: NDArray[np.uint64]
    values: NDArray[np.uint64]
    partners: NDArray[np.uint64]
    reach: NDArray[np.uint32]
    least: np.uint32
    toward: NDArray[np.uint32]
    row: np.uint64
    section: np.uint64


class Clusters(NamedTuple):
    """The clusters of a part of the image.

    Attributes
    ----------
    labels : array of uint32, shape (pixels,)
        One pixel of the cluster, the same for all of them; `OUTSIDE` for none.
    following : array of uint32, shape (pixels,)
        The next pixel of the same cluster, round and round.
    sizes : array of uint32, shape (pixels,)
        Number of pixels, at the pixel that is the label.
    opened : array of float32, shape (pixels,)
        At the pixel that is the label: the highest priority of a pair that is not decided
        here and could change the cluster. Of no length where everything is decided.
    radii : array of float32, shape (pixels,)
        At the label: no vector of the cluster is further than this angle, in radians, from
        that of the label. Of no length if there are affinities.
    marks : array of uint32, shape (words * pixels,)
        Bits of repulsive pairs, 16 offsets to a word.
    blocked : array of uint32, shape (2, N_REMEMBERED)
        Cluster pairs that are known not to merge.
    """

    labels: NDArray[np.uint32]
    following: NDArray[np.uint32]
    sizes: NDArray[np.uint32]
    opened: NDArray[np.float32]
    radii: NDArray[np.float32]
    marks: NDArray[np.uint32]
    blocked: NDArray[np.uint32]


class Apart(NamedTuple):
    """What the user forbids; arrays of no length forbid nothing.

    Attributes
    ----------
    pairs : array of uint32, shape (P, 2)
        Pixels that cannot be in one object.
    concerned : array of uint8, shape (pixels,)
        At a label: whether the cluster has a pixel of a pair.
    groups : array of uint32, shape (pixels,)
        At a label: which group the cluster belongs to, 0 for none. Groups stay apart.
    """

    pairs: NDArray[np.uint32]
    concerned: NDArray[np.uint8]
    groups: NDArray[np.uint32]


@inlined
def flipped(bits):  # type: ignore[no-untyped-def]
    """Return the sort key of the bits of a number, or the bits of a key.

    Keys ascend where numbers descend; the number must not be negative zero.
    """
    return bits if bits >> _SIGN else np.uint32(~bits) & _MAGNITUDE


@inlined
def cosine(vectors, depth, first, second):  # type: ignore[no-untyped-def]
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
def sampled(rate, seed, channel, pixel):  # type: ignore[no-untyped-def]
    """Whether a pair is taken, by a hash of what identifies it."""
    if rate >> np.uint64(32):
        return True
    mixed = np.uint64(seed + np.uint64(pixel) * np.uint64(0x9E3779B97F4A7C15))
    mixed = np.uint64(mixed + np.uint64(channel + 1) * np.uint64(0xD1B54A32D192ED03))
    mixed = np.uint64((mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    mixed = np.uint64((mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
    return (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(32) < rate


@compiled
def sort_keys(keys, ids, keys_out, ids_out, n):  # type: ignore[no-untyped-def]
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


@compiled
def mark_repulsion(pairs, frame, clusters, threshold):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, C901
    """Mark the repulsive pairs inside a frame that are stronger than a threshold.

    With vectors instead of affinities all pairs are marked, for a cosine costs too much.
    """
    marks, labels, affinities = clusters.marks, clusters.labels, pairs.affinities
    shape, origin, extent = pairs.shape, frame.origin, frame.extent
    n_pixels = shape[0] * shape[1] * shape[2]
    top, signed, rates, seed = pairs.top, pairs.signed, pairs.rates, pairs.seed
    every_z, every_y, every = pairs.strides
    marks[:] = _ZERO
    for n in range(pairs.repulsive.shape[0]):
        oz, oy, ox = pairs.repulsive[n]
        channel = pairs.repulsive_channels[n]
        left = max(0, -ox)
        left += -(origin[2] + left) % every
        count = min(extent[2], extent[2] - ox) - left
        if count <= 0:
            continue
        forward = np.uint32(1 << (2 * (n % OFFSETS_PER_WORD)))
        backward = np.uint32(2 << (2 * (n % OFFSETS_PER_WORD)))
        word = (n // OFFSETS_PER_WORD) * labels.size
        step = oz * frame.strides[0] + oy * frame.strides[1] + ox
        for z in range(max(0, -oz), min(extent[0], extent[0] - oz)):
            if every_z > 1 and (origin[0] + z) % every_z:
                continue
            for y in range(max(0, -oy), min(extent[1], extent[1] - oy)):
                if every_y > 1 and (origin[1] + y) % every_y:
                    continue
                start = z * frame.strides[0] + y * frame.strides[1] + left
                pixel = ((origin[0] + z) * shape[1] + origin[1] + y) * shape[2]
                pixel += origin[2] + left
                here, there = np.uint64(start), np.uint64(start + step)
                ahead, behind = np.uint64(word + start), np.uint64(word + start + step)
                value = np.uint64(channel * n_pixels + pixel)
                if pairs.depth:
                    for i in range(0, count, every):
                        x = np.uint64(i)
                        inside = (labels[here + x] != OUTSIDE) & (labels[there + x] != OUTSIDE)
                        marks[ahead + x] |= forward if inside else _ZERO
                        marks[behind + x] |= backward if inside else _ZERO
                elif every > 1 or signed:
                    for i in range(0, count, every):
                        x = np.uint64(i)
                        if top - affinities[value + x] > threshold and (
                            not signed or sampled(rates[channel], seed, channel, pixel + i)
                        ):
                            marks[ahead + x] |= forward
                            marks[behind + x] |= backward
                elif pairs.masked:
                    for i in range(count):
                        x = np.uint64(i)
                        inside = (labels[here + x] != OUTSIDE) & (labels[there + x] != OUTSIDE)
                        strong = (top - affinities[value + x] > threshold) & inside
                        marks[ahead + x] |= forward if strong else _ZERO
                    for i in range(count):
                        x = np.uint64(i)
                        inside = (labels[here + x] != OUTSIDE) & (labels[there + x] != OUTSIDE)
                        strong = (top - affinities[value + x] > threshold) & inside
                        marks[behind + x] |= backward if strong else _ZERO
                else:
                    for i in range(count):
                        x = np.uint64(i)
                        strong = top - affinities[value + x] > threshold
                        marks[ahead + x] |= forward if strong else _ZERO
                    for i in range(count):
                        x = np.uint64(i)
                        strong = top - affinities[value + x] > threshold
                        marks[behind + x] |= backward if strong else _ZERO


@inlined
def pixel_of(index, base, row, section, columns_of, rows_of):  # type: ignore[no-untyped-def]
    """Return the pixel of the image at an index of a frame.

    Parameters
    ----------
    index : uint64
    base : uint64
        The first pixel of the frame.
    row, section : uint64
        As in `Frame`; with 63 the index is the pixel.
    columns_of, rows_of : uint64
        Pixels of the image from row to row and from section to section.
    """
    rows = (np.uint64(1) << (section - row)) - np.uint64(1)
    columns = (np.uint64(1) << row) - np.uint64(1)
    in_section = ((index >> row) & rows) * columns_of + (index & columns)
    return base + (index >> section) * rows_of + in_section


@inlined
def angle_between(similarity):  # type: ignore[no-untyped-def]
    """Return an upper bound of the angle between two vectors, in radians.

    On [0, 1] the arc cosine of x is at most pi / 2 times the root of 1 - x.
    """
    if similarity <= 0:
        return np.float32(np.pi)
    return np.float32(np.pi / 2) * np.sqrt(np.float32(1) - similarity) + ANGLE_SLACK


@inlined
def kept_apart(couples, concerned, groups, labels, first, second):  # type: ignore[no-untyped-def]
    """Whether the user forbids to merge two clusters (see `Apart`)."""
    if groups.size and groups[first] and groups[second] and groups[first] != groups[second]:
        return True
    if couples.size and concerned[first] and concerned[second]:
        for n in range(couples.shape[0]):
            one, two = labels[couples[n, 0]], labels[couples[n, 1]]
            if (one == first and two == second) or (one == second and two == first):
                return True
    return False


@compiled
def visit(pairs, frame, clusters, apart, keys, ids, start, stop, id_bits, pending):  # type: ignore[no-untyped-def]
    """Visit attractive pairs in order: merge, forbid, or put off.

    Parameters
    ----------
    pairs, frame, clusters, apart
        As above; the marks must be those of the priority of the last pair.
    keys, ids : array of uint32
        The pairs, sorted; an id is the number of the offset and the index of the pixel.
    start, stop : int
        Which of them.
    id_bits : uint64
        Bits of an id that tell the pixel; 0 if ids count all pixels of the image instead.
    pending : array of uint8, shape (A * pixels,)
        Set for pairs that are put off, because one of the clusters is open.
    """
    # Names of arrays on their own: reading them from the tuples counts references.
    labels, following, sizes = clusters.labels, clusters.following, clusters.sizes
    opened, radii, marks, blocked = (
        clusters.opened,
        clusters.radii,
        clusters.marks,
        clusters.blocked,
    )
    couples, concerned, groups = apart.pairs, apart.concerned, apart.groups
    affinities, vectors, depth, top = pairs.affinities, pairs.vectors, pairs.depth, pairs.top
    steps, ways, values, partners = frame.steps, frame.ways, frame.values, frame.partners
    reach, least, toward = frame.reach, frame.least, frame.toward
    row, section = frame.row, frame.section
    columns_of = np.uint64(pairs.shape[2])
    rows_of = np.uint64(pairs.shape[1]) * columns_of
    n_pixels = np.uint64(pairs.shape[0]) * rows_of
    base = np.uint64(frame.origin[0]) * rows_of
    base += np.uint64(frame.origin[1]) * columns_of + np.uint64(frame.origin[2])
    n_here = np.uint64(labels.size)
    n_words = reach.shape[1]
    largest = np.uint32(reach.shape[0] - 1)
    any_course = np.uint64(toward.shape[0] - 1)
    pixel_bits = (np.uint64(1) << id_bits) - np.uint64(1)
    bits = np.empty(1, np.uint32)
    number = bits.view(np.float32)

    def has_witness(member, other, priority, course, size):  # type: ignore[no-untyped-def]
        """Whether a repulsive pair on a course, above a priority, joins a member to a cluster."""
        found = False
        pixel = pixel_of(member, base, row, section, columns_of, rows_of)
        for word in range(n_words):
            mark = marks[np.uint64(word) * n_here + member]
            left = np.uint32(mark & toward[course, word] & reach[size, word])
            while left and not found:
                lowest = np.uint32(left & (_ZERO - left))
                left ^= lowest
                way = np.uint64(word * 32) + np.uint64(_BIT[np.uint32(lowest * _DE_BRUIJN) >> 27])
                if labels[member + ways[way]] == other:
                    if depth:
                        value = cosine(vectors, depth, pixel, pixel + partners[way])
                    else:
                        value = affinities[pixel + values[way]]
                    found = top - value > priority
        return found

    for i in range(start, stop):
        if id_bits == 0 and i + LOOK_AHEAD < stop:
            u = np.uint64(ids[i + LOOK_AHEAD])
            offset = np.uint64(0)
            while u >= n_pixels:
                u -= n_pixels
                offset += np.uint64(1)
            prefetch(labels, u)
            prefetch(labels, u + steps[offset])
            prefetch(following, u)
            prefetch(marks, u)
            u = np.uint64(ids[i + LOOK_AHEAD // 2])
            offset = np.uint64(0)
            while u >= n_pixels:
                u -= n_pixels
                offset += np.uint64(1)
            prefetch(sizes, np.uint64(labels[u]))
            prefetch(sizes, np.uint64(labels[u + steps[offset]]))
        u = np.uint64(ids[i])
        offset = np.uint64(0)
        if id_bits:
            offset = u >> id_bits
            u &= pixel_bits
        else:
            while u >= n_pixels:
                u -= n_pixels
                offset += np.uint64(1)
        v = u + steps[offset]
        small, large = labels[u], labels[v]
        if small == large:
            continue
        bits[0] = flipped(keys[i])
        priority = number[0]
        if opened.size and (opened[small] >= priority or opened[large] >= priority):
            pixel = pixel_of(u, base, row, section, columns_of, rows_of)
            pending[offset * n_pixels + pixel] = 1
            opened[small] = max(opened[small], priority)
            opened[large] = max(opened[large], priority)
            continue
        course = np.uint64(2) * offset
        if sizes[small] > sizes[large]:
            small, large = large, small
            u, v = v, u
            course += np.uint64(1)
        if kept_apart(couples, concerned, groups, labels, small, large):
            continue
        size = min(sizes[small] + sizes[large], largest)
        spread = np.float32(0)
        close = False
        if depth:
            first = pixel_of(np.uint64(small), base, row, section, columns_of, rows_of)
            second = pixel_of(np.uint64(large), base, row, section, columns_of, rows_of)
            spread = angle_between(cosine(vectors, depth, first, second)) + radii[small]
            # No cosine between the two is below that of this angle, which is at least
            # 1 - angle² / 2.
            angle = spread + radii[large]
            close = angle * angle <= np.float32(2) * priority
        if not close and size >= least:
            slot = (small * np.uint32(31) + large) & np.uint32(N_REMEMBERED - 1)
            if blocked[0, slot] == small and blocked[1, slot] == large:
                continue
            if has_witness(u, large, priority, course, size):
                continue
            # In a very small cluster, all members are as quickly looked at.
            opposite = course ^ np.uint64(1)
            if sizes[small] > 3 and has_witness(v, small, priority, opposite, size):
                continue
            forbidden = has_witness(u, large, priority, any_course, size)
            member = np.uint64(following[u])
            while member != u and not forbidden:
                forbidden = has_witness(member, large, priority, any_course, size)
                member = np.uint64(following[member])
            if forbidden:
                blocked[0, slot] = small
                blocked[1, slot] = large
                continue
        if opened.size:
            opened[large] = max(opened[large], opened[small])
        if depth:
            radii[large] = max(radii[large], spread)
        if couples.size:
            concerned[large] |= concerned[small]
        if groups.size and groups[large] == 0:
            groups[large] = groups[small]
        member = u
        while True:
            labels[member] = large
            member = np.uint64(following[member])
            if member == u:
                break
        sizes[large] += sizes[small]
        following[u], following[v] = following[v], following[u]
