"""Masks from their codes, a part of the image at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_pea.core.device import Precision, autocast
from napari_pea.core.masks.aggregation import MaskAffinities, aggregate
from napari_pea.core.masks.blocks import MOST_BYTES, Region
from napari_pea.core.masks.device import aggregate_on_device
from napari_pea.core.masks.lattice import MaskLattice
from napari_pea.core.neighborhood import Offset
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import nn

#: Masks decoded at once, on a processor and on a graphics card.
BATCH, BATCH_ON_CARD = 1024, 65536


class CodeReader:
    """Reads masks by decoding codes: a `napari_pea.core.masks.blocks.MaskReader`.

    Parameters
    ----------
    codes : sequence of arrays of float, shape (Q, *spatial)
        Of every pixel, for each kind of masks.
    decoders : sequence of Module
        From (n, Q) to inverted masks (n, *shape): see `MaskDecoder`.
    device : torch.device, optional
        Where to decode; by default where the first decoder is.
    precision : {"auto", "mixed", "full"}
        See `napari_pea.core.device.autocast`. Half precision is twice as fast, and off by less
        than 0.01.
    progress : callable
        Told the masks decoded and about how many there are in all.
    cancel : CancelToken, optional
        Checked before each batch.
    """

    def __init__(
        self,
        codes: Sequence[NDArray[Any]],
        decoders: Sequence[nn.Module],
        *,
        device: torch.device | None = None,
        precision: Precision = "auto",
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        self.device = device or next(decoders[0].parameters()).device
        self._codes = codes
        self._decoders = [decoder.to(self.device).eval() for decoder in decoders]
        self._precision: Precision = precision
        self._cancel = cancel
        self._progress = progress
        self._decoded = 0
        self._total = sum(array[0].size for array in codes)

    def __call__(self, branch: int, region: Region) -> torch.Tensor:
        """Return the masks of some pixels, shape (size, *region), 1 in the pixel's object."""
        import torch

        part = torch.from_numpy(self._codes[branch][(slice(None), *region)])
        rows = part.flatten(1).T
        size = BATCH if self.device.type == "cpu" else BATCH_ON_CARD
        found: torch.Tensor | None = None
        with torch.inference_mode(), autocast(self.device, self._precision):
            for begin in range(0, len(rows), size):
                check_cancel(self._cancel)
                batch = rows[begin : begin + size].to(self.device).float()
                apart = self._decoders[branch](batch).float().flatten(1)
                if found is None:
                    found = apart.new_empty((apart.shape[1], len(rows)))
                found[:, begin : begin + size] = 1 - apart.T
                self._decoded += len(batch)
                # Where memory is short, some masks are decoded again.
                self._progress(min(self._decoded, self._total - 1), self._total)
        assert found is not None  # noqa: S101 - a region has pixels
        return found.reshape(-1, *part.shape[1:])


def aggregate_codes(
    codes: Sequence[NDArray[Any]],
    decoders: Sequence[nn.Module],
    lattices: Sequence[MaskLattice],
    offsets: Sequence[Offset],
    *,
    device: torch.device | None = None,
    precision: Precision = "auto",
    most_bytes: int = MOST_BYTES,
    threads: int = 1,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> MaskAffinities:
    """Return the affinities that the masks of codes agree on (LSIM, Algorithm 1).

    Masks are decoded block by block and forgotten, so memory does not grow with the image.

    Parameters
    ----------
    codes, decoders, device, precision
        See `CodeReader`.
    lattices, offsets, most_bytes, threads
        See `napari_pea.core.masks.aggregation.aggregate`.
    progress : callable
        Told the masks decoded and about how many there are in all.
    cancel : CancelToken, optional
        Checked now and then.

    Returns
    -------
    MaskAffinities

    Raises
    ------
    InputError
        If masks do not reach an offset.
    Cancelled
        If `cancel` was set.
    """
    read = CodeReader(
        codes, decoders, device=device, precision=precision, progress=progress, cancel=cancel
    )
    shape = codes[0].shape[1:]
    given = (shape, read, lattices, offsets)
    # Decoding takes most of the time.
    if read.device.type != "cpu":
        found = aggregate_on_device(*given, most_bytes=most_bytes, cancel=cancel)
    else:
        found = aggregate(*given, most_bytes=most_bytes, threads=threads, cancel=cancel)
    progress(1, 1)
    return found
