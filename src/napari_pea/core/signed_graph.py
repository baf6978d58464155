"""From the signed graph of LSIM to objects, in both ways of the paper (methods B6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from napari_pea.core.agglomeration import average_linkage, boundary_map
from napari_pea.core.mutex import signed_mutex_watershed
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.regrow import SMALLEST, connected, regrown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.neighborhood import Offset


class SignedPartition(Protocol):
    """A way from affinities to objects without crumbs."""

    def __call__(
        self,
        affinities: NDArray[np.floating],
        offsets: Sequence[Offset],
        *,
        mask: NDArray[np.bool_] | None = None,
        min_size: int = SMALLEST,
        seed: int = 0,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.uint32]:
        """Return objects.

        Parameters
        ----------
        affinities : array of float, shape (N, *spatial)
            1 for the same object; 2D or 3D.
        offsets : sequence of offset
            One for each channel, the direct neighbours along each axis first: see
            `napari_pea.core.neighborhood.graph_offsets`.
        mask : array of bool, shape (*spatial), optional
            Where objects may be.
        min_size : int
            Smaller objects go to their neighbours.
        seed : int
            Of what is drawn at random.
        cancel : CancelToken, optional
            Checked now and then.

        Returns
        -------
        array of uint32, shape (*spatial)
            Connected objects, numbered from 1 in the order of their first pixels.

        Raises
        ------
        Cancelled
            If `cancel` was set.
        """


def mutex_objects(
    affinities: NDArray[np.floating],
    offsets: Sequence[Offset],
    *,
    mask: NDArray[np.bool_] | None = None,
    min_size: int = SMALLEST,
    seed: int = 0,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Return objects by the signed Mutex Watershed on pixels: see `SignedPartition`.

    Of the pairs further apart a tenth is drawn with the seed.
    """
    found = signed_mutex_watershed(affinities, offsets, mask=mask, seed=seed, cancel=cancel)
    return _without_crumbs(found, affinities, offsets, min_size, cancel)


def average_objects(
    affinities: NDArray[np.floating],
    offsets: Sequence[Offset],
    *,
    mask: NDArray[np.bool_] | None = None,
    min_size: int = SMALLEST,
    seed: int = 0,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Return objects by average linkage of watershed pieces: see `SignedPartition`.

    All pairs are used, and pieces that do not touch have a weight too (WSDT + GaspAvg).
    """
    ndim = affinities.ndim - 1
    found = average_linkage(affinities, offsets, ndim, mask=mask, lifted=True, cancel=cancel)
    return _without_crumbs(found, affinities, offsets, min_size, cancel)


ROUTES: dict[str, SignedPartition] = {"mutex": mutex_objects, "average": average_objects}
"""Both ways, by name."""


def _without_crumbs(
    labels: NDArray[np.uint32],
    affinities: NDArray[np.floating],
    offsets: Sequence[Offset],
    min_size: int,
    cancel: CancelToken | None,
) -> NDArray[np.uint32]:
    """Return connected objects of some size, grown within each section."""
    check_cancel(cancel)
    ndim = labels.ndim
    direct, steps = affinities[:ndim], list(offsets[:ndim])
    if ndim == 2:
        direct, steps = direct[:, None], [(0, *step) for step in steps]
    boundary = boundary_map(direct, steps).reshape(labels.shape)
    return regrown(connected(labels), boundary, min_size=min_size, cancel=cancel)
