"""The compiled loops of `napari_pea.core.fragments`.

Images have three axes here, the first of length 1 in 2D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.kernels import compiled, inlined
from napari_pea.core.mutex.priorities import cosine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.evidence import PairValues


@inlined
def _root(parent: NDArray[np.int64], label: int | np.int64) -> int | np.int64:
    """Return the object that a piece has become part of."""
    while parent[label] != label:
        parent[label] = parent[parent[label]]
        label = parent[label]
    return label


@compiled
def _excluded(parent: NDArray[np.int64], apart: NDArray[np.int64], one: int, other: int) -> bool:
    """Whether two objects have pixels that cannot be in one object."""
    for pair in range(len(apart)):
        first, second = _root(parent, apart[pair, 0]), _root(parent, apart[pair, 1])
        if (first == one and second == other) or (first == other and second == one):
            return True
    return False


@compiled
def merged_into(
    labels: NDArray[np.uint32],
    values: PairValues,
    steps: NDArray[np.int64],
    sizes: NDArray[np.int64],
    largest: int,
    crumb: int,
    least: float,
    apart: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Return the id that each id takes (see `absorb_fragments`).

    Parameters
    ----------
    labels : array of uint32, shape (Z, Y, X)
        Object ids; 0 is background.
    values : PairValues
        The affinities of the steps.
    steps : array of int, shape (M, 3)
        From a pixel to its partners, in both directions.
    sizes : array of int, shape (ids,)
        Pixels of each object, 0 for the background. Changed.
    largest : int
        The most pixels of a piece.
    crumb : int
        Pieces with fewer pixels need no evidence.
    least : float
        The affinity that other pieces need.
    apart : array of int, shape (P, 2)
        Ids that are not merged.
    kept : array of bool, shape (ids,)
        Ids that are no pieces, however small.
    """
    depth, height, width = labels.shape
    n_ids = len(sizes)
    flat = labels.reshape(labels.size)
    affinities, vectors, dimension = values.affinities, values.vectors, values.depth
    firsts, far = values.channels * labels.size, values.far
    parent = np.arange(n_ids)

    # The pixels of each piece as a chain, so that merging two is joining their ends.
    is_piece = (sizes > 0) & (sizes <= largest) & ~kept
    members = np.empty(sizes[is_piece].sum(), np.int64)
    following = np.empty(members.size, np.int64)
    first = np.full(n_ids, -1, np.int64)
    last = np.full(n_ids, -1, np.int64)
    n_members = 0
    for pixel in range(labels.size - 1, -1, -1):
        label = flat[pixel]
        if is_piece[label]:
            members[n_members] = pixel
            following[n_members] = first[label]
            if first[label] < 0:
                last[label] = n_members
            first[label] = n_members
            n_members += 1

    # The pieces of each size as a chain of entries; what grows gets an entry more.
    n_pieces = np.count_nonzero(first >= 0)
    entry_label = np.empty(2 * n_pieces, np.int64)
    entry_next = np.empty(2 * n_pieces, np.int64)
    entry_of_size = np.full(largest + 1, -1, np.int64)
    n_entries = 0
    for label in range(n_ids):
        if first[label] >= 0:
            entry_label[n_entries] = label
            entry_next[n_entries] = entry_of_size[sizes[label]]
            entry_of_size[sizes[label]] = n_entries
            n_entries += 1

    constrained = np.zeros(n_ids, np.bool_)
    for pair in range(len(apart)):
        constrained[apart[pair, 0]] = True
        constrained[apart[pair, 1]] = True

    direct = np.abs(steps).sum(axis=1) == 1
    total = np.zeros(n_ids)
    seen = np.zeros(n_ids, np.bool_)
    touching = np.zeros(n_ids, np.bool_)
    neighbors = np.empty(n_ids, np.int64)
    due = np.empty(n_pieces, np.int64)
    for size in range(1, largest + 1):
        n_due = 0
        entry = entry_of_size[size]
        while entry >= 0:
            due[n_due] = entry_label[entry]
            n_due += 1
            entry = entry_next[entry]
        for piece in np.sort(due[:n_due]):
            if parent[piece] != piece or sizes[piece] != size:
                continue  # merged or grown since
            n_neighbors = 0
            own = np.uint64(piece)
            member = first[piece]
            while member >= 0:
                pixel = members[member]
                z, rest = divmod(pixel, height * width)
                y, x = divmod(rest, width)
                for s in range(len(steps)):
                    z2, y2, x2 = z + steps[s, 0], y + steps[s, 1], x + steps[s, 2]
                    if not (0 <= z2 < depth and 0 <= y2 < height and 0 <= x2 < width):
                        continue
                    there = np.uint64((z2 * height + y2) * width + x2)
                    label = np.uint64(flat[there])
                    if label == 0:
                        continue
                    other = np.uint64(_root(parent, np.int64(label)))
                    if other == own:
                        continue
                    if not seen[other]:
                        seen[other] = True
                        neighbors[n_neighbors] = other
                        n_neighbors += 1
                    touching[other] |= direct[s]
                    if dimension:
                        total[other] += cosine(vectors, dimension, np.uint64(pixel), there)
                    else:
                        noted = np.int64(there) if far[s] else pixel
                        total[other] += affinities[firsts[s] + noted]
                member = following[member]
            target, highest = -1, -1.0
            for n in range(n_neighbors):
                other = neighbors[n]
                better = total[other] > highest or (total[other] == highest and other < target)
                if touching[other] and better:
                    barred = constrained[piece] and constrained[other]
                    if not (barred and _excluded(parent, apart, piece, other)):
                        target, highest = other, total[other]
                total[other] = 0.0
                seen[other] = touching[other] = False
            if target < 0 or (size >= crumb and highest < least * size * len(steps)):
                continue
            parent[piece] = target
            sizes[target] += size
            constrained[target] |= constrained[piece]
            if first[target] >= 0:
                following[last[target]] = first[piece]
                last[target] = last[piece]
                if sizes[target] <= largest:
                    entry_label[n_entries] = target
                    entry_next[n_entries] = entry_of_size[sizes[target]]
                    entry_of_size[sizes[target]] = n_entries
                    n_entries += 1
    for label in range(n_ids):
        parent[label] = _root(parent, label)
    return parent
