"""Joining the objects of all blocks: the multicut of the graph of their contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pea.volumes.contacts import Contacts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def stitched(n_objects: int, contacts: Contacts) -> NDArray[np.int64]:
    """Return which object each object of a block belongs to.

    What blocks have found is not cut again. Which of their objects are one is decided by the
    multicut: the sum of what all pixel pairs say between objects that stay apart is to be as
    low as possible. Single pixel pairs cannot decide: an object of a block that reaches a
    few pixels too far would be held apart from its other half by the Mutex Watershed.

    Parameters
    ----------
    n_objects : int
        In all blocks; their ids begin at 1.
    contacts : Contacts
        Within blocks and across their faces.

    Returns
    -------
    array of int64, shape (n_objects + 1,)
        Numbered from 1 in the order of their lowest ids; 0 for the background.
    """
    from bioimage_cpp.graph import UndirectedGraph
    from elf.segmentation.multicut import multicut_kernighan_lin

    if not (contacts.evidence > 0).any():
        return np.arange(n_objects + 1)
    graph = UndirectedGraph.from_edges(n_objects + 1, contacts.objects.astype(np.uint64))
    found = np.asarray(multicut_kernighan_lin(graph, contacts.evidence))
    _, first, place = np.unique(found, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[place]  # nothing touches the background, which comes first


def without_small(
    owner: NDArray[np.int64], sizes: NDArray[np.int64], min_size: int
) -> NDArray[np.int64]:
    """Return the objects again, with those that are too small made background.

    Parameters
    ----------
    owner : array of int64, shape (n + 1,)
        See `stitched`.
    sizes : array of int64, shape (n + 1,)
        Pixels of the objects of the blocks.
    min_size : int
        The fewest pixels of an object that is kept.

    Returns
    -------
    array of int64, shape (n + 1,)
        Numbered from 1 without gaps.
    """
    total = np.bincount(owner, weights=sizes, minlength=1)
    kept = total >= max(1, min_size)
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0)[owner]
