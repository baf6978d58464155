"""Dense tissue of any size, made up where it is looked at, with its embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.kernels import compiled, inlined
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.volumes.grid import Region

#: Mean distance of the middles of cells, in voxels.
SPACING = 20
#: Dimension of the embedding; words of its signs have unit length.
DEPTH = 16


@inlined
def _mixed(value: np.uint64) -> np.uint64:
    """Return a number that looks random."""
    value = np.uint64(value + np.uint64(0x9E3779B97F4A7C15))
    value = np.uint64((value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    value = np.uint64((value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
    return np.uint64(value ^ (value >> np.uint64(31)))


@compiled
def cells_of(start: NDArray[np.int64], labels: NDArray[np.int64], spacing: int) -> None:
    """Write for each voxel the number of the cell whose middle is nearest.

    Space is cut into cubes, and each holds the middle of one cell.

    Parameters
    ----------
    start : array of int, shape (3,)
        Where the region begins.
    labels : array of int64, shape (Z, Y, X)
        Receives the cells.
    spacing : int
        Side of the cubes.
    """
    depth, height, width = labels.shape
    first = start // spacing - 1
    counts = (start + np.array(labels.shape) - 1) // spacing - first + 2
    middles = np.empty((counts[0], counts[1], counts[2], 3), np.float32)
    for a in range(counts[0]):
        for b in range(counts[1]):
            for c in range(counts[2]):
                cube = np.array([first[0] + a, first[1] + b, first[2] + c])
                key = np.uint64(0)
                for axis in range(3):
                    key = _mixed(key ^ np.uint64(cube[axis] + (1 << 20)))
                for axis in range(3):
                    part = np.float32((key >> np.uint64(20 * axis)) & np.uint64(0xFFFFF))
                    middles[a, b, c, axis] = (cube[axis] + part / 0xFFFFF) * spacing
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                at_z, at_y, at_x = start[0] + z, start[1] + y, start[2] + x
                cube_z = at_z // spacing - first[0]
                cube_y = at_y // spacing - first[1]
                cube_x = at_x // spacing - first[2]
                least = np.float32(np.inf)
                for a in range(cube_z - 1, cube_z + 2):
                    for b in range(cube_y - 1, cube_y + 2):
                        for c in range(cube_x - 1, cube_x + 2):
                            dz = middles[a, b, c, 0] - at_z
                            dy = middles[a, b, c, 1] - at_y
                            dx = middles[a, b, c, 2] - at_x
                            distance = dz * dz + dy * dy + dx * dx
                            if distance < least:
                                least = distance
                                number = ((first[0] + a + 1) << 40) + ((first[1] + b + 1) << 20)
                                labels[z, y, x] = number + first[2] + c + 1


@compiled
def embedded(
    start: NDArray[np.int64],
    labels: NDArray[np.int64],
    noise: np.float32,
    vectors: NDArray[np.float32],
) -> None:
    """Write noisy vectors of unit length that tell the cells apart, shape (Z, Y, X, 16)."""
    depth, height, width = labels.shape
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                cell = labels[z, y, x]
                # Cells in neighbouring cubes have words at right angles, or opposite ones.
                word = ((cell >> 40) % 3) * 9 + ((cell >> 20 & 0xFFFFF) % 3) * 3
                word += (cell & 0xFFFFF) % 3
                place = (np.uint64(start[0] + z) << np.uint64(42)) ^ (
                    np.uint64(start[1] + y) << np.uint64(21)
                )
                place = _mixed(place ^ np.uint64(start[2] + x))
                squared = np.float32(0)
                for d in range(vectors.shape[3]):
                    odd = word >> 4 ^ (word & d) ^ (word & d) >> 2
                    odd = (odd ^ (word & d) >> 1 ^ (word & d) >> 3) & 1
                    sign = np.float32(-0.25) if odd else np.float32(0.25)
                    part = np.float32((place >> np.uint64(4 * (d % 16))) & np.uint64(15))
                    value = sign + noise * (part / np.float32(7.5) - np.float32(1))
                    vectors[z, y, x, d] = value
                    squared += value * value
                length = np.float32(np.sqrt(squared))
                for d in range(vectors.shape[3]):
                    vectors[z, y, x, d] /= length


@dataclass(frozen=True)
class TissueSource:
    """Embeds regions of tissue that is made up: cells nearest to random points.

    Attributes
    ----------
    shape : tuple of int
        Of the volume, (Z, Y, X).
    noise : float
        Largest deviation of each component, which is 0.25 or -0.25 without.
    """

    shape: tuple[int, ...]
    noise: float = 0.1

    @property
    def identity(self) -> dict[str, Any]:
        """Shape and noise."""
        return {"image": "tissue", "shape": list(self.shape), "noise": self.noise}

    def truth(self, region: Region) -> NDArray[np.int64]:
        """Return the cells of a region, by numbers that are unique in the volume."""
        labels = np.empty([part.stop - part.start for part in region], dtype=np.int64)
        cells_of(np.array([part.start for part in region]), labels, SPACING)
        return labels

    def __call__(self, region: Region, *, cancel: CancelToken | None = None) -> Embedding:
        """Return the embedding of a region; there is no background."""
        labels = self.truth(region)
        check_cancel(cancel)
        vectors = np.empty((*labels.shape, DEPTH), dtype=np.float32)
        start = np.array([part.start for part in region])
        embedded(start, labels, np.float32(self.noise), vectors)
        return Embedding(np.moveaxis(vectors, -1, 0), None)
