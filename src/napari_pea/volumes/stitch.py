"""Joining the objects of all blocks: the multicut of the graph of their contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

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
    # A graph needs some hundred bytes for each contact.
    contacts = of_one_group(contacts, groups(n_objects, contacts))
    nodes, ends = np.unique(contacts.objects, return_inverse=True)
    graph = UndirectedGraph.from_edges(len(nodes), ends.reshape(-1, 2).astype(np.uint64))
    cut = np.asarray(multicut_kernighan_lin(graph, contacts.evidence)).astype(np.int64)
    found = np.arange(n_objects + 1)
    # The lowest id of each cluster.
    lowest = np.full(int(cut.max()) + 1, n_objects, dtype=np.int64)
    np.minimum.at(lowest, cut, nodes)
    found[nodes] = lowest[cut]
    _, first, place = np.unique(found, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[place]  # nothing touches the background, which comes first


def groups(n_objects: int, contacts: Contacts) -> NDArray[np.int32]:
    """Return a number for each object, equal where a chain of contacts above 0 links two.

    The best multicut never joins across two groups: all that is said between them is against it.

    Parameters
    ----------
    n_objects : int
        In all blocks; the background is number 0.
    contacts : Contacts
        All with an evidence above 0.
    """
    joined = contacts.objects[contacts.evidence > 0]
    links = coo_array(
        (np.ones(len(joined), dtype=bool), tuple(joined.T)), shape=(n_objects + 1,) * 2
    )
    found: NDArray[np.int32] = connected_components(links, directed=False)[1]
    return found


def of_one_group(contacts: Contacts, group: NDArray[np.int32]) -> Contacts:
    """Return the contacts between objects of one group (see `groups`)."""
    kept = group[contacts.objects[:, 0]] == group[contacts.objects[:, 1]]
    return Contacts(contacts.objects[kept], contacts.evidence[kept])


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
