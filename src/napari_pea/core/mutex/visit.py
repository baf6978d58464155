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

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.kernels import compiled, inlined, prefetch
from napari_pea.core.mutex.parts import N_REMEMBERED, Apart, Clusters, Frame, Pairs
from napari_pea.core.mutex.priorities import angle_between, cosine, flipped, repulsion_within

#: How many pairs ahead memory is fetched.
LOOK_AHEAD = 32

_ZERO = np.uint32(0)
_DE_BRUIJN = np.uint32(0x077CB531)
#: Position of the only bit of a word, by the topmost five bits of its product with that number.
_BIT = np.zeros(32, dtype=np.uint8)
for _n in range(32):
    _BIT[((0x077CB531 << _n) & 0xFFFFFFFF) >> 27] = _n


@inlined
def pixel_of(
    index: np.uint64,
    base: np.uint64,
    row: np.uint64,
    section: np.uint64,
    columns_of: np.uint64,
    rows_of: np.uint64,
) -> np.uint64:
    """Return the pixel of the image at an index of a frame.

    Parameters
    ----------
    index : uint64
        What is asked for.
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
def kept_apart(
    couples: NDArray[np.uint32],
    concerned: NDArray[np.uint8],
    groups: NDArray[np.uint32],
    labels: NDArray[np.uint32],
    first: np.uint32,
    second: np.uint32,
) -> bool:
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
def visit(
    pairs: Pairs,
    frame: Frame,
    clusters: Clusters,
    apart: Apart,
    keys: NDArray[np.uint32],
    ids: NDArray[np.uint32],
    start: int,
    stop: int,
    id_bits: np.uint64,
    pending: NDArray[np.uint8],
) -> None:
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
        Set for pairs that are put off: one of the clusters is open, or the problem is
        provisional and fewer repulsive offsets could let the pair merge.
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
    provisional = pairs.provisional
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

    def has_witness(
        member: np.uint64,
        other: np.uint32,
        priority: np.float32,
        course: np.uint64,
        size: np.uint32,
    ) -> np.bool_ | bool:
        """Whether a repulsive pair on a course, above a priority, joins a member to a cluster."""
        found: np.bool_ | bool = False
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
            first, second = np.uint64(labels[u]), np.uint64(labels[u + steps[offset]])
            prefetch(sizes, first)
            prefetch(sizes, second)
            if depth:
                prefetch(vectors, first * depth)
                prefetch(vectors, second * depth)
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
        put_off = opened.size > 0 and (opened[small] >= priority or opened[large] >= priority)
        spread = np.float32(0)
        close = False
        if depth and not put_off:
            if sizes[small] > sizes[large]:
                smaller, larger = large, small
            else:
                smaller, larger = small, large
            first = pixel_of(np.uint64(smaller), base, row, section, columns_of, rows_of)
            second = pixel_of(np.uint64(larger), base, row, section, columns_of, rows_of)
            spread = angle_between(cosine(vectors, depth, first, second)) + radii[smaller]
            close = repulsion_within(spread + radii[larger]) <= priority
            if not close and provisional:  # look at every member: it is for later, too
                spread = np.float32(0)
                member = np.uint64(smaller)
                while True:
                    pixel = pixel_of(member, base, row, section, columns_of, rows_of)
                    angle = angle_between(cosine(vectors, depth, pixel, second))
                    spread = max(spread, angle)
                    member = np.uint64(following[member])
                    if member == smaller:
                        break
                close = repulsion_within(spread + radii[larger]) <= priority
            put_off = provisional and not close and not ways.size
        pair = offset * n_pixels + pixel_of(u, base, row, section, columns_of, rows_of)
        if put_off:
            pending[pair] = 1
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
        if not close and size >= least:
            slot = (small * np.uint32(31) + large) & np.uint32(N_REMEMBERED - 1)
            if blocked[0, slot] == small and blocked[1, slot] == large:
                continue
            # In a very small cluster, all members are as quickly looked at.
            opposite = course ^ np.uint64(1)
            forbidden = has_witness(u, large, priority, course, size) or (
                sizes[small] > 3 and has_witness(v, small, priority, opposite, size)
            )
            if forbidden and not provisional:
                continue
            if not forbidden:
                forbidden = has_witness(u, large, priority, any_course, size)
                member = np.uint64(following[u])
                while member != u and not forbidden:
                    forbidden = has_witness(member, large, priority, any_course, size)
                    member = np.uint64(following[member])
            if forbidden and provisional:
                pending[pair] = 1
                opened[small] = max(opened[small], priority)
                opened[large] = max(opened[large], priority)
                continue
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
