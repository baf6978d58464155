"""Putting results into the viewer."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.neighborhood import Offset
from napari_pea.widgets.results import EMBEDDING, LABELS, Kind, ResultBook, ResultLayer
from napari_pea.widgets.sources import ImagePart

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
        labels: NDArray[np.uint32],
        table: pd.DataFrame,
        print_: Hashable,
        *,
        replace: bool,
    ) -> tuple[Labels, bool]:
        """Show labels and their table.

        Parameters
        ----------
        labels : array of uint32, shape (Y, X)
            Object ids; 0 is background.
        table : pandas.DataFrame
            One row for each object, with a column ``label``.
        print_ : hashable
            `fingerprint` of the labels as the layer will hold them.
        replace : bool
            Whether the data of the former result are as they were written.

        Returns
        -------
        layer : napari.layers.Labels
            Called "<image> labels".
        is_new : bool
            Whether it was added; otherwise it holds the former result no more.
        """
        from napari.layers import Labels

        # napari finds the row of an object by the column "index".
        features = table.rename(columns={"label": "index"})
        data = self._part.as_result(labels)
        former = self._former(LABELS) if replace else None
        if former is not None and former.layer is not None:
            layer: Labels = former.layer
            self._renew(layer, data, LABELS)
            layer.features = features
            layer.visible = True
            former.was_replaced(print_)
            return layer, False
        layer = Labels(
            data,
            name=f"{self._source.name} labels",
            features=features,
            metadata=self._metadata(LABELS),
            **self._part.placement(self._source),
        )
        self._layers.append(layer)
        self._enter(LABELS, layer, print_)
        return layer, True

    def write_embedding(self, colors: NDArray[np.uint8]) -> Image:
        """Show an embedding as colours; a new layer is hidden at first.

        Parameters
        ----------
        colors : array of uint8, shape (Y, X, 3)
            The embedding as colours.

        Returns
        -------
        napari.layers.Image
            Called "<image> embedding", directly above the image.
        """
        return self._write_image(
            EMBEDDING,
            self._part.as_result(colors),
            name=f"{self._source.name} embedding",
            rgb=True,
            # It would cover the image.
            visible=False,
        )

    def write_affinity(self, offset: Offset, affinity: NDArray[np.float32]) -> Image:
        """Show the affinities under one offset.

        Parameters
        ----------
        offset : tuple of int
            One step in pixels for each axis.
        affinity : array of float32, shape (Y, X)
            Between 0 and 1.

        Returns
        -------
        napari.layers.Image
            Called "affinity (0, −9)" or the like, directly above the image.
        """
        return self._write_image(
            ("affinity", offset),
            self._part.as_result(affinity),
            name=f"affinity {offset_text(offset)}",
            contrast_limits=(0.0, 1.0),
            colormap="gray",
        )

    def _write_image(self, kind: Kind, data: NDArray[Any], **arguments: Any) -> Image:
        """Add an image directly above the source, or renew the one that is there."""
        from napari.layers import Image

        former = self._former(kind)
        if former is not None and former.layer is not None:
            layer: Image = former.layer
            self._renew(layer, data, kind)
            return layer
        layer = Image(
            data,
            metadata=self._metadata(kind),
            **self._part.placement(self._source),
            **arguments,
        )
        self._layers.insert(self._layers.index(self._source) + 1, layer)
        self._enter(kind, layer, None)
        return layer

    def _former(self, kind: Kind) -> ResultLayer | None:
        """Return the former result if it may be written over."""
        former = self._book.find(self._source, self._part.key, kind)
        if former is not None and former.may_be_replaced(self._layers):
            return former
        return None

    def _renew(self, layer: Layer, data: NDArray[Any], kind: Kind) -> None:
        """Write new data, and where they lie, into a layer."""
        layer.data = data
        for name, value in self._part.placement(self._source).items():
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
