"""Filling holes of objects wherever they lie: in one block, or across the faces of many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_pea.volumes.grid import Block, Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Larger than any id.
NONE = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Background:
    """The pieces of background of a block.

    Attributes
    ----------
    lowest, highest : array of int64, shape (n + 1,)
        Of the ids of the objects that each piece touches within the block; above all ids, and
        0, if there is none. The first one stands for no piece.
    is_open : array of bool, shape (n + 1,)
        Whether the piece reaches the border of the whole array.
    faces : mapping of str to array
        "pieces 0 1" and "objects 0 1" are the pieces and the objects on the far face of the
        first axis, "pieces 0 0" and "objects 0 0" those on the near one. There are no pieces
        if the block has no background.
    """

    lowest: NDArray[np.int64]
    highest: NDArray[np.int64]
    is_open: NDArray[np.bool_]
    faces: Mapping[str, NDArray[np.int64]]

    @classmethod
    def of(cls, labels: NDArray[np.int64], block: Block, grid: Grid) -> Background:
        """Look at a block.

        Parameters
        ----------
        labels : array of int64, shape of the core
            Ids in the whole array; 0 is background.
        block, grid : Block, Grid
            Where it lies.
        """
        pieces, n = pieces_of(labels)
        lowest, highest = np.full(n + 1, NONE), np.zeros(n + 1, dtype=np.int64)
        is_open = np.zeros(n + 1, dtype=bool)
        faces: dict[str, NDArray[np.int64]] = {}
        for axis, part in enumerate(block.core):
            for end, outside in ((0, part.start == 0), (1, part.stop == grid.shape[axis])):
                if not outside:
                    faces[f"objects {axis} {end}"] = np.take(labels, -end, axis)
                    if n:
                        faces[f"pieces {axis} {end}"] = np.take(pieces, -end, axis)
                elif n:
                    is_open[np.take(pieces, -end, axis)] = True
            if n:
                here, there = np.moveaxis(pieces, axis, 0), np.moveaxis(labels, axis, 0)
                _touch(lowest, highest, here[:-1], there[1:])
                _touch(lowest, highest, here[1:], there[:-1])
        return cls(lowest, highest, is_open, faces)

    def face(self, axis: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pieces and the objects on a face."""
        objects = self.faces[f"objects {axis} {end}"]
        return self.faces.get(f"pieces {axis} {end}", np.zeros_like(objects)), objects

    def without_faces(self) -> Background:
        """Return what needs little memory."""
        return replace(self, faces={})


def pieces_of(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return the pieces of background, connected along the axes, and how many there are."""
    if labels.all():
        return np.zeros(labels.shape, dtype=np.int64), 0
    pieces, n = ndimage.label(labels == 0, output=np.int64)
    return pieces, int(n)


def filled(labels: NDArray[np.int64], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Fill the holes of a block.

    Parameters
    ----------
    labels : array of int64, shape of the core
        See `Background.of`.
    owner : array of int64, shape (n + 1,)
        The object that each piece belongs to; 0 for background that stays.
    """
    if not owner.any():
        return labels
    pieces, _ = pieces_of(labels)
    return np.where(labels > 0, labels, owner[pieces])


def owners_of_holes(
    grid: Grid, background: Callable[[Block], Background]
) -> list[NDArray[np.int64]]:
    """Return the object that each piece of background belongs to, for each block.

    A hole is background that is connected along the axes, does not reach the border of the
    array and touches exactly one object.

    Parameters
    ----------
    grid : Grid
        All blocks.
    background : callable
        Returns the background of a block; asked again for its faces.
    """
    blocks = list(grid)
    parts = [background(block).without_faces() for block in blocks]
    sizes = np.array([len(part.lowest) for part in parts])
    firsts = np.cumsum(sizes) - sizes
    lowest = np.concatenate([part.lowest for part in parts])
    highest = np.concatenate([part.highest for part in parts])
    is_open = np.concatenate([part.is_open for part in parts])
    joins = [np.zeros((0, 2), dtype=np.int64)]
    for number, index in enumerate(product(*map(range, grid.counts))):
        for axis in range(len(index)):
            if index[axis] + 1 == grid.counts[axis]:
                continue
            beyond = grid.beyond(blocks[number], axis).number
            if sizes[number] == sizes[beyond] == 1:
                continue
            near = background(blocks[number]).face(axis, 1)
            far = background(blocks[beyond]).face(axis, 0)
            for (pieces, _), (_, objects), which in ((near, far, number), (far, near, beyond)):
                _touch(lowest, highest, np.where(pieces, pieces + firsts[which], 0), objects)
            both = (near[0] > 0) & (far[0] > 0)
            pairs = np.stack([near[0][both] + firsts[number], far[0][both] + firsts[beyond]], 1)
            joins.append(np.unique(pairs, axis=0))
    pairs = np.concatenate(joins)
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), [len(lowest)] * 2)
    _, whole = connected_components(links, directed=False)
    low, high = np.full(len(lowest), NONE), np.zeros(len(lowest), dtype=np.int64)
    np.minimum.at(low, whole, lowest)
    np.maximum.at(high, whole, highest)
    reaches = np.zeros(len(lowest), dtype=bool)
    reaches[whole[is_open]] = True
    owner = np.where((low == high) & ~reaches, high, 0)[whole]
    return np.split(owner, firsts[1:])


def _touch(
    lowest: NDArray[np.int64],
    highest: NDArray[np.int64],
    pieces: NDArray[np.int64],
    objects: NDArray[np.int64],
) -> None:
    """Take note of which objects lie beside which pieces."""
    beside = (pieces > 0) & (objects > 0)
    found, ids = pieces[beside], objects[beside]
    np.minimum.at(lowest, found, ids)
    np.maximum.at(highest, found, ids)
