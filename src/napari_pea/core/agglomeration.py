"""Partitions that merge the pieces of a watershed: multicut and average linkage.

Both are elf's, with its engine bioimage-cpp. Images are volumes of one section here. The
pieces come from each section on its own, as both papers have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.affinity import pair_slices
from napari_pea.core.labels import as_objects
from napari_pea.core.progress import CancelToken, check_cancel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.neighborhood import Offset

#: The boundary bias of both lies this far from 0 and 1 at least.
LEAST_BIAS = 0.01


@dataclass(frozen=True)
class WatershedSettings:
    """How a section is cut into pieces: see elf's `distance_transform_watershed`.

    Parameters
    ----------
    threshold : float
        Where the boundary is above it, there is one.
    sigma_seeds, sigma_weights : float
        Blur, in pixels, of the distances that seeds are taken from, and of the boundary.
    min_size : int
        Smaller pieces are given to their neighbours.
    alpha : float
        Share of the boundary in what is flooded; the rest is the distance to it.
    """

    threshold: float = 0.25
    sigma_seeds: float = 2.0
    sigma_weights: float = 2.0
    min_size: int = 100
    alpha: float = 0.9


#: As the authors of PEA cut volumes (methods A9), and those of LSIM (methods B6).
MULTICUT_PIECES = WatershedSettings()
AVERAGE_PIECES = WatershedSettings(threshold=0.5, sigma_seeds=0.1, min_size=20)


def multicut(
    affinities: NDArray[np.floating],
    offsets: Sequence[Offset],
    n_attractive: int,
    *,
    mask: NDArray[np.bool_] | None = None,
    bias: float = 0.0,
    watershed: WatershedSettings = MULTICUT_PIECES,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Partition by the multicut of a graph of watershed pieces (methods A9).

    The probability of a cut between two pieces is the mean of 1 - affinity over the direct
    pixel pairs between them. Its log-odds, weighted by the number of pairs, are the costs
    that Kernighan and Lin's method minimises.

    Parameters
    ----------
    affinities : array of float, shape (N, *spatial)
        1 for the same object; only the attractive channels are used.
    offsets : sequence of offset
        One for each channel.
    n_attractive : int
        The first channels are those of direct neighbours.
    mask : array of bool, shape (*spatial), optional
        Where objects may be.
    bias : float
        From -1 to 1: positive values merge more. The boundary bias of the costs is
        (1 - bias) / 2.
    watershed : WatershedSettings
        How pieces are made.
    cancel : CancelToken, optional
        Checked between the steps.

    Returns
    -------
    array of uint32, shape (*spatial)
        Objects numbered from 1 in the order of their first pixels; 0 outside the mask.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    from elf.segmentation.features import compute_affinity_features, compute_rag
    from elf.segmentation.multicut import compute_edge_costs, multicut_kernighan_lin

    direct, steps, inside = _in_3d(affinities[:n_attractive], offsets[:n_attractive], mask)
    pieces = watershed_pieces(direct, steps, inside, watershed)
    check_cancel(cancel)
    graph = compute_rag(pieces, n_threads=1)
    links = np.asarray(graph.uv_ids())
    if not len(links):
        return pieces.reshape(affinities.shape[1:])
    features = compute_affinity_features(
        graph, pieces, 1 - direct, [list(step) for step in steps], n_threads=1
    )
    costs = compute_edge_costs(
        features[:, 0],
        edge_sizes=features[:, -1],
        beta=_boundary_bias(bias),
        weighting_scheme="all",
    )
    outside = (links == 0).any(axis=1)
    costs[outside] = -1 - np.abs(costs).sum()  # no object reaches into the background
    check_cancel(cancel)
    objects = multicut_kernighan_lin(graph, costs)
    merged = np.where(pieces > 0, np.asarray(objects)[pieces] + 1, 0)
    return as_objects(merged.reshape(affinities.shape[1:]))


def average_linkage(
    affinities: NDArray[np.floating],
    offsets: Sequence[Offset],
    n_attractive: int,
    *,
    mask: NDArray[np.bool_] | None = None,
    bias: float = 0.0,
    watershed: WatershedSettings = AVERAGE_PIECES,
    lifted: bool = False,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Partition by average linkage of watershed pieces (GaspAvg, methods B6).

    The weight of two pieces is the mean affinity of all pixel pairs between them, those of
    long range included, less 1/2. They merge from the highest weight down to 0, and weights of
    merged pieces are averaged.

    Parameters
    ----------
    affinities, offsets, n_attractive, mask, bias, watershed, cancel
        See `multicut`; all channels are used.
    lifted : bool
        Whether pieces that do not touch have a weight too, as in LSIM, if pairs of long range
        link them.

    Returns
    -------
    array of uint32, shape (*spatial)
        Objects numbered from 1 in the order of their first pixels; 0 outside the mask. With
        lifted edges an object may consist of several pieces.

    Raises
    ------
    Cancelled
        If `cancel` was set.

    Notes
    -----
    LSIM lets only pieces that touch be merged, whatever the weight of the others. The engine
    takes a pair that may not be merged and attracts for a ban to merge the two, so that here
    lifted edges may merge.
    """
    from elf.segmentation.gasp import run_GASP
    from elf.segmentation.gasp_utils import AccumulatorLongRangeAffs

    stack, steps, inside = _in_3d(affinities, offsets, mask)
    pieces = watershed_pieces(stack[:n_attractive], steps[:n_attractive], inside, watershed)
    check_cancel(cancel)
    if pieces.max(initial=0) < 2:
        return pieces.reshape(affinities.shape[1:])
    numbers = pieces.astype(np.int64) - 1
    if inside is not None:
        # The background is a piece like others, but nothing is drawn to it.
        numbers[~inside] = pieces.max()
        stack = np.where(_both_inside(inside, steps), stack, np.float32(0))
    graph = AccumulatorLongRangeAffs(
        [list(step) for step in steps],
        offset_probabilities=None if lifted else np.zeros(len(steps), dtype=np.float32),
        verbose=False,
        n_threads=1,
        return_dict=True,
    )(stack, numbers)
    check_cancel(cancel)
    objects, _ = run_GASP(
        graph["graph"],
        graph["edge_indicators"] - _boundary_bias(bias),
        linkage_criteria="average",
        edge_sizes=graph["edge_sizes"],
    )
    merged = np.where(pieces > 0, np.asarray(objects)[numbers].astype(np.int64) + 1, 0)
    return as_objects(merged.reshape(affinities.shape[1:]))


