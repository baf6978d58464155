"""What a network of masks says about an image of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.device import Precision
from napari_pea.core.errors import InputError
from napari_pea.core.field import AffinityField
from napari_pea.core.masks.decoding import aggregate_codes
from napari_pea.core.masks.lattice import MaskLattice, reached_neighborhood
from napari_pea.core.neighborhood import Offset, graph_offsets, sparse_offsets
from napari_pea.core.processors import allowed_threads
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.tiling import stitched

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_pea.core.networks.maskunet import MaskOutput, MaskUNet


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """What a network of masks says about every pixel of an image.

    Attributes
    ----------
    codes : tuple of arrays of float16, shape (Q, *spatial)
        Of the masks of each branch at full resolution.
    direct : AffinityField or None
        Affinities that need no masks: those of the head on codes (LSIM, S7.3), or of the
        sparse branch at full resolution of a network that has no masks.
    sparse : AffinityField or None
        Those of the sparse branch at full resolution.
    foreground : array of float32, shape (*spatial), or None
        Probability of lying inside an object; None if the network does not tell.
    """

    codes: tuple[NDArray[np.float16], ...]
    direct: AffinityField | None
    sparse: AffinityField | None
    foreground: NDArray[np.float32] | None

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All that it holds in memory; some of it may be there twice."""
        fields = [field for field in (self.direct, self.sparse) if field is not None]
        foreground = () if self.foreground is None else (self.foreground,)
        return (*self.codes, *foreground, *(array for field in fields for array in field.arrays))


def trained_offsets(lattices: Sequence[MaskLattice]) -> tuple[Offset, ...]:
    """Return the pairs that a head on codes is trained on: all that a user may choose.

    Those of the neighborhood of all ranges that masks reach, with diagonals in 2D, and those
    that LSIM partitions with (methods B5).

    Parameters
    ----------
    lattices : sequence of MaskLattice
        Of the masks at full resolution.
    """
    ndim = lattices[0].ndim
    chosen = reached_neighborhood(lattices, 8 if ndim == 2 else 6).offset_list
    graph = (
        offset
        for offset in graph_offsets(ndim)
        if any(lattice.reaches(offset) for lattice in lattices)
    )
    return tuple(dict.fromkeys((*chosen, *graph)))


def offsets_of(network: MaskUNet) -> tuple[Offset, ...]:
    """Return the pairs whose affinities a network knows, in pixels of the image."""
    if network.offsets:
        return network.offsets
    if network.fine_lattices:
        return trained_offsets(network.fine_lattices)
    return sparse_offsets(0, network.ndim)


def predict_masks(
    network: MaskUNet,
    image: NDArray[np.float32],
    *,
    device: torch.device | None = None,
    precision: Precision = "auto",
    tile: int | Sequence[int] | None = None,
    halo: int | None = None,
    keep_sparse: bool = True,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> MaskPrediction:
    """Predict the codes of an image, and affinities that need no masks.

    Parameters
    ----------
    network : MaskUNet
        A trained network.
    image : array of float32, shape (C, *spatial)
        Normalised image with the channels that the network expects.
    device, precision, tile, halo, progress, cancel
        See `napari_pea.core.tiling.stitched`.
    keep_sparse : bool
        Whether the affinities of the sparse branch are kept beside those of the head.

    Returns
    -------
    MaskPrediction

    Raises
    ------
    InputError
        If tiles are too small, or the halo is negative.
    Cancelled
        If `cancel` was set.
    """
    has_sparse = 0 in network.sparse_levels and (keep_sparse or network.affinity_head is None)

    def read(output: MaskOutput) -> list[torch.Tensor]:
        found = [
            codes[0]
            for codes, level in zip(output.codes, network.levels, strict=True)
            if level == 0
        ]
        if network.affinity_head is not None:
            found.append(1 - network.affinity_head(network.fine_codes(output))[0].float())
        if has_sparse:
            found.append(1 - output.sparse[network.sparse_levels.index(0)][0].float())
        if output.foreground is not None:
            found.append(output.foreground[0].float().softmax(dim=0)[1])
        return found

    maps = stitched(
        network,
        image,
        read,
        device=device,
        precision=precision,
        tile=tile,
        halo=halo,
        progress=progress,
        cancel=cancel,
    )
    n_fine = len(network.fine_lattices)
    codes = tuple(part.half().numpy() for part in maps[:n_fine])
    rest = [part.numpy() for part in maps[n_fine:]]
    foreground = rest.pop() if network.foreground_head is not None else None
    sparse = direct = None
    if has_sparse:
        sparse = AffinityField(rest.pop(), sparse_offsets(0, network.ndim), foreground)
    if network.affinity_head is not None:
        # Codes of the masks that reach furthest tell objects apart best to the eye.
        seen = codes[-1] if codes else None
        direct = AffinityField(rest.pop(), network.offsets, foreground, codes=seen)
    return MaskPrediction(codes, direct or sparse, sparse, foreground)


def averaged_field(
    network: MaskUNet,
    prediction: MaskPrediction,
    offsets: Sequence[Offset],
    *,
    device: torch.device | None = None,
    precision: Precision = "auto",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> AffinityField:
    """Return the affinities that masks agree on, and how much they disagree (Algorithm 1).

    Parameters
    ----------
    network : MaskUNet
        Its decoders make masks of the codes.
    prediction : MaskPrediction
        What it predicted.
    offsets : sequence of offset
        The pairs, in pixels.
    device : torch.device, optional
        Where masks are decoded; by default where the network is.
    precision
        See `napari_pea.core.device.autocast`.
    progress : callable
        Told the masks decoded and about how many there are in all.
    cancel : CancelToken, optional
        Checked now and then.

    Raises
    ------
    InputError
        If the network has no masks, or they do not reach an offset.
    Cancelled
        If `cancel` was set.
    """
    if not prediction.codes:
        raise InputError("This model has no masks that could be averaged.")
    fine = [
        decoder
        for decoder, level in zip(network.decoders, network.levels, strict=True)
        if level == 0
    ]
    found = aggregate_codes(
        prediction.codes,
        fine,
        network.fine_lattices,
        tuple(offsets),
        device=device,
        precision=precision,
        threads=allowed_threads(),
        progress=progress,
        cancel=cancel,
    )
    return AffinityField(
        found.affinities,
        tuple(offsets),
        prediction.foreground,
        found.variances,
        prediction.codes[-1],
    )
