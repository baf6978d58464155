"""Putting results into the viewer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.neighborhood import Offset
from napari_pea.widgets.features import layer_features
from napari_pea.widgets.results import (
    BLOCKS,
    LABELS,
    PREVIEW,
    STACK,
    TRAINING,
    Kind,
    ResultBook,
    ResultLayer,
)
from napari_pea.widgets.sources import NOUNS, ImagePart

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import LayerList
    from napari.layers import Image, Labels, Layer


def offset_text(offset: Offset) -> str:
    """Return an offset for the user, such as "(0, −9)"."""
    return "(" + ", ".join(str(step).replace("-", "−") for step in offset) + ")"


class ResultWriter:
    """Adds the results of one part of an image to a viewer, or renews those it has.

    Parameters
    ----------
    layers : napari.components.LayerList
        The layers of the viewer.
    book : ResultBook
        The results so far.
    source : napari.layers.Image
        The image.
    part : ImagePart
        Which part of it.
    about : dict
        How the results were made, kept in ``metadata["napari_pea"]`` of their layers.
    """

    def __init__(
        self,
        layers: LayerList,
        book: ResultBook,
        source: Image,
        part: ImagePart,
        about: dict[str, Any],
    ) -> None:
        self._layers = layers
        self._book = book
        self._source = source
        self._part = part
        self._about = about

    def write_labels(
        self,
        data: NDArray[np.uint32],
        features: pd.DataFrame,
        print_: Hashable,
        *,
        replace: bool,
        show: bool = True,
    ) -> tuple[Labels, bool]:
        """Show labels and their table.

        Parameters
        ----------
        data : array of uint32
            Object ids, as `ImagePart.as_result` returns them; 0 is background.
        features : pandas.DataFrame
            One row for each object, as `layer_features` returns them.
        print_ : hashable
            `fingerprint` of the labels as the layer will hold them.
        replace : bool
            Whether the data of the former result are as they were written.
        show : bool
            Whether a layer that the user has hidden is shown again.

        Returns
        -------
        layer : napari.layers.Labels
            Called "<image> labels", or "<image> preview" if the part is a block of the image.
        is_new : bool
            Whether it was added; otherwise it holds the former result no more.
        """
        from napari.layers import Labels

        former = self._former(LABELS) if replace else None
        if former is not None and former.layer is not None:
            layer: Labels = former.layer
            self._renew(layer, data, LABELS)
            layer.features = features
            if show:
                layer.visible = True
            former.was_replaced(print_)
            return layer, False
        layer = Labels(
            data,
            name=f"{self._source.name} {'labels' if self._part.block is None else PREVIEW[0]}",
            features=features,
            metadata=self._metadata(LABELS),
            **self._part.placement(self._source),
        )
        self._book.add(self._layers, len(self._layers), layer)
        self._enter(LABELS, layer, print_)
        return layer, True

    def renew_labels(self, data: NDArray[np.uint32], print_: Hashable) -> bool:
        """Show other labels in the layer of the former ones; their table follows.

        Parameters
        ----------
        data : array of uint32
            Object ids, as `ImagePart.as_result` returns them.
        print_ : hashable
            Their `fingerprint`.

        Returns
        -------
        bool
            Whether there is a layer that may be written to.
        """
        former = self._former(LABELS)
        if former is None or former.layer is None:
            return False
        self._renew(former.layer, data, LABELS)
        former.data_were_replaced(print_)
        return True

    def write_preview(
        self, labels: NDArray[np.uint32], start: Sequence[int], kind: Kind = PREVIEW
    ) -> Labels:
        """Show labels of a piece of the part in a layer of their own.

        Parameters
        ----------
        labels : array of uint32, shape (*spatial)
            Object ids; 0 is background.
        start : sequence of int
            Where in the part the piece begins, in pixels.
        kind : Kind
            `PREVIEW` or `TRAINING`.

        Returns
        -------
        napari.layers.Labels
            Called "<image> preview" or "<image> training".
        """
        from napari.layers import Labels

        former = self._former(kind)
        data = self._part.as_result(labels)
        if former is not None and former.layer is not None:
            layer: Labels = former.layer
            self._renew(layer, data, kind, start)
            return layer
        layer = Labels(
            data,
            name=f"{self._source.name} {kind[0]}",
            metadata=self._metadata(kind),
            **self._part.placement(self._source, start),
        )
        # What is painted beside it must stay on top.
        above = self._layers.index(self._source) + 1 if kind == TRAINING else len(self._layers)
        self._book.add(self._layers, above, layer)
        self._enter(kind, layer, None)
        return layer

    def remove_preview(self) -> None:
        """Remove the preview, unless the user has made it their own."""
        former = self._former(PREVIEW)
        if former is not None and former.layer is not None:
            self._layers.remove(former.layer)

    def write_stack(self, labels: NDArray[np.uint32], table: pd.DataFrame) -> Labels:
        """Show the labels of every plane or volume of a stack in a new layer.

        Parameters
        ----------
        labels : array of uint32
            Object ids, with the axes of the layer but that of its channels.
        table : pandas.DataFrame
            One row for each object, with a column ``label``.

        Returns
        -------
        napari.layers.Labels
            Called "<image> labels of all planes", or of all volumes.
        """
        from napari.layers import Labels

        layer = Labels(
            labels,
            name=f"{self._source.name} labels of all {NOUNS[len(self._part.plane_axes)]}s",
            features=layer_features(table, self._source, self._part),
            metadata=self._metadata(STACK),
            **self._part.placement(self._source),
        )
        self._book.add(self._layers, len(self._layers), layer)
        return layer

    def write_levels(self, levels: Sequence[Any]) -> Labels:
        """Show labels on disk, which are read as they are looked at, in a new layer.

        Parameters
        ----------
        levels : sequence of array
            The finest first.

        Returns
        -------
        napari.layers.Labels
            Called "<image> labels in blocks".
        """
        from napari.layers import Labels

        data = [self._part.as_result(level) for level in levels]
        layer = Labels(
            data if len(data) > 1 else data[0],
            name=f"{self._source.name} labels in blocks",
            multiscale=len(data) > 1,
            metadata=self._metadata(BLOCKS),
            **self._part.placement(self._source),
        )
        self._book.add(self._layers, len(self._layers), layer)
        return layer

    def write_picture(
        self,
        kind: Kind,
        picture: NDArray[Any],
        name: str,
        arguments: dict[str, Any],
        *,
        on_top: bool = False,
    ) -> Image:
        """Show what lies between the image and its labels, or what is said about these.

        Parameters
        ----------
        kind : Kind
            What it shows.
        picture : array, shape (*spatial) or (*spatial, 3)
            The pixels.
        name : str
            Of a new layer.
        arguments : dict
            Of a new layer.
        on_top : bool
            Whether a new layer lies above all others, and not directly above the image.
        """
        from napari.layers import Image

        data = self._part.as_result(picture)
        former = self._former(kind)
        if former is not None and former.layer is not None:
            layer: Image = former.layer
            self._renew(layer, data, kind)
            return layer
        layer = Image(
            data,
            name=name,
            metadata=self._metadata(kind),
            **self._part.placement(self._source),
            **arguments,
        )
        place = len(self._layers) if on_top else self._layers.index(self._source) + 1
        self._book.add(self._layers, place, layer)
        self._enter(kind, layer, None)
        return layer

    def _former(self, kind: Kind) -> ResultLayer | None:
        """Return the former result if it may be written over."""
        former = self._book.find(self._source, self._part.key, kind)
        if former is not None and former.may_be_replaced(self._layers):
            return former
        return None

    def _renew(
        self,
        layer: Layer,
        data: NDArray[Any],
        kind: Kind,
        start: Sequence[int] | None = None,
    ) -> None:
        """Write new data, and where they lie, into a layer."""
        if layer.data is not data:
            layer.data = data
        for name, value in self._part.placement(self._source, start).items():
            # Setting one draws the layer again, even if nothing changes.
            if not _same(getattr(layer, name), value):
                setattr(layer, name, value)
        layer.metadata = {**layer.metadata, **self._metadata(kind)}

    def _enter(self, kind: Kind, layer: Layer, print_: Hashable) -> None:
        result = ResultLayer(layer, print_)
        self._book.enter(self._source, self._part.key, kind, result)

    def _metadata(self, kind: Kind) -> dict[str, Any]:
        """Return what tells how a result was made; plain values that JSON can hold."""
        name, offset = kind
        own = {"kind": name} if offset is None else {"kind": name, "offset": list(offset)}
        return {"napari_pea": {**own, **self._about}}


def _same(first: Any, second: Any) -> bool:
    """Whether two places, as `ImagePart.placement` gives them, are the same."""
    plain = [getattr(place, "affine_matrix", place) for place in (first, second)]
    return np.array_equal(*plain)
