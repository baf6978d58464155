"""What the network finds in the current view while it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken
from napari_pea.widgets.borrowed import BorrowedModel
from napari_pea.widgets.preview import block_around_view
from napari_pea.widgets.sources import NDIM, ImagePart

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

    from napari_pea.core.predict import Embedding
    from napari_pea.models.model import Model

#: Longest side of what is previewed, in pixels as the network sees them: a preview is to be
#: short beside the training between two.
MOST_PIXELS = 640


@dataclass(frozen=True)
class View:
    """What the user looks at.

    Attributes
    ----------
    source : weak reference
        The image layer.
    part : ImagePart
        The plane.
    corners : array of int, shape (2, ndim)
        The first and last visible pixel of the plane, or of a block of the volume.
    """

    source: ref[Image]
    part: ImagePart
    corners: NDArray[np.int64]

    @classmethod
    def of(cls, layer: Image, part: ImagePart, dims: Dims) -> View:
        """Return what is visible of a layer now; in the thread of the window."""
        if len(part.shape) > NDIM:
            block = block_around_view(layer, part, dims)
            ends = [[piece.start for piece in block], [piece.stop - 1 for piece in block]]
            return cls(ref(layer), part, np.array(ends))
        corners = np.asarray(layer.corner_pixels, dtype=float)
        if layer.multiscale:
            corners = corners * layer.downsample_factors[layer.data_level]
        return cls(ref(layer), part, corners[:, list(part.plane_axes)].astype(np.int64))

    def region(self, most: int) -> tuple[slice, ...]:
        """Return the visible piece, or its middle if a side is longer than `most` pixels."""
        pieces = []
        for axis, size in enumerate(self.part.shape):
            first, last = np.clip(self.corners[:, axis], 0, size - 1)
            start, stop = int(first), int(last) + 1
            if stop - start < 2:  # nothing of it is seen
                start, stop = 0, size
            beyond = max(0, stop - start - most)
            start += beyond // 2
            pieces.append(slice(start, min(stop, start + most)))
        return tuple(pieces)


@dataclass(frozen=True)
class Preview:
    """Labels of a piece of a plane.

    Attributes
    ----------
    view : View
        What it is a preview of.
    labels : array of uint32, shape (*spatial)
        Object ids.
    start : tuple of int
        Where in the plane the piece begins.
    iteration : int or None
        When the network found them; None for the version that was kept.
    """

    view: View
    labels: NDArray[np.uint32]
    start: tuple[int, ...]
    iteration: int | None


class Viewpoint:
    """What the user looks at, set by the window and read by the run.

    Attributes
    ----------
    view : View or None
        None if there is nothing to preview.
    """

    def __init__(self) -> None:
        self.view: View | None = None

    def segment(self, model: Model, iteration: int | None, cancel: CancelToken) -> Preview | None:
        """Segment the current view with a network in training.

        Returns
        -------
        Preview or None
            None if there is no view, or the model cannot be used on it.
        """
        from napari_pea.core.image import prepare_image
        from napari_pea.core.segmenter import Segmenter

        view = self.view
        if view is None:
            return None
        part = view.part
        try:
            channels = prepare_image(
                part.read(),
                model.network.in_channels,
                model.ndim,
                channel=part.channel,
                channel_axis=part.channel_axis,
            )
        except (InputError, OSError):
            return None  # the run goes on; its own images fit, and were read
        region = view.region(max(16, int(MOST_PIXELS / model.metadata.scale)))
        # The whole plane decides what is bright in it, as it will when it is segmented.
        seen = model.metadata.normalization(channels)[(slice(None), *region)]
        labels = Segmenter(_Normalised(model), seen).labels(model.recommended, cancel=cancel)
        return Preview(view, labels, tuple(piece.start for piece in region), iteration)


@dataclass(frozen=True)
class _Normalised(BorrowedModel):
    """A model as the segmenter sees it, for images that are normalised already."""

    def embed(
        self,
        image: NDArray[np.float32],
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        **options: Any,
    ) -> Embedding:
        """Predict the embedding of normalised channels."""
        return self.model.embed_normalized(image, **options)
