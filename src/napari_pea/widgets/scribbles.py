"""The layer on which corrections are drawn, and the strokes read from it.

Every stroke has an id of its own in the layer, odd for a join and even for a cut. What is
painted there counts: undo, redo and the eraser of napari change the corrections too.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from napari_pea.core.corrections import Corrections
from napari_pea.core.strokes import Kind, Stroke

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_pea.widgets.sources import ImagePart

#: Undo and redo are noticed when the layer has been still for so long, in milliseconds.
STILL_MS = 60
#: Colours of background, joins and cuts.
COLORS = ((0.0, 0.0, 0.0, 0.0), (0.2, 0.9, 0.3, 1.0), (1.0, 0.25, 0.2, 1.0))
#: What the metadata call such a layer.
KIND = "corrections"


_LAYERS: WeakKeyDictionary[Image, dict[Hashable, ref[Labels]]] = WeakKeyDictionary()


@dataclass(eq=False)
class _Record:
    """A stroke that was drawn, be it undone or not.

    Attributes
    ----------
    id : int
        Its id in the layer.
    stroke : Stroke
        In pixels of the plane.
    replaced_by : _Record or None
        The later stroke that it contradicts.
    pixels : array of int64
        Flat indices, in the plane, of the paint that was taken away for that reason.
    """

    id: int
    stroke: Stroke
    replaced_by: _Record | None = None
    pixels: NDArray[np.int64] | None = None


class Scribbles(QObject):
    """Strokes on one part of an image, in a layer of their own.

    Parameters
    ----------
    source : napari.layers.Image
        The image, not kept alive.
    part : ImagePart
        Which part of it.
    parent : QObject
        The group of the dock.
    """

    #: The corrections have changed.
    changed = Signal()
    #: Strokes that a new one has replaced: how many.
    replaced = Signal(int)
    #: Something was painted that is no stroke of the brush.
    misdrawn = Signal()

    def __init__(self, source: Image, part: ImagePart, parent: QObject) -> None:
        super().__init__(parent)
        self.source = ref(source)
        self.part = part
        former = _layer_of(source, part)
        self.layer: Labels = former or _new_layer(source, part)
        # Large layers are looked through only once.
        self._largest = int(former.data.max()) if former is not None else 0
        self.corrections = Corrections()
        self._records: list[_Record] = []
        self._present: list[tuple[int, int, int]] = []
        self._line: list[tuple[float, ...]] = []
        self._axes: tuple[int, int] | None = None
        self._is_own = False
        self._still = QTimer(self)
        self._still.setSingleShot(True)
        self._still.setInterval(STILL_MS)
        self._still.timeout.connect(self._read)
        self.layer.mouse_drag_callbacks.append(self._follow_mouse)
        self.layer.events.paint.connect(self._on_paint)
        # Undo and redo send nothing else.
        self.layer.events.set_data.connect(self._on_set_data)

    @property
    def kind(self) -> Kind | None:
        """What the brush draws; None if it is not in the hand."""
        if self.layer.mode != "paint" or not self.layer.selected_label:
            return None
        return _kind_of(self.layer.selected_label)

    def take(self, kind: Kind) -> None:
        """Take the brush that joins or that cuts."""
        self.layer.editable = True
        self.layer.visible = True
        self.layer.mode = "paint"
        self.layer.selected_label = self._next_id(kind)

    def put_down(self) -> None:
        """Put the brush away."""
        self.layer.mode = "pan_zoom"

    def undo(self) -> None:
        """Take the newest stroke away; napari's undo brings it back."""
        present = [record for record in self._records if self._runs(record)]
        if not present:
            return
        plane = self._plane()
        last = present[-1]
        pixels = np.flatnonzero(plane.reshape(-1) == last.id)
        values = np.zeros(len(pixels), dtype=plane.dtype)
        for record in present[:-1]:
            values[np.isin(pixels, record.stroke.covered(plane.shape))] = record.id
        self._is_own = True
        self.layer.data_setitem(np.unravel_index(pixels, self.layer.data.shape), values)
        self._is_own = False
        self._read()

    def restore(self, corrections: Corrections) -> None:
        """Enter corrections that were saved, and draw those that the layer does not show."""
        plane = self._plane()
        for stroke in corrections.strokes:
            label = self._label_under(stroke)
            if not label:
                label = self._next_id(stroke.kind)
                plane.reshape(-1)[stroke.covered(plane.shape)] = label
            self._records.append(_Record(label, stroke))
        self._read()
        self.layer.refresh()

    def close(self) -> None:
        """Listen to the layer no more."""
        self._still.stop()
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.set_data.disconnect(self._on_set_data)
        if self._follow_mouse in self.layer.mouse_drag_callbacks:
            self.layer.mouse_drag_callbacks.remove(self._follow_mouse)
        # It would keep the layer alive as long as the dock.
        self.setParent(None)
        self.deleteLater()

    def _follow_mouse(self, layer: Labels, event: Any) -> Iterator[None]:
        """Take note of where the centre of the brush goes."""
        self._line = []
        if layer.mode != "paint" or len(event.dims_displayed) != 2:
            return
        self._axes = self._drawn_in(event)
        self._note(layer.world_to_data(event.position))
        yield
        while event.type == "mouse_move":
            self._note(layer.world_to_data(event.position))
            yield

    def _drawn_in(self, event: Any) -> tuple[int, int] | None:
        """Return which axes of the part are seen, None if one of them is none of its own."""
        hidden = len(event.position) - self.layer.ndim
        shown = [axis - hidden for axis in event.dims_displayed]
        seen = {self.part.kept_axes[axis] for axis in shown if axis >= 0}
        axes = tuple(n for n, axis in enumerate(self.part.plane_axes) if axis in seen)
        return (axes[0], axes[1]) if len(axes) == 2 else None

    def _note(self, position: NDArray[np.float64]) -> None:
        taken = dict(self.part.plane)
        place = tuple(
            round(float(value), 2)
            for value, axis in zip(position, self.part.kept_axes, strict=True)
            if axis not in taken
        )
        if not self._line or self._line[-1] != place:
            self._line.append(place)

    def _on_paint(self, _: Any) -> None:
        """Enter a stroke that was drawn."""
        if not isalive(self):
            return
        line, self._line = self._line, []
        label, mode = int(self.layer.selected_label), str(self.layer.mode)
        if not self._is_own and label and mode in ("paint", "fill", "polygon"):
            if mode == "paint" and line and self._axes is not None:
                size = self.layer.brush_size
                stroke = Stroke(_kind_of(label), np.array(line), size, self._axes)
                self._records.append(_Record(label, stroke))
                self.layer.selected_label = self._next_id(stroke.kind)
            else:
                self.misdrawn.emit()
        self._read()
        # What a script changes is announced before it is done.
        self._still.start()

    def _on_set_data(self, _: Any) -> None:
        if isalive(self):
            self._still.start()

    def _read(self) -> None:
        """Read the corrections from the layer."""
        self._still.stop()
        self._bring_back()
        present = [
            (number, start, stop)
            for number, record in enumerate(self._records)
            for start, stop in self._runs(record)
        ]
        if present == self._present:
            return
        corrections, replaced = Corrections(), 0
        owners: dict[int, _Record] = {}
        for number, start, stop in present:
            record = self._records[number]
            stroke = record.stroke
            if stop - start < len(stroke.line):
                kept = stroke.places[start:stop]
                stroke = Stroke(stroke.kind, kept, stroke.width, stroke.axes)
            owners[id(stroke)] = record
            corrections, dropped = corrections.add(stroke, self.part.shape)
            replaced += len(dropped)
            for one in dropped:
                self._take_away(owners[id(one)], record)
        self._present = [each for each in present if not self._records[each[0]].replaced_by]
        if corrections != self.corrections:
            self.corrections = corrections
            self.changed.emit()
            if replaced:
                self.replaced.emit(replaced)

    def _runs(self, record: _Record) -> list[tuple[int, int]]:
        """Return what of the line of a stroke is still there; the eraser may split it."""
        if record.replaced_by is not None:
            return []
        plane = self._plane()
        places = np.rint(record.stroke.places).astype(int)
        inside = ((places >= 0) & (places < plane.shape)).all(axis=1)
        values = np.full(len(places), record.id)
        values[inside] = plane[tuple(places[inside].T)]
        if not (values[inside] == record.id).any():
            return []
        # Where later strokes run over it, it is still there.
        later = [other.id for other in self._records[self._records.index(record) + 1 :]]
        kept = np.isin(values, [record.id, *later])
        ends = np.flatnonzero(np.diff(np.concatenate(([False], kept, [False])).astype(int)))
        return [(int(start), int(stop)) for start, stop in ends.reshape(-1, 2)]

    def _take_away(self, record: _Record, winner: _Record) -> None:
        """Take away the paint of a stroke that a later one contradicts."""
        plane = self._plane().reshape(-1)
        pixels = np.flatnonzero(plane == record.id)
        plane[pixels] = 0
        record.replaced_by, record.pixels = winner, pixels
        self.layer.refresh()

    def _bring_back(self) -> None:
        """Bring back the strokes whose winner was undone."""
        for record in self._records:
            winner, pixels = record.replaced_by, record.pixels
            if winner is None or pixels is None or self._runs(winner):
                continue
            plane = self._plane().reshape(-1)
            plane[pixels[plane[pixels] == 0]] = record.id
            record.replaced_by = record.pixels = None
            self.layer.refresh()

    def _plane(self) -> NDArray[np.uint16]:
        """Return the pixels of the layer as its part has them; a view of them."""
        plane: NDArray[np.uint16] = np.asarray(self.layer.data).reshape(self.part.shape)
        return plane

    def _label_under(self, stroke: Stroke) -> int:
        """Return the id that a stroke was painted with; 0 if it was not."""
        plane = self._plane()
        values = plane.reshape(-1)[stroke.covered(plane.shape)]
        known = [0, *(record.id for record in self._records)]
        fits = values[~np.isin(values, known) & (values % 2 == (stroke.kind == "join"))]
        return int(np.bincount(fits).argmax()) if fits.size else 0

    def _next_id(self, kind: Kind) -> int:
        """Return an id that was never used."""
        largest = max(self._largest, *(record.id for record in self._records), 0)
        return largest + 1 + (_kind_of(largest + 1) != kind)


def _new_layer(source: Image, part: ImagePart) -> Labels:
    """Return an empty layer for the strokes on a part of an image."""
    from napari.layers import Labels
    from napari.utils.colormaps import CyclicLabelColormap

    shape = part.as_result(np.broadcast_to(np.uint16(0), part.shape)).shape
    layer = Labels(
        np.zeros(shape, dtype=np.uint16),
        name=f"{source.name} corrections",
        colormap=CyclicLabelColormap(colors=np.array(COLORS, dtype=np.float32)),
        opacity=0.8,
        metadata={"napari_pea": {"kind": KIND}},
        **part.placement(source),
    )
    layer.n_edit_dimensions = 2
    _LAYERS.setdefault(source, {})[part.key] = ref(layer)
    return layer


def _layer_of(source: Image, part: ImagePart) -> Labels | None:
    """Return the layer that was made for the strokes on a part before."""
    made = _LAYERS.get(source, {}).get(part.key)
    return None if made is None else made()


def forget_layer(layer: Labels) -> None:
    """Use a layer no more, because the user has removed it."""
    for made in _LAYERS.values():
        for key in [key for key, one in made.items() if one() is layer]:
            del made[key]


def _kind_of(label: int) -> Kind:
    return "join" if label % 2 else "cut"
