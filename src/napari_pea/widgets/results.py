"""Which layers hold results, and whether the user has made one their own since."""

from __future__ import annotations

import zlib
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary, ref

import numpy as np

from napari_pea.core.neighborhood import Offset

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import LayerList
    from napari.layers import Layer


#: What a result shows; affinities come with their offset.
Kind: TypeAlias = "tuple[str, Offset | None]"
LABELS: Kind = ("labels", None)
EMBEDDING: Kind = ("embedding", None)
FOREGROUND: Kind = ("foreground", None)
#: How uncertain affinities are, where masks were averaged.
VARIANCE: Kind = ("variance", None)
#: Labels of the visible piece of a large image.
PREVIEW: Kind = ("preview", None)
#: Labels of what is visible, by a network in training.
TRAINING: Kind = ("training", None)
#: Labels of every plane of a stack.
STACK: Kind = ("stack", None)
#: Labels on disk, of an image that was segmented in blocks.
BLOCKS: Kind = ("blocks", None)


def fingerprint(array: Any) -> Hashable:
    """Return a value that changes when the array does."""
    if not isinstance(array, np.ndarray):
        return None
    return array.shape, array.dtype.str, zlib.crc32(np.ascontiguousarray(array).data)


class ResultLayer:
    """A layer that holds a result.

    It is the user's own, and never written to again, once it was painted on, renamed,
    given other data or another table.

    Parameters
    ----------
    layer : napari.layers.Layer
        The layer, not kept alive.
    print_ : hashable
        The `fingerprint` of its data; None for layers that cannot be painted on.
    """

    def __init__(self, layer: Layer, print_: Hashable = None) -> None:
        self._layer = ref(layer)
        self._name = layer.name
        self._print = print_
        self.table_was_replaced()
        self._painted = False
        if hasattr(layer.events, "paint"):
            layer.events.paint.connect(self._on_paint)

    @property
    def layer(self) -> Layer | None:
        """The layer, as long as it exists."""
        return self._layer()

    def has_its_data(self) -> bool:
        """Whether data and table are as they were written; slow for large layers, any thread."""
        layer = self._layer()
        if layer is None or self._painted or not self._has_its_table(layer):
            return False
        return self._print is None or fingerprint(layer.data) == self._print

    def may_be_replaced(self, layers: LayerList) -> bool:
        """Whether the layer is still shown and, as far as is known at once, as it was made."""
        layer = self._layer()
        return (
            layer is not None and not self._painted and layer.name == self._name and layer in layers
        )

    def data_were_replaced(self, print_: Hashable) -> None:
        """Take note of new data."""
        self._print = print_

    def was_replaced(self, print_: Hashable) -> None:
        """Take note of new data and a new table."""
        self.data_were_replaced(print_)
        self.table_was_replaced()

    def table_was_replaced(self) -> None:
        """Take note of a new table."""
        table = getattr(self._layer(), "features", None)
        self._table: pd.DataFrame | None = None if table is None else table.copy()

    def _has_its_table(self, layer: Layer) -> bool:
        """Whether the user has left the table as it was written."""
        table = getattr(layer, "features", None)
        if table is None or self._table is None:
            return table is self._table
        return bool(table.equals(self._table))

    def _on_paint(self, event: Any) -> None:
        self._painted = True


class ResultBook:
    """The result layers of a viewer, by the layer and the part that they were made from."""

    def __init__(self) -> None:
        self._pages: WeakKeyDictionary[Layer, dict[tuple[Hashable, Kind], ResultLayer]] = (
            WeakKeyDictionary()
        )
        self._being_added: Layer | None = None

    def add(self, layers: LayerList, index: int, layer: Layer) -> None:
        """Insert a new result into the layers of the viewer."""
        self._being_added = layer
        try:
            layers.insert(index, layer)
        finally:
            self._being_added = None

    def is_adding(self, layer: Layer) -> bool:
        """Whether a layer is a result that is just being inserted."""
        return layer is self._being_added

    def find(self, source: Layer, part: Hashable, kind: Kind) -> ResultLayer | None:
        """Return the result of one kind, if there was one.

        Parameters
        ----------
        source : napari.layers.Layer
            The image.
        part : hashable
            `napari_pea.widgets.sources.ImagePart.key`.
        kind : Kind
            What it shows.
        """
        return self._pages.get(source, {}).get((part, kind))

    def of_offsets(self, source: Layer, part: Hashable, layers: LayerList) -> tuple[Kind, ...]:
        """Return the kinds of the pictures of single offsets shown for a part of a layer."""
        return tuple(
            kind
            for (which, kind), result in self._pages.get(source, {}).items()
            if which == part and kind[1] is not None and result.may_be_replaced(layers)
        )

    def of_part(self, source: Layer, part: Hashable) -> list[ResultLayer]:
        """Return all results of a part of a layer; see `find`."""
        return [
            result for (which, _), result in self._pages.get(source, {}).items() if which == part
        ]

    def of_kind(self, kind: Kind) -> list[ResultLayer]:
        """Return the results of one kind of all layers."""
        return [
            result
            for page in self._pages.values()
            for (_, which), result in page.items()
            if which == kind
        ]

    def enter(self, source: Layer, part: Hashable, kind: Kind, result: ResultLayer) -> None:
        """Record a new result layer."""
        self._pages.setdefault(source, {})[part, kind] = result


def is_result(layer: Layer) -> bool:
    """Whether a layer was added by a dock of this plugin."""
    told = layer.metadata.get("napari_pea")
    return isinstance(told, dict) and "kind" in told
