"""What is needed of a model: embeddings, or affinities of fixed offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from napari_pea.core.progress import CancelToken, Progress, ignore_progress

if TYPE_CHECKING:
    from napari_pea.core.field import AffinityField
    from napari_pea.core.neighborhood import Offset
    from napari_pea.core.predict import Embedding
    from napari_pea.core.settings import SegmentationSettings


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


def predicts_affinities(model: Predictor) -> TypeGuard[AffinityPredictor]:
    """Whether a model predicts affinities of fixed offsets instead of an embedding."""
    return hasattr(model, "field") and hasattr(model, "offsets")
