r"""How sure the Mutex Watershed is of each object.

The *inside* margin of an object says how clearly its pixels belong together, the *outside*
margin how clearly it is kept apart from its neighbours:

- inside: the minimum over its merges of the priority of the merge minus the strongest
  repulsion between the two clusters merged (0 if there is none);
- outside: the minimum over the neighbours that it is attractively linked to of the strongest
  repulsion minus the strongest attraction between the two objects.

Both are at least 0, because a merge is made unless a stronger repulsion forbids it. Where a
margin is small, a small change of the affinities splits the object or merges it.

The merges are those of Kruskal's algorithm on the attractive pairs inside each object: a pair
that was forbidden never ends up inside one. A repulsive pair lies between the two clusters of
exactly one merge, the one that brought its two ends together. It is found in the forest of
merges in a number of steps that grows with the logarithm of the size of the object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.affinity import pixel_major
from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import InputError
from napari_pea.core.margins_kernel import attractive_pairs, merge_forest, repulsive_pairs
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, check_cancel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from napari_pea.core.evidence import Evidence


@dataclass(frozen=True, eq=False)
class Margins:
    """The margins of the objects of a partition.

    Attributes
    ----------
    inside : array of float32, shape (n_objects + 1,)
        By id; NaN for the background and for objects of one pixel, which were never merged.
    pairs : array of int64, shape (P, 2)
        The objects that attract each other, each pair once, the smaller id first. Pairs
        that the user's cuts hold apart are left out.
    gaps : array of float32, shape (P,)
        The strongest repulsion minus the strongest attraction of each pair.
    """

    inside: NDArray[np.float32]
    pairs: NDArray[np.int64]
    gaps: NDArray[np.float32]

    @property
    def outside(self) -> NDArray[np.float32]:
        """The outside margins by id, shape (n_objects + 1,); NaN without a neighbour."""
        return _smallest(self.pairs, self.gaps, len(self.inside))

    def refined(
        self, pieces: NDArray[np.integer], labels: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the margins of the objects that refining has made of those of a partition.

        The inside margin of an object is the smallest of its pieces, and so is the outside
        margin; neighbours that are pieces of the same object, or were removed, do not
        count.

        Parameters
        ----------
        pieces : array of int, shape (*spatial)
            The partition.
        labels : array of int, shape (*spatial)
            The objects made of it; every piece lies in one object or in the background.

        Returns
        -------
        inside, outside : array of float32, shape (n_objects + 1,)
            By id; NaN where there is nothing to compare.
        """
        owner = np.zeros(len(self.inside), dtype=np.int64)
        owner[pieces.reshape(-1)] = labels.reshape(-1)
        owner[0] = 0
        n_ids = int(labels.max(initial=0)) + 1
        inside = _smallest(owner[:, None], self.inside, n_ids)
        pairs = owner[self.pairs]
        counts = (pairs > 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])
        return inside, _smallest(pairs[counts], self.gaps[counts], n_ids)


def embedding_margins(
    labels: NDArray[np.integer],
    vectors: NDArray[np.floating],
    neighborhood: Neighborhood,
    *,
    strides: Sequence[int] | None = None,
    bias: float = 0.0,
    constraints: Constraints | None = None,
    cancel: CancelToken | None = None,
) -> Margins:
    """Return the margins of a partition of an embedding.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        The partition, not refined and before the user's joins: ids from 1 without large
        gaps, 0 outside of the mask.
    vectors : array of float, shape (D, *spatial)
        The embedding vectors it was made from, of unit length.
    neighborhood : Neighborhood
        The pixel pairs.
    strides, bias, constraints
        What it was made with; see `napari_pea.core.mutex.mutex_watershed`.
    cancel : CancelToken, optional
        Checked after each offset.

    Returns
    -------
    Margins

    Raises
    ------
    InputError
        If the arrays do not fit each other.
    Cancelled
        If `cancel` was set.
    """
    return _margins(
        labels,
        np.asarray(vectors),
        neighborhood.offsets,
        neighborhood.n_attractive,
        True,
        strides,
        bias,
        constraints,
        cancel,
    )


