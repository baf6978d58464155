"""What single masks say, beside what all masks that hold a pair agree on (methods B4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.masks.aggregation import only_inside
from napari_pea.core.masks.blocks import MaskReader, Region
from napari_pea.core.masks.lattice import MaskLattice, sources_of
from napari_pea.core.neighborhood import Offset

if TYPE_CHECKING:
    from numpy.typing import NDArray


class EntryRecorder:
    """Reads masks for others and keeps what each says about the pixels an offset away.

    Parameters
    ----------
    read : MaskReader
        Where masks come from.
    shape : sequence of int
        Of the image.
    lattices : sequence of MaskLattice
        Of the kinds of masks.
    offsets : sequence of offset
        The pairs, in pixels.

    Raises
    ------
    InputError
        If masks do not reach an offset.
    """

    def __init__(
        self,
        read: MaskReader,
        shape: Sequence[int],
        lattices: Sequence[MaskLattice],
        offsets: Sequence[Offset],
    ) -> None:
        self._read = read
        self._offsets = offsets
        # The same kinds of masks tell about an offset as in the mean of all masks.
        self._asked = [
            {
                source.branch: lattices[source.branch].entry(offset)
                for source in sources_of(offset, lattices)
            }
            for offset in offsets
        ]
        self._said = [
            {branch: np.zeros(shape, dtype=np.float32) for branch in asked} for asked in self._asked
        ]

    def __call__(self, branch: int, region: Region) -> Any:
        """Return the masks of some pixels as they were read."""
        masks = self._read(branch, region)
        for asked, said in zip(self._asked, self._said, strict=True):
            if branch in asked:
                entry = masks[asked[branch]]
                said[branch][region] = entry if isinstance(entry, np.ndarray) else entry.cpu()
        return masks

    def affinities(self) -> NDArray[np.float32]:
        """Return the affinities that the mask of a pixel alone tells, shape (N, *spatial).

        Where several kinds of masks reach an offset, the mean; 0 where the partner lies outside
        the image, or the mask of a pixel was not read.
        """
        found: NDArray[np.float32] = np.stack(
            [np.mean(list(said.values()), axis=0, dtype=np.float32) for said in self._said]
        )
        only_inside(found, self._offsets)
        return found