def watershed_pieces(
    affinities: NDArray[np.float32],
    offsets: Sequence[Offset],
    mask: NDArray[np.bool_] | None,
    settings: WatershedSettings,
) -> NDArray[np.uint32]:
    """Return the pieces of a volume, section by section.

    Parameters
    ----------
    affinities : array of float32, shape (N, Z, Y, X)
        Of direct neighbours.
    offsets : sequence of offset
        One for each channel.
    mask : array of bool, shape (Z, Y, X), optional
        Where pieces may be.
    settings : WatershedSettings
        How pieces are made.

    Returns
    -------
    array of uint32, shape (Z, Y, X)
        Numbered from 1 without gaps; 0 outside the mask.
    """
    from elf.segmentation.watershed import stacked_watershed

    boundary = boundary_map(affinities, offsets)
    pieces, _ = stacked_watershed(
        boundary, ws_function=_section_pieces, mask=mask, n_threads=1, **asdict(settings)
    )
    return as_objects(pieces)


def boundary_map(
    affinities: NDArray[np.floating], offsets: Sequence[Offset]
) -> NDArray[np.float32]:
    """Return where sections are cut: the highest of 1 - affinity to a neighbour in the section.

    Parameters
    ----------
    affinities : array of float, shape (N, Z, Y, X)
        Of direct neighbours.
    offsets : sequence of offset
        One for each channel.

    Returns
    -------
    array of float32, shape (Z, Y, X)
        A cut between two pixels shows in both: the authors note it in one, and then pieces
        end beside the cut rather than at it.
    """
    boundary = np.zeros(affinities.shape[1:], dtype=np.float32)
    for channel, offset in zip(affinities, offsets, strict=True):
        slices = pair_slices(boundary.shape, offset)
        if offset[0] or slices is None:
            continue
        cut = 1 - channel[slices[0]].astype(np.float32)
        for end in slices:
            np.maximum(boundary[end], cut, out=boundary[end])
    return boundary


def _section_pieces(
    boundary: NDArray[np.float32], mask: NDArray[np.bool_] | None, **settings: Any
) -> tuple[NDArray[np.integer], int]:
    """Return the pieces of a section and the largest id."""
    from elf.segmentation.watershed import distance_transform_watershed
    from scipy import ndimage

    inside = np.ones(boundary.shape, dtype=bool) if mask is None else mask
    above = boundary > settings["threshold"]
    if above.any() and not above[inside].all():
        pieces, largest = distance_transform_watershed(boundary, mask=mask, **settings)
        return pieces, int(largest)
    # Nothing to measure distances to.
    pieces, largest = ndimage.label(inside)
    return pieces, int(largest)


def _both_inside(mask: NDArray[np.bool_], offsets: Sequence[Offset]) -> NDArray[np.bool_]:
    """Return whether both pixels of a pair lie in the mask, shape (N, Z, Y, X)."""
    both = np.zeros((len(offsets), *mask.shape), dtype=bool)
    for channel, offset in zip(both, offsets, strict=True):
        slices = pair_slices(mask.shape, offset)
        if slices is not None:
            here, there = slices
            channel[here] = mask[here] & mask[there]
    return both


def _boundary_bias(bias: float) -> float:
    """Return the boundary bias, of which 1/2 is neutral and less merges more."""
    return float(np.clip((1 - bias) / 2, LEAST_BIAS, 1 - LEAST_BIAS))


def _in_3d(
    affinities: NDArray[np.floating], offsets: Sequence[Offset], mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], list[Offset], NDArray[np.bool_] | None]:
    """Return affinities, offsets and mask with sections."""
    flat = affinities.ndim == 3
    stack = np.ascontiguousarray(affinities[:, None] if flat else affinities, dtype=np.float32)
    steps = [(0, *offset) if flat else tuple(offset) for offset in offsets]
    return stack, steps, mask[None] if mask is not None and flat else mask
