from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_pea.core.table import region_table
from napari_pea.widgets.features import layer_features
from napari_pea.widgets.layers import ResultWriter, offset_text
from napari_pea.widgets.results import LABELS, ResultBook, fingerprint, is_result
from napari_pea.widgets.sources import channel_choices, choose_part
from napari_pea.widgets.views import EMBEDDING_VIEW, affinity_view


class Bench:
    """A viewer without window, an image, and results of it."""

    def __init__(self) -> None:
        self.viewer = ViewerModel()
        self.image = self.viewer.add_image(np.arange(48.0).reshape(6, 8), name="cells")
        self.book = ResultBook()
        self.part = choose_part(self.image, self.viewer.dims, channel_choices(self.image)[0])

    @property
    def writer(self) -> ResultWriter:
        return ResultWriter(self.viewer.layers, self.book, self.image, self.part, {"model": "tiny"})

    def write(self, n_objects: int) -> tuple[Labels, bool]:
        """Show a result with so many objects, as the dock does."""
        labels = np.zeros((6, 8), dtype=np.uint32)
        labels[0, :n_objects] = np.arange(1, n_objects + 1)
        table = layer_features(region_table(labels), self.image, self.part)
        former = self.book.find(self.image, self.part.key, LABELS)
        replace = former is not None and former.has_its_data()
        return self.writer.write_labels(labels, table, fingerprint(labels), replace=replace)

    def write_embedding(self) -> Image:
        """Show colours, as the dock does."""
        view = EMBEDDING_VIEW
        colors = np.zeros((6, 8, 3), np.uint8)
        return self.writer.write_picture(view.kind, colors, "cells embedding", view.arguments)

    def write_affinity(self, offset: tuple[int, int], affinity: np.ndarray) -> Image:
        """Show affinities, as the dock does."""
        view = affinity_view(offset)
        return self.writer.write_picture(view.kind, affinity, view.name, view.arguments)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_offsets_are_written_with_a_real_minus() -> None:
    assert offset_text((0, -9)) == "(0, −9)"
    assert offset_text((-3, 3)) == "(−3, 3)"


def test_a_second_result_takes_the_place_of_the_first(bench: Bench) -> None:
    first, is_new = bench.write(3)
    assert is_new
    first.opacity = 0.2
    first.visible = False
    first.metadata["mine"] = 1
    second, is_new = bench.write(2)
    assert second is first
    assert not is_new
    assert (first.data.max(), len(first.features), first.opacity) == (2, 2, 0.2)
    assert first.visible
    assert first.metadata["mine"] == 1
    assert bench.write(4)[0] is first


CHANGES = {
    "painted": lambda layer: layer.paint((3, 3), 7),
    "filled": lambda layer: layer.fill((3, 3), 7),
    "painted and undone": lambda layer: (layer.paint((3, 3), 7), layer.undo()),
    "pixels set": lambda layer: layer.data_setitem((np.array([3]), np.array([3])), 7),
    "pixels written": lambda layer: layer.data.__setitem__((3, 3), 7),
    "other data": lambda layer: setattr(layer, "data", layer.data + 1),
    "renamed": lambda layer: setattr(layer, "name", "my best"),
    "value changed": lambda layer: layer.features.__setitem__("area", [1, 1, 9]),
    "column added": lambda layer: setattr(layer, "features", layer.features.assign(kind="a")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_user_changed_is_never_overwritten(bench: Bench, change: str) -> None:
    mine, _ = bench.write(3)
    CHANGES[change](mine)
    data, table, name = mine.data.copy(), mine.features.copy(), mine.name
    new, is_new = bench.write(2)
    assert is_new
    assert new is not mine
    assert mine in bench.viewer.layers
    np.testing.assert_array_equal(mine.data, data)
    assert mine.features.equals(table)
    assert mine.name == name
    assert bench.write(4)[0] is new


def test_a_removed_result_is_made_again(bench: Bench) -> None:
    first, _ = bench.write(3)
    bench.viewer.layers.remove(first)
    second, is_new = bench.write(3)
    assert is_new
    assert second.name == "cells labels"


def test_layers_of_the_user_with_the_same_names_stay(bench: Bench) -> None:
    mine = bench.viewer.add_labels(np.full((6, 8), 5), name="cells labels")
    embedding = bench.viewer.add_image(np.ones((6, 8)), name="cells embedding")
    bench.write(3)
    bench.write_embedding()
    assert (mine.data == 5).all()
    assert (embedding.data == 1).all()
    names = {layer.name for layer in bench.viewer.layers}
    assert {"cells labels [1]", "cells embedding [1]"} <= names


def test_pictures_lie_between_image_and_labels(bench: Bench) -> None:
    bench.viewer.add_image(np.ones((6, 8)), name="above")
    bench.write(3)
    bench.write_embedding()
    bench.write_affinity((0, -9), np.zeros((6, 8), np.float32))
    names = [layer.name for layer in bench.viewer.layers]
    assert names == ["cells", "affinity (0, −9)", "cells embedding", "above", "cells labels"]
    assert [is_result(layer) for layer in bench.viewer.layers] == [False, True, True, False, True]
    assert bench.viewer.layers["affinity (0, −9)"].contrast_limits == [0, 1]


def test_pictures_are_renewed(bench: Bench) -> None:
    first = bench.write_affinity((0, -9), np.zeros((6, 8), np.float32))
    bench.image.scale = (2, 2)
    second = bench.write_affinity((0, -9), np.ones((6, 8), np.float32))
    assert second is first
    assert (first.data == 1).all()
    np.testing.assert_allclose(first.scale, (2, 2))
    other = bench.write_affinity((-9, 0), np.ones((6, 8), np.float32))
    assert other is not first
    key = bench.part.key
    shown = bench.book.of_offsets(bench.image, key, bench.viewer.layers)
    assert {offset for _, offset in shown} == {(0, -9), (-9, 0)}
    bench.viewer.layers.remove(other)
    left = bench.book.of_offsets(bench.image, key, bench.viewer.layers)
    assert [offset for _, offset in left] == [(0, -9)]


def test_objects_without_a_table(bench: Bench) -> None:
    layer, _ = bench.write(0)
    assert list(layer.features.columns)[:2] == ["index", "area"]
    assert bench.write(3)[0] is layer


def test_the_book_keeps_no_layer_alive(bench: Bench) -> None:
    import gc
    from weakref import ref

    gone: Any = ref(bench.write(3)[0])
    bench.viewer.layers.clear()
    bench.viewer = ViewerModel()
    gc.collect()
    assert gone() is None


def test_fingerprints_differ_where_arrays_differ() -> None:
    zeros = np.zeros((4, 6), np.uint32)
    changed = zeros.copy()
    changed[3, 5] = 1
    different = [zeros, changed, zeros.T, zeros.astype(np.int32), [[0]]]
    assert len({fingerprint(array) for array in different}) == len(different)
    assert fingerprint(zeros.copy()) == fingerprint(zeros)
    assert fingerprint(Image(zeros).data) == fingerprint(zeros)
