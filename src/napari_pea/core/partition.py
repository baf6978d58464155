"""From affinities to raw labels: one protocol for every way of partitioning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from napari_pea.core.mutex import mutex_watershed
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.settings import SegmentationSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Partitioner(Protocol):
    """A way to partition an image into objects by its affinities."""

    def __call__(
        self,
        affinities: NDArray[np.floating],
        neighborhood: Neighborhood,
        settings: SegmentationSettings,
        foreground: NDArray[np.floating] | None,
    ) -> NDArray[np.uint32]:
        """Return the raw labels of an image.

        Parameters
        ----------
        affinities : array of float, shape (N, *spatial)
            One channel for each offset of `neighborhood`.
        neighborhood : Neighborhood
            The pixel pairs that the affinities are about.
        settings : SegmentationSettings
            The settings of the segmentation.
        foreground : array of float, shape (*spatial), or None
            Probability of lying inside an object; None if the model does not tell, and
            then every pixel may.

        Returns
        -------
        array of uint32, shape (*spatial)
            Objects numbered from 1 without gaps; 0 is background.
        """


def foreground_mask(
    foreground: NDArray[np.floating] | None, settings: SegmentationSettings
) -> NDArray[np.bool_] | None:
    """Return where objects may be: at the foreground threshold or above it.

    Parameters
    ----------
    foreground : array of float, shape (*spatial), or None
        Probability of lying inside an object; None if the model does not tell.
    settings : SegmentationSettings
        `foreground_threshold` is used.

    Returns
    -------
    array of bool, shape (*spatial), or None
        None if the model does not tell.
    """
    if foreground is None:
        return None
    return foreground >= settings.foreground_threshold


def mutex_partition(
    affinities: NDArray[np.floating],
    neighborhood: Neighborhood,
    settings: SegmentationSettings,
    foreground: NDArray[np.floating] | None,
) -> NDArray[np.uint32]:
    """Partition by the Mutex Watershed (methods A9).

    Every object is connected through direct neighbours, because only those attract.

    Parameters
    ----------
    affinities : array of float, shape (N, *spatial)
        One channel for each offset of `neighborhood`.
    neighborhood : Neighborhood
        The direct neighbours attract, all other pairs repel.
    settings : SegmentationSettings
        `strides` and `foreground_threshold` are used.
    foreground : array of float, shape (*spatial), or None
        Probability of lying inside an object; None for objects everywhere.

    Returns
    -------
    array of uint32, shape (*spatial)
        Objects numbered from 1 without gaps; 0 where the foreground is below its threshold.

    Raises
    ------
    InputError
        If the affinities do not fit the neighborhood, the strides or the foreground.
    """
    return mutex_watershed(
        affinities,
        neighborhood.offset_list,
        neighborhood.n_attractive,
        strides=settings.strides_for(neighborhood.ndim),
        mask=foreground_mask(foreground, settings),
    )


PARTITIONERS: dict[str, Partitioner] = {"mutex": mutex_partition}
"""Every way of partitioning, by the name it is chosen by."""
