"""Segmented images whose embedding is kept, so that controls act on them at once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from napari_pea.core.constraints import Constraints
from napari_pea.widgets.results import LABELS, Kind, ResultBook
from napari_pea.widgets.sources import ImagePart, Region, level_zero

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_pea.core.segmentation import Segmentation
    from napari_pea.core.segmenter import Segmenter


class LiveSession:
    """A part of an image layer, its embedding, and what is shown of it.

    Parameters
    ----------
    source : napari.layers.Image
        The layer, not kept alive.
    part : ImagePart
        Which part of it.
    segmenter : Segmenter
        Its embedding, computed, and the stages after it.
    origin : dict
        How the embedding was made, as plain values.
    layers : napari.components.LayerList
        The layers of the viewer, not kept alive.
    book : ResultBook
        The results of the viewer.

    Attributes
    ----------
    result : Segmentation or None
        What the labels layer shows.
    constraints : Constraints
        What the user's corrections say about pairs of pixels.
    result_constraints : Constraints
        Those that the result was made with.
    is_ahead : bool
        Whether the layer shows labels already whose table is still on its way.
    corrections : dict
        The corrections as plain values, kept with the result.
    view_keys : dict
        What the pictures shown were made from.
    is_new : bool
        Whether nothing was shown yet.
    preview : (tuple of slice, array of uint32) or None
        A region, and the labels of it that are shown in place of those of the whole.
    """

    def __init__(
        self,
        source: Image,
        part: ImagePart,
        segmenter: Segmenter,
        origin: dict[str, Any],
        layers: LayerList,
        book: ResultBook,
    ) -> None:
        self._source = ref(source)
        self._layers = ref(layers)
        self._book = ref(book)
        self._window: tuple[Region, Segmenter] | None = None
        self.part = part
        self.segmenter = segmenter
        self.origin = origin
        self.result: Segmentation | None = None
        self.constraints = Constraints.none()
        self.result_constraints = self.constraints
        self.is_ahead = False
        self.corrections: dict[str, Any] = {}
        self.view_keys: dict[Kind, Hashable] = {}
        self.is_new = True
        self.preview: tuple[Region, NDArray[np.uint32]] | None = None

    @property
    def source(self) -> Image | None:
        """The image layer, as long as it is in the viewer."""
        source, layers = self._source(), self._layers()
        return source if source is not None and layers is not None and source in layers else None

    @property
    def is_current(self) -> bool:
        """Whether the layer still holds the pixels that were embedded."""
        source = self.source
        return source is not None and level_zero(source) is self.part.data

    @property
    def labels_layer(self) -> Labels | None:
        """The layer of the labels, unless it is gone or the user's own by now."""
        source, layers, book = self.source, self._layers(), self._book()
        if source is None or layers is None or book is None:
            return None
        found = book.find(source, self.part.key, LABELS)
        return found.layer if found is not None and found.may_be_replaced(layers) else None

    def about(self) -> dict[str, Any]:
        """Return how the result was made, as plain values; enough to make it again."""
        told = dict(self.origin)
        if self.result is not None:
            told["settings"] = self.result.settings.as_dict()
        if self.corrections:
            told["corrections"] = self.corrections
        return told

    def window(self, region: Region) -> Segmenter:
        """Return a segmenter of a region; the last one is kept."""
        if self._window is None or self._window[0] != region:
            self._window = region, self.segmenter.window(region)
        return self._window[1]

    def close_window(self) -> None:
        """Forget the last region."""
        self._window = self.preview = None

    def shown_in(self, region: Region) -> NDArray[np.uint32]:
        """Return the labels of a region as the user has seen them last."""
        result, preview = self.result, self.preview  # the window may renew them meanwhile
        if result is None:
            shown = np.zeros([piece.stop - piece.start for piece in region], dtype=np.uint32)
        else:
            shown = result.labels[region].copy()
        if preview is not None:
            former, labels = preview
            here, there = [], []
            for piece, other in zip(region, former, strict=True):
                start, stop = max(piece.start, other.start), min(piece.stop, other.stop)
                here.append(slice(start - piece.start, max(start, stop) - piece.start))
                there.append(slice(start - other.start, max(start, stop) - other.start))
            shown[tuple(here)] = labels[tuple(there)]
        return shown


class SessionBook:
    """The sessions of a viewer, up to a limit of memory; the latest used are kept."""

    def __init__(self) -> None:
        self._sessions: list[tuple[ref[Layer], Hashable, LiveSession]] = []
        self._corrections: list[tuple[Any, Any, dict[str, Any]]] = []

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, source: Layer, key: Hashable) -> LiveSession | None:
        """Return the session of a part of a layer, if it is kept and still holds.

        Parameters
        ----------
        source : napari.layers.Layer
            The image.
        key : hashable
            Which part and which model.
        """
        for entry in self._sessions:
            if entry[0]() is source and entry[1] == key:
                if not entry[2].is_current:
                    self._sessions.remove(entry)
                    return None
                return entry[2]
        return None

    def enter(self, source: Layer, key: Hashable, session: LiveSession, limit: int) -> None:
        """Keep a session, and drop the oldest ones beyond a limit.

        Parameters
        ----------
        source : napari.layers.Layer
            The image.
        key : hashable
            Which part and which model.
        session : LiveSession
            The session; it is kept however large it is.
        limit : int
            How much memory all may hold together, in bytes.
        """
        self.drop(source, key)
        kept = list(self._sessions)
        kept.append((ref(source, self._on_gone), key, session))
        while len(kept) > 1 and sum(entry[2].segmenter.nbytes for entry in kept) > limit:
            kept.pop(0)
        self._sessions = kept

    def drop(self, source: Layer, key: Hashable) -> None:
        """Drop the session of a part of a layer; see `find`."""
        self._sessions = [e for e in self._sessions if not (e[0]() is source and e[1] == key)]

    def forget(self, source: Layer) -> None:
        """Drop all sessions of a layer."""
        self._sessions = [entry for entry in self._sessions if entry[0]() is not source]

    def keep_corrections(self, image: Any, plane: Any, corrections: dict[str, Any]) -> None:
        """Keep corrections until their image is segmented.

        Parameters
        ----------
        image : str
            Name of the image layer.
        plane : list
            Which plane of it, as the origin of a session has it.
        corrections : dict
            As plain values; they take the place of earlier ones.
        """
        self.drop_corrections(image, plane)
        self._corrections.append((image, plane, corrections))

    def kept_corrections(self, image: Any, plane: Any) -> dict[str, Any]:
        """Return the corrections that are kept for an image; empty if there are none."""
        return next((kept[2] for kept in self._corrections if kept[:2] == (image, plane)), {})

    def drop_corrections(self, image: Any, plane: Any) -> None:
        """Keep the corrections for an image no more."""
        self._corrections = [kept for kept in self._corrections if kept[:2] != (image, plane)]

    def _on_gone(self, gone: ref[Layer]) -> None:
        self._sessions = [entry for entry in self._sessions if entry[0] is not gone]