def affinity_margins(
    labels: NDArray[np.integer],
    affinities: NDArray[np.floating],
    offsets: NDArray[np.integer] | Sequence[Sequence[int]],
    n_attractive: int | None = None,
    *,
    strides: Sequence[int] | None = None,
    bias: float = 0.0,
    constraints: Constraints | None = None,
    cancel: CancelToken | None = None,
) -> Margins:
    """Return the margins of a partition of affinities.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        See `embedding_margins`.
    affinities : array of float, shape (N, *spatial)
        The affinities it was made from.
    offsets : array of int, shape (N, ndim)
        Their steps in pixels.
    n_attractive : int, optional
        How many of the first channels attract; by default one for each axis.
    strides, bias, constraints
        What it was made with; see `napari_pea.core.mutex.mutex_watershed`.
    cancel : CancelToken, optional
        Checked after each offset.

    Returns
    -------
    Margins

    Raises
    ------
    InputError
        If the arrays do not fit each other.
    Cancelled
        If `cancel` was set.
    """
    n_attract = labels.ndim if n_attractive is None else n_attractive
    return _margins(
        labels,
        np.asarray(affinities),
        offsets,
        n_attract,
        False,
        strides,
        bias,
        constraints,
        cancel,
    )


def margins_of(
    labels: NDArray[np.integer],
    evidence: Evidence,
    neighborhood: Neighborhood,
    *,
    strides: Sequence[int] | None = None,
    bias: float = 0.0,
    constraints: Constraints | None = None,
    cancel: CancelToken | None = None,
) -> Margins:
    """Return the margins of a partition by what a model says.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        See `embedding_margins`.
    evidence : Evidence
        What it was made from.
    neighborhood, strides, bias, constraints, cancel
        See `embedding_margins`.

    Returns
    -------
    Margins

    Raises
    ------
    InputError
        If the arrays do not fit each other, or the model does not know an offset.
    Cancelled
        If `cancel` was set.
    """
    if isinstance(evidence, Embedding):
        return embedding_margins(
            labels,
            evidence.vectors,
            neighborhood,
            strides=strides,
            bias=bias,
            constraints=constraints,
            cancel=cancel,
        )
    return affinity_margins(
        labels,
        evidence.affinities(neighborhood.offset_list),
        neighborhood.offsets,
        neighborhood.n_attractive,
        strides=strides,
        bias=bias,
        constraints=constraints,
        cancel=cancel,
    )


def warm_up() -> None:
    """Compile what margins need, so that nobody waits for it later; slow the first time."""
    vectors = np.full((16, 2, 3), 0.25, dtype=np.float32)
    embedding_margins(np.ones((2, 3), dtype=np.uint32), vectors, Neighborhood((1, 2)))


