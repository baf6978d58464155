"""What is done with one block: its objects, and what is needed to join them with others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.affinity import pixel_major
from napari_pea.core.labels import as_objects
from napari_pea.core.partition import partition_embedding
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.refine import refine
from napari_pea.core.settings import SegmentationSettings
from napari_pea.volumes.contacts import Contacts, Crossing, contacts_within, reach_of
from napari_pea.volumes.grid import Block, Grid, Region, widened
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
    """

    labels: NDArray[np.uint32]
    within: Contacts
    crossing: NDArray[np.float32]


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
        vectors=vectors,
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
    return BlockResult(labels, within, crossing)


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
) -> Contacts:
    """Return what is said about the objects of a block and those of blocks with higher numbers.

    Parameters
    ----------
    block, grid, settings
        See `cut_block`.
    labels : array of int, shape of the frame
        Ids that are unique in the whole array.
    crossing : array of float32
        What `cut_block` found.
    """
    ndim = len(grid.shape)
    frame = frame_of(block, grid, settings)
    pairs = Crossing.of(block, frame, grid, settings.neighborhood(ndim), settings.strides_for(ndim))
    return pairs.contacts(labels, crossing, settings.bias)


def frame_of(block: Block, grid: Grid, settings: SegmentationSettings) -> Region:
    """Return the core of a block with all partners of its pixels."""
    reach = reach_of(settings.neighborhood(len(grid.shape)))
    return widened(block.core, reach, grid.shape)
