"""Partitioning with the user's joins and cuts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.constraints import Constraints, linked_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Joined:
    """Raw labels after the user's joins, and before.

    Attributes
    ----------
    labels : array of uint32, shape (*spatial)
        Objects numbered from 1 without gaps, in the order of their first pixels.
    pieces : array of uint32, shape (*spatial)
        The objects that the partition found; a join has made one of several.
    """

    labels: NDArray[np.uint32]
    pieces: NDArray[np.uint32]


def partition_joined(
    partition: Callable[[Constraints], NDArray[np.uint32]], constraints: Constraints
) -> Joined:
    """Partition an image so that linked pixels bring their whole objects together.

    A must-link of two pixels alone makes them one cluster at the start, but then the
    repulsion between the two objects keeps their other pixels away from that cluster. So the
    image is partitioned without the must-links, and the objects that linked pixels lie in
    are united. This is the partition under the must-links of all pixels of these objects.

    Where such a union would hold both ends of a cannot-link, the must-links of the pixels
    themselves go into the partition instead: then they and the cut both hold.

    Parameters
    ----------
    partition : callable
        Returns the raw labels, shape (*spatial), under constraints on pixels.
    constraints : Constraints
        Pairs of pixels that are, or cannot be, in one object.

    Returns
    -------
    Joined

    Raises
    ------
    InputError
        If must-links connect two pixels that a cannot-link holds apart.
    """
    if not len(constraints.must_link):
        pieces = partition(constraints)
        return Joined(pieces, pieces)
    pixels, group = linked_groups(constraints.must_link)
    forced = np.zeros(int(group.max()) + 1, dtype=bool)
    must_link = np.zeros((0, 2), dtype=np.int64)
    while True:
        pieces = partition(Constraints(must_link, constraints.cannot_link))
        flat = pieces.reshape(-1)
        united = _united(flat[pixels], group, int(flat.max(initial=0)))
        broken = _objects_of_broken_cuts(flat, united, constraints.cannot_link)
        offending = np.zeros_like(forced)
        offending[group[np.isin(united[flat[pixels]], broken)]] = True
        offending &= ~forced
        if not offending.any():
            return Joined(_numbered(united)[pieces], pieces)
        forced |= offending
        must_link = _chains(pixels, group, forced, flat)


def _united(labels: NDArray[np.uint32], group: NDArray[np.intp], largest: int) -> NDArray[np.int64]:
    """Return for each object the smallest id of those that it is one object with."""
    inside = labels > 0
    # A group is one more node, which links the objects that have a pixel in it.
    links = np.stack((labels[inside].astype(np.int64), group[inside] + largest + 1), axis=1)
    united = np.arange(largest + 1)
    if len(links):
        nodes, component = linked_groups(links)
        first = np.full(int(component.max()) + 1, largest + 1)
        np.minimum.at(first, component, nodes)
        is_label = nodes <= largest
        united[nodes[is_label]] = first[component[is_label]]
    return united


def _objects_of_broken_cuts(
    labels: NDArray[np.uint32], united: NDArray[np.int64], cannot_link: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the united objects that hold both ends of a cannot-link."""
    first, second = united[labels[cannot_link]].T
    return np.unique(first[(first == second) & (first > 0)])


def _chains(
    pixels: NDArray[np.int64],
    group: NDArray[np.intp],
    wanted: NDArray[np.bool_],
    labels: NDArray[np.uint32],
) -> NDArray[np.int64]:
    """Return links from one object pixel to the next in each wanted group."""
    kept = wanted[group] & (labels[pixels] > 0)
    order = np.argsort(group[kept], kind="stable")
    chain, owner = pixels[kept][order], group[kept][order]
    same = owner[1:] == owner[:-1]
    return np.stack((chain[:-1][same], chain[1:][same]), axis=1)


def _numbered(united: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return new ids from 1 without gaps for the smallest ids of united objects."""
    ids = np.unique(united)
    return np.searchsorted(ids, united).astype(np.uint32)
