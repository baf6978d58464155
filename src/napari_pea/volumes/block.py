"""What is done with one block: its objects, and what is needed to join them with others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.affinity import pixel_major
from napari_pea.core.labels import as_objects
from napari_pea.core.partition import partition_embedding
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.refine import refine
from napari_pea.core.settings import SegmentationSettings
from napari_pea.volumes.contacts import Contacts, Crossing, contacts_within, reach_of
from napari_pea.volumes.grid import Block, Grid, Region, relative, widened
from napari_pea.volumes.sources import EmbeddingSource

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class BlockResult:
    """The objects of a block.

    Attributes
    ----------
    labels : array of uint32, shape of the core
        Numbered from 1; 0 is background. Small objects are still there.
    within : Contacts
        What the pixel pairs between them say.
    crossing : array of float32
        The affinities of the pixel pairs that leave the block (see `Crossing`).
    seen : dict of (int, int) to array of bool
        For each axis, and 0 for the near face or 1 for the far one: which pixels are in one
        object with the next pixel beyond the face, as this block sees it. Faces of the whole
        array are left out.
    """

    labels: NDArray[np.uint32]
    within: Contacts
    crossing: NDArray[np.float32]
    seen: dict[tuple[int, int], NDArray[np.bool_]]


def cut_block(
    source: EmbeddingSource,
    block: Block,
    grid: Grid,
    settings: SegmentationSettings,
    *,
    cancel: CancelToken | None = None,
) -> BlockResult:
    """Segment a block with its surroundings.

    Parameters
    ----------
    source : EmbeddingSource
        Embeds regions of the array.
    block : Block
        The block.
    grid : Grid
        All blocks; its halo is at least as wide as the longest range.
    settings : SegmentationSettings
        How to segment. Small objects and holes are left for later: their other halves may
        lie in other blocks.
    cancel : CancelToken, optional
        Checked between the steps.

    Returns
    -------
    BlockResult

    Raises
    ------
    InputError
        If the settings do not fit the array.
    Cancelled
        If `cancel` was set.
    """
    ndim = len(grid.shape)
    neighborhood = settings.neighborhood(ndim)
    strides = settings.strides_for(ndim)
    vectors, foreground = _embedded(source, block, cancel)
    check_cancel(cancel)
    pieces = partition_embedding(vectors, neighborhood, settings, foreground, cancel=cancel)
    objects = refine(
        pieces,
        settings.updated(min_size=0, fill_holes=False),
        evidence=Embedding(vectors, foreground),
        cut_sides=[
            (part.start > 0, part.stop < size)
            for part, size in zip(block.outer, grid.shape, strict=True)
        ],
        cancel=cancel,
    )
    check_cancel(cancel)
    labels = as_objects(objects[block.inner])
    within = contacts_within(labels, vectors, block, neighborhood, strides)
    # The same pairs in the same order as in the smaller frame of `contacts_across`.
    crossing = Crossing.of(block, block.outer, grid, neighborhood, strides).affinities(vectors)
    return BlockResult(labels, within, crossing, _seen_across(objects, block, grid))


def _seen_across(
    objects: NDArray[np.uint32], block: Block, grid: Grid
) -> dict[tuple[int, int], NDArray[np.bool_]]:
    """Return which pixels on the faces of a block are in one object with the next beyond."""
    seen = {}
    for axis, part in enumerate(block.core):
        for end, outside in ((0, part.start == 0), (1, part.stop == grid.shape[axis])):
            if outside:
                continue
            layer = np.moveaxis(objects, axis, 0)
            rest = (*block.inner[:axis], *block.inner[axis + 1 :])
            at = block.inner[axis].stop - 1 if end else block.inner[axis].start
            here, beyond = layer[(at, *rest)], layer[(at + 1 if end else at - 1, *rest)]
            seen[axis, end] = (here == beyond) & (here > 0)
    return seen


def _embedded(
    source: EmbeddingSource, block: Block, cancel: CancelToken | None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return vectors, pixel by pixel in memory, and foreground of a block and its surroundings."""
    embedding = source(block.outer, cancel=cancel)
    return pixel_major(embedding.vectors), embedding.foreground


def contacts_across(
    block: Block,
    grid: Grid,
    settings: SegmentationSettings,
    labels: NDArray[np.integer],
    crossing: NDArray[np.float32],
    votes: Mapping[int, NDArray[np.integer]],
) -> Contacts:
    """Return what is said about the objects of a block and those of blocks with higher numbers.

    The sum of affinity - 1/2 alone would be wrong about thin parts: long pairs between the
    rim of an object and its middle have low affinities, which count little in a partition.
    Both blocks have looked beyond the face, so each has a vote for every pair of pixels
    across it. Where both agree, they outweigh the affinities.

    Parameters
    ----------
    block, grid, settings
        See `cut_block`.
    labels : array of int, shape of the frame
        Ids that are unique in the whole array.
    crossing : array of float32
        What `cut_block` found.
    votes : mapping of int to array of int
        For each axis with a block beyond: 1 where both blocks see one object across the face,
        -1 where both see two, 0 where they differ.
    """
    ndim = len(grid.shape)
    frame = frame_of(block, grid, settings)
    pairs = Crossing.of(block, frame, grid, settings.neighborhood(ndim), settings.strides_for(ndim))
    objects, evidence = [pairs.objects(labels)], [pairs.evidence(crossing, settings.bias)]
    # As much as all pairs together can say at most.
    weight = len(crossing) / max(1, sum(vote.size for vote in votes.values())) / 2
    core = relative(block.core, frame)
    for axis, vote in votes.items():
        layers = np.moveaxis(labels, axis, 0)
        rest, at = (*core[:axis], *core[axis + 1 :]), core[axis].stop
        here, beyond = layers[(at - 1, *rest)], layers[(at, *rest)]
        objects.append(np.stack([here.reshape(-1), beyond.reshape(-1)], axis=1))
        evidence.append((weight * vote).reshape(-1))
    return Contacts.summed(np.concatenate(objects), np.concatenate(evidence))


def frame_of(block: Block, grid: Grid, settings: SegmentationSettings) -> Region:
    """Return the core of a block with all partners of its pixels."""
    reach = reach_of(settings.neighborhood(len(grid.shape)))
    return widened(block.core, reach, grid.shape)
