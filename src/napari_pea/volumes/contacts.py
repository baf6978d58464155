"""What the pixel pairs between objects say, within a block and across its faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.affinity import pixel_major
from napari_pea.volumes.contacts_kernel import (
    crossing_pairs,
    inner_contacts,
    pair_affinities,
    summed_by_pair,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.neighborhood import Neighborhood
    from napari_pea.volumes.grid import Block, Grid


@dataclass(frozen=True, eq=False)
class Contacts:
    """Pairs of objects and what the pixel pairs between them say.

    Attributes
    ----------
    objects : array of int64, shape (P, 2)
        Ids, the smaller first; each pair once.
    evidence : array of float64, shape (P,)
        Above 0 for one object, below 0 for two: the sum of affinity - 1/2 over the pixel
        pairs.
    """

    objects: NDArray[np.int64]
    evidence: NDArray[np.float64]

    @classmethod
    def summed(cls, objects: NDArray[np.int64], evidence: NDArray[np.floating]) -> Contacts:
        """Return each pair of objects once.

        Parameters
        ----------
        objects : array of int64, shape (M, 2)
            Pairs, as often as you like; those of an object with itself or with the
            background, 0, do not count.
        evidence : array of float, shape (M,)
            Of each.
        """
        pairs, total = summed_by_pair(
            np.ascontiguousarray(objects[:, 0], dtype=np.int64),
            np.ascontiguousarray(objects[:, 1], dtype=np.int64),
            evidence.astype(np.float64),
        )
        return cls.in_order(pairs, total)

    @classmethod
    def in_order(cls, pairs: NDArray[np.int64], total: NDArray[np.float64]) -> Contacts:
        """Return contacts in the order of their objects."""
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        return cls(pairs[order], total[order])

    @classmethod
    def side_by_side(cls, parts: list[Contacts]) -> Contacts:
        """Return several sets as one, of which no two know the same pair."""
        if not parts:
            return cls(np.zeros((0, 2), dtype=np.int64), np.zeros(0))
        return cls(
            np.concatenate([part.objects for part in parts]),
            np.concatenate([part.evidence for part in parts]),
        )

    def shifted(self, first: int) -> Contacts:
        """Return the same with higher ids."""
        return Contacts(self.objects + first, self.evidence)

    def held_apart(self) -> Contacts:
        """Return the same with no evidence above 0.

        What the partition of a block has held apart is not joined by the pairs that it knew
        of, only by others across the faces.
        """
        return Contacts(self.objects, np.minimum(self.evidence, 0))


@dataclass(frozen=True, eq=False)
class Crossing:
    """The pixel pairs that leave a block for one with a higher number.

    Attributes
    ----------
    first, second : array of int64, shape (P,)
        Flat positions in the frame of the block (see `reach_of`).
    repels : array of bool, shape (P,)
        Whether the pair repels.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    repels: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        block: Block,
        frame: tuple[slice, ...],
        grid: Grid,
        neighborhood: Neighborhood,
        strides: tuple[int, ...],
    ) -> Crossing:
        """List the pairs of a block.

        Parameters
        ----------
        block : Block
            The block.
        frame : tuple of slice
            Its core with all partners of its pixels.
        grid : Grid
            All blocks.
        neighborhood : Neighborhood
            The pairs.
        strides : tuple of int
            Repulsive pairs begin at multiples only.
        """
        given = (
            _three([part.stop - part.start for part in frame], 1),
            _three([part.start for part in frame], 0),
            _three([part.start for part in block.core], 0),
            _three([part.stop for part in block.core], 1),
            _three(grid.block_shape, 1),
            _three(grid.counts, 1),
            _rows(neighborhood.offsets),
            neighborhood.n_attractive,
            _three(strides, 1),
        )
        nothing = np.empty(0, dtype=np.int64)
        n = crossing_pairs(*given, nothing, nothing, np.empty(0, dtype=bool))
        found = (
            np.empty(n, dtype=np.int64),
            np.empty(n, dtype=np.int64),
            np.empty(n, dtype=bool),
        )
        crossing_pairs(*given, *found)
        return cls(*found)

    def affinities(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the affinities of the pairs.

        Parameters
        ----------
        vectors : array of float, shape (D, *frame)
            The embedding of the frame.
        """
        found = np.empty(len(self.first), dtype=np.float32)
        pair_affinities(_flat(vectors), len(vectors), self.first, self.second, found)
        return found

    def evidence(self, affinities: NDArray[np.float32], bias: float) -> NDArray[np.float32]:
        """Return what each pair says: affinity - 1/2.

        Parameters
        ----------
        affinities : array of float32, shape (P,)
            Of the pairs.
        bias : float
            Added to the affinity of attractive pairs.
        """
        said: NDArray[np.float32] = affinities + np.where(self.repels, 0, bias) - 0.5
        return said

    def objects(self, labels: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the objects on both sides of each pair, shape (P, 2).

        Parameters
        ----------
        labels : array of int, shape (*frame)
            Ids that are unique in the whole array; 0 is background.
        """
        flat = labels.reshape(-1)
        return np.stack([flat[self.first], flat[self.second]], axis=1).astype(np.int64)


def contacts_within(
    labels: NDArray[np.uint32],
    vectors: NDArray[np.floating],
    block: Block,
    neighborhood: Neighborhood,
    strides: tuple[int, ...],
) -> Contacts:
    """Return what the pixel pairs between the objects of a block say.

    Parameters
    ----------
    labels : array of uint32, shape of the core
        The objects.
    vectors : array of float, shape (D, *outer)
        The embedding of the block and what is around it.
    block : Block
        The block.
    neighborhood, strides
        See `Crossing.of`.
    """
    pairs, sums = inner_contacts(
        np.ascontiguousarray(labels).reshape(_three(labels.shape, 1)),
        _three([part.start for part in block.core], 0),
        _flat(vectors),
        len(vectors),
        _three(vectors.shape[1:], 1),
        _three([part.start for part in block.inner], 0),
        _rows(neighborhood.offsets),
        neighborhood.n_attractive,
        _three(strides, 1),
    )
    return Contacts.in_order(pairs, sums)


def reach_of(neighborhood: Neighborhood) -> tuple[int, ...]:
    """Return how far partners are at most, along each axis."""
    return tuple(np.abs(neighborhood.offsets).max(axis=0).tolist())


def _flat(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = np.moveaxis(pixel_major(vectors), 0, -1).reshape(-1)
    return rows


def _three(values: Any, missing: int) -> NDArray[np.int64]:
    """Return one number for each of three axes, the first ones filled up."""
    given = tuple(values)
    return np.array((missing,) * (3 - len(given)) + given, dtype=np.int64)


def _rows(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return offsets of three axes."""
    return np.pad(offsets, ((0, 0), (3 - offsets.shape[1], 0)))
