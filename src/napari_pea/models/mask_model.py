"""A model of single-instance masks (LSIM), ready to predict affinities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_pea.core.device import Precision
from napari_pea.core.errors import InputError
from napari_pea.core.masks.prediction import (
    MaskPrediction,
    averaged_field,
    offsets_of,
    predict_masks,
)
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.models.affinity_model import AffinityModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_pea.core.field import AffinityField
    from napari_pea.core.masks.lattice import MaskLattice
    from napari_pea.core.neighborhood import Offset
    from napari_pea.core.networks.maskunet import MaskUNet


class MaskModel(AffinityModel):
    """A trained network of masks with what it needs to know about its images.

    See `Model` for the parameters.
    """

    @property
    def masks(self) -> MaskUNet:
        """The network."""
        return cast("MaskUNet", self.network)

    @property
    def lattices(self) -> tuple[MaskLattice, ...]:
        """Of the masks that affinities are taken from."""
        return self.masks.fine_lattices

    @property
    def can_average(self) -> bool:
        """Whether masks can be averaged, which also tells how uncertain affinities are."""
        return bool(self.lattices)

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """The pairs whose affinities the model knows, in pixels."""
        return offsets_of(self.masks)

    def predict(
        self,
        image: Any,
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        tile: int | Sequence[int] | None = None,
        halo: int | None = None,
        precision: Precision = "auto",
        keep_sparse: bool = False,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> MaskPrediction:
        """Run the network on an image.

        Parameters
        ----------
        image, channel, channel_axis, tile, halo, precision, progress, cancel
            See `Model.embed`.
        keep_sparse : bool
            See `napari_pea.core.masks.prediction.predict_masks`.

        Raises
        ------
        InputError
            If the image cannot be used.
        Cancelled
            If `cancel` was set.
        """
        channels = self.normalized(image, channel=channel, channel_axis=channel_axis)
        return predict_masks(
            self.masks,
            channels,
            device=self.device,
            precision=precision,
            tile=tile,
            halo=halo,
            keep_sparse=keep_sparse,
            progress=progress,
            cancel=cancel,
        )

    def field(
        self,
        image: Any,
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        tile: int | Sequence[int] | None = None,
        halo: int | None = None,
        average: bool = False,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> AffinityField:
        """Predict the affinities of an image.

        Parameters
        ----------
        image, channel, channel_axis, tile, halo, progress, cancel
            See `Model.embed`.
        average : bool
            Whether masks are decoded and averaged (LSIM, Algorithm 1), which takes longer and
            also tells how uncertain affinities are. Otherwise they come straight from the codes
            (S7.3), or from the sparse branch of a model without masks.

        Raises
        ------
        InputError
            If the image cannot be used, or the model cannot do it in this way.
        Cancelled
            If `cancel` was set.
        """
        found = self.predict(
            image,
            channel=channel,
            channel_axis=channel_axis,
            tile=tile,
            halo=halo,
            progress=progress,
            cancel=cancel,
        )
        return self.field_of(found, average=average, progress=progress, cancel=cancel)

    def field_of(
        self,
        prediction: MaskPrediction,
        *,
        average: bool = False,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> AffinityField:
        """Return the affinities of what `predict` found, without running the network again.

        Parameters
        ----------
        prediction : MaskPrediction
            Of an image.
        average, progress, cancel
            See `field`.

        Raises
        ------
        InputError
            If the model cannot do it in this way.
        Cancelled
            If `cancel` was set.
        """
        if average:
            return averaged_field(
                self.masks,
                prediction,
                self.offsets,
                device=self.device,
                progress=progress,
                cancel=cancel,
            )
        if prediction.direct is None:
            raise InputError(
                f"The model {self.name!r} has no affinities but those that its masks agree on: "
                "average masks."
            )
        return prediction.direct

    def embed_normalized(
        self,
        channels: NDArray[np.float32],
        *,
        tile: int | None = None,
        halo: int | None = None,
        precision: Precision = "auto",
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> Embedding:
        """Return the codes of an image that is normalised already, as vectors of unit length.

        They are for looking at: what belongs together is told by `field`, not by their cosines.

        Parameters
        ----------
        channels, tile, halo, precision, progress, cancel
            See `Model.embed_normalized`.

        Raises
        ------
        InputError
            If the model has no codes.
        """
        found = predict_masks(
            self.masks,
            channels,
            device=self.device,
            precision=precision,
            tile=tile,
            halo=halo,
            progress=progress,
            cancel=cancel,
        )
        if not found.codes:
            raise InputError(f"The model {self.name!r} has no codes, only affinities.")
        codes = np.concatenate(found.codes).astype(np.float32)
        length = np.sqrt(np.einsum("d...,d...->...", codes, codes))
        return Embedding(codes / np.maximum(length, np.float32(1e-12)), found.foreground)