def _margins(
    labels: NDArray[Any],
    source: NDArray[Any],
    offsets: ArrayLike,
    n_attractive: int,
    is_embedding: bool,
    strides: Sequence[int] | None,
    bias: float,
    constraints: Constraints | None,
    cancel: CancelToken | None,
) -> Margins:
    shape = labels.shape
    steps = np.asarray(offsets, dtype=np.int64)
    fits = source.shape[1:] == shape and steps.ndim == 2 and steps.shape[1] == len(shape)
    if len(shape) not in (2, 3) or not fits or not (is_embedding or len(source) == len(steps)):
        raise InputError(
            f"Labels of shape {shape}, values of shape {source.shape} and offsets of shape "
            f"{steps.shape} do not fit each other: give those of one image."
        )
    every = tuple(strides) if strides is not None else (1,) * len(shape)
    lead = (1,) * (3 - len(shape))
    given = constraints or Constraints.none()
    owner = np.ascontiguousarray(labels, dtype=np.int32).reshape(*lead, *shape)
    nothing = np.zeros(0, dtype=np.float32)
    if is_embedding:
        rows = np.moveaxis(pixel_major(source), 0, -1).reshape(-1)
        values = (nothing, rows, np.uint64(len(source)))
    else:
        stack = np.ascontiguousarray(source, dtype=np.float32).reshape(-1)
        values = (stack, nothing, np.uint64(0))
    steps = np.concatenate((np.zeros((len(steps), len(lead)), dtype=np.int64), steps), axis=1)
    stride = np.array((*lead, *every), dtype=np.int64)

    flat = owner.reshape(-1)
    n_ids = int(flat.max(initial=0)) + 1
    found = [
        attractive_pairs(owner, *values, channel, steps[channel], np.float32(bias))
        for channel in range(n_attractive)
    ] or [(np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))]
    check_cancel(cancel)
    priority, first, second = (np.concatenate(parts) for parts in zip(*found, strict=True))
    same = flat[first] == flat[second]
    pairs, attraction = _strongest(flat, priority[~same], first[~same], second[~same], n_ids)

    inner = np.flatnonzero(same)
    inner = inner[np.argsort(-priority[inner], kind="stable")]
    inside = np.full(n_ids, np.inf, dtype=np.float32)
    forest = merge_forest(
        flat, priority[inner], first[inner], second[inner], given.must_link, inside
    )
    check_cancel(cancel)
    repulsion = np.full(len(pairs), -np.inf, dtype=np.float32)
    starts = np.searchsorted(pairs[:, 0], np.arange(n_ids + 1))
    weakest = inside.copy()
    # The longest first: they repel most, and what cannot lower a margin is skipped.
    for channel in reversed(range(n_attractive, len(steps))):
        repulsive_pairs(
            owner,
            *values,
            channel,
            steps[channel],
            stride,
            *forest,
            weakest,
            inside,
            starts,
            np.ascontiguousarray(pairs[:, 1]),
            repulsion,
        )
        check_cancel(cancel)
    inside[np.isinf(inside)] = np.nan
    known = np.isfinite(repulsion) & ~_are_cut(pairs, flat, given.cannot_link, n_ids)
    gaps = (repulsion - attraction)[known]
    if is_embedding:  # another backend may have added up its cosines in another order
        inside, gaps = np.maximum(inside, 0), np.maximum(gaps, 0)
    return Margins(inside, pairs[known], gaps)


def _strongest(
    owner: NDArray[np.int32],
    priority: NDArray[np.float32],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    n_ids: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the pairs of objects, sorted, and the strongest attraction of each."""
    ends = np.sort(np.stack((owner[first], owner[second]), axis=1).astype(np.int64), axis=1)
    codes, position = np.unique(ends[:, 0] * n_ids + ends[:, 1], return_inverse=True)
    strongest = np.full(len(codes), -np.inf, dtype=np.float32)
    np.maximum.at(strongest, position, priority)
    return np.stack((codes // n_ids, codes % n_ids), axis=1), strongest


def _are_cut(
    pairs: NDArray[np.int64],
    owner: NDArray[np.int32],
    cannot_link: NDArray[np.int64],
    n_ids: int,
) -> NDArray[np.bool_]:
    """Return which pairs of objects the user's cuts hold apart."""
    ends = np.sort(owner[cannot_link].astype(np.int64), axis=1)
    return np.isin(pairs[:, 0] * n_ids + pairs[:, 1], ends[:, 0] * n_ids + ends[:, 1])


def _smallest(
    owners: NDArray[np.int64], values: NDArray[np.float32], n_ids: int
) -> NDArray[np.float32]:
    """Return the smallest value of each id; NaN if there is none, and for the background.

    Parameters
    ----------
    owners : array of int, shape (n, k)
        The k ids that each value belongs to.
    values : array of float32, shape (n,)
        NaN counts as no value.
    n_ids : int
        The number of ids, background included.
    """
    smallest = np.full(n_ids, np.inf, dtype=np.float32)
    for owner in owners.T:
        np.fmin.at(smallest, owner, values)
    smallest[0] = np.inf
    smallest[np.isinf(smallest)] = np.nan
    return smallest
