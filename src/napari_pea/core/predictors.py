"""What is needed of a model: embeddings, or affinities of fixed offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from napari_pea.core.errors import InputError
from napari_pea.core.known import KnownOffsets
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.settings import AFFINITY_PARTITIONERS, SegmentationSettings

if TYPE_CHECKING:
    from napari_pea.core.field import AffinityField
    from napari_pea.core.neighborhood import Offset
    from napari_pea.core.predict import Embedding


class Predictor(Protocol):
    """What every model tells about itself."""

    @property
    def name(self) -> str:
        """The name of the model."""

    @property
    def ndim(self) -> int:
        """The number of spatial axes of its images."""

    @property
    def recommended(self) -> SegmentationSettings:
        """The settings it works best with."""


class Embedder(Predictor, Protocol):
    """A model that predicts a vector for each pixel; affinities follow for any offset."""

    def embed(
        self,
        image: Any,
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        tile: int | None = None,
        halo: int | None = None,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> Embedding:
        """Predict the embedding of an image."""


class AffinityPredictor(Predictor, Protocol):
    """A model that predicts affinities of fixed offsets."""

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """What it knows affinities of, in pixels of the image."""

    @property
    def can_average(self) -> bool:
        """Whether it predicts masks that can be averaged, which also tells variances."""

    def field(
        self,
        image: Any,
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        tile: int | None = None,
        halo: int | None = None,
        average: bool = False,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> AffinityField:
        """Predict the affinities of an image.

        Parameters
        ----------
        image, channel, channel_axis
            See `napari_pea.core.image.prepare_image`.
        tile, halo, progress, cancel
            See `napari_pea.core.predict.predict`.
        average : bool
            Whether masks are averaged (LSIM, algorithm 1): slower, and with variances. Only
            models that `can_average` are asked to.

        Returns
        -------
        AffinityField
            With the channels of `offsets`.
        """


class MaskPredictor(AffinityPredictor, Protocol):
    """A model of masks that can be asked twice without running its network twice."""

    def predict(
        self,
        image: Any,
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        tile: int | None = None,
        halo: int | None = None,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> Any:
        """Run the network; what it returns is for `field_of` and tells its `arrays`."""

    def field_of(
        self,
        prediction: Any,
        *,
        average: bool = False,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> AffinityField:
        """Return the `field` of what `predict` has found."""


def keeps_masks(model: Predictor) -> TypeGuard[MaskPredictor]:
    """Whether what a model predicts is worth keeping beside its affinities."""
    return predicts_affinities(model) and hasattr(model, "predict") and hasattr(model, "field_of")


def known_offsets(model: Predictor) -> KnownOffsets:
    """Return which neighborhoods a model can be asked for."""
    return KnownOffsets(model.offsets if predicts_affinities(model) else ())


def check_settings(model: Predictor, settings: SegmentationSettings) -> None:
    """Make sure that settings fit a model, before its network runs.

    Raises
    ------
    InputError
        If neighborhood or strides have other axes than its images, or the model does not know
        a range, or the partitioner needs an embedding and it predicts none.
    """
    known_offsets(model).check(settings.neighborhood(model.ndim))
    settings.strides_for(model.ndim)
    if predicts_affinities(model) and settings.partitioner not in AFFINITY_PARTITIONERS:
        raise InputError(
            f"The partitioner {settings.partitioner!r} needs an embedding, and the model "
            f"{model.name!r} predicts affinities: use {', '.join(AFFINITY_PARTITIONERS)}."
        )


def predicts_affinities(model: Predictor) -> TypeGuard[AffinityPredictor]:
    """Whether a model predicts affinities of fixed offsets instead of an embedding."""
    return hasattr(model, "field") and hasattr(model, "offsets")
