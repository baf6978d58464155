"""Affinities read off single masks, without asking all masks that hold a pair (methods B4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.masks.aggregation import only_inside
from napari_pea.core.masks.blocks import MOST_BYTES, MaskReader, blocks_of
from napari_pea.core.masks.lattice import MaskLattice, sources_of
from napari_pea.core.neighborhood import Offset
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray


def central_entries(
    shape: Sequence[int],
    read: MaskReader,
    lattices: Sequence[MaskLattice],
    offsets: Sequence[Offset],
    *,
    most_bytes: int = MOST_BYTES,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> NDArray[np.float32]:
    """Return what the mask of a pixel says about the pixel an offset away.

    Parameters
    ----------
    shape, read, lattices, offsets, most_bytes, progress, cancel
        See `napari_pea.core.masks.aggregation.aggregate`. The same kinds of masks are asked
        about an offset; where these are several, the mean counts.

    Returns
    -------
    array of float32, shape (N, *spatial)
        Affinities from 0 to 1; 0 where the partner lies outside the image.

    Raises
    ------
    InputError
        If masks do not reach an offset.
    Cancelled
        If `cancel` was set.
    """
    branches = [[source.branch for source in sources_of(offset, lattices)] for offset in offsets]
    used = sorted({branch for asked in branches for branch in asked})
    affinities = np.zeros((len(offsets), *shape), dtype=np.float32)
    # Nothing around a block is asked for, so that it may be as large as its surroundings.
    blocks = list(blocks_of(shape, lattices, most_bytes))
    for done, block in enumerate(blocks):
        progress(done, len(blocks))
        for branch in used:
            check_cancel(cancel)
            masks = read(branch, block)
            for channel, (offset, asked) in enumerate(zip(offsets, branches, strict=True)):
                if branch in asked:
                    entry = lattices[branch].entry(offset)
                    affinities[channel][block] += np.asarray(masks[entry]) / len(asked)
    only_inside(affinities, offsets)
    progress(len(blocks), len(blocks))
    return affinities
