"""Which layers hold results, and whether the user has made one their own since."""

from __future__ import annotations

import zlib
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary, ref

import numpy as np

from napari_pea.core.neighborhood import Offset

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Layer


#: What a result shows; affinities come with their offset.
Kind: TypeAlias = "tuple[str, Offset | None]"
LABELS: Kind = ("labels", None)
EMBEDDING: Kind = ("embedding", None)


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
        self._table_print = self._print_of_table()
        self._print = print_
        self._painted = False
        if hasattr(layer.events, "paint"):
            layer.events.paint.connect(self._on_paint)

    @property
    def layer(self) -> Layer | None:
        """The layer, as long as it exists."""
        return self._layer()

    def has_its_data(self) -> bool:
        """Whether the data are as they were written; slow for large layers, any thread."""
        layer = self._layer()
        if layer is None or self._painted:
            return False
        return self._print is None or fingerprint(layer.data) == self._print

    def may_be_replaced(self, layers: LayerList) -> bool:
        """Whether the layer is still shown and, but for its data, as it was made."""
        layer = self._layer()
        return (
            layer is not None
            and layer in layers
            and not self._painted
            and layer.name == self._name
            and self._print_of_table() == self._table_print
        )

    def was_replaced(self, print_: Hashable) -> None:
        """Take note of new data and a new table."""
        self._print = print_
        self._table_print = self._print_of_table()

    def _print_of_table(self) -> Hashable:
        """Return a value that changes when a column or a value of the table does."""
        from pandas.util import hash_pandas_object

        table = getattr(self._layer(), "features", None)
        if table is None or table.columns.empty:
            return None
        return tuple(table.columns), fingerprint(hash_pandas_object(table).to_numpy())

    def _on_paint(self, event: Any) -> None:
        self._painted = True


class ResultBook:
    """The result layers of a viewer, by the layer and the part that they were made from."""

    def __init__(self) -> None:
        self._pages: WeakKeyDictionary[Layer, dict[tuple[Hashable, Kind], ResultLayer]] = (
            WeakKeyDictionary()
        )

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

    def offsets(self, source: Layer, part: Hashable, layers: LayerList) -> tuple[Offset, ...]:
        """Return the offsets whose affinities are shown for a part of a layer."""
        return tuple(
            offset
            for (which, (_, offset)), result in self._pages.get(source, {}).items()
            if which == part and offset is not None and result.may_be_replaced(layers)
        )

    def enter(self, source: Layer, part: Hashable, kind: Kind, result: ResultLayer) -> None:
        """Record a new result layer."""
        self._pages.setdefault(source, {})[part, kind] = result


def is_result(layer: Layer) -> bool:
    """Whether a layer was added by a dock of this plugin."""
    told = layer.metadata.get("napari_pea")
    return isinstance(told, dict) and "kind" in told
