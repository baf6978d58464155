from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from napari_pea.core.affinity import unit_vectors
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.field import AffinityField
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken
from napari_pea.io import read_about, read_image, read_labels
from napari_pea.io.session import SavedSession, checksum, read_session, scene_of, write_session

SHAPE = (5, 30, 40)
SCENE = {
    "image": {
        "name": "x",
        "path": None,
        "beside": None,
        "reader": None,
        "shape": [5, 30, 40],
        "dtype": "|u1",
        "rgb": False,
        "place": {},
        "display": {},
        "colormap": None,
        "checksum": "00",
    },
    "part": {"plane": [], "channel": None, "layer_channel_axis": None},
    "labels": {"name": None, "place": {}},
    "camera": {"center": [0.0, 0.0], "zoom": 1.0},
    "model": {"name": "m", "hash": "00"},
    "choice": {},
    "controls": {},
}


@pytest.fixture
def saved() -> SavedSession:
    """A session of a volume, with an embedding, and what averaged masks say."""
    rng = np.random.default_rng(0)
    vectors = unit_vectors(rng.normal(size=(16, *SHAPE)).astype(np.float32))
    foreground = rng.random(SHAPE, dtype=np.float32)
    field = AffinityField(
        rng.random((3, *SHAPE), dtype=np.float32),
        ((-1, 0, 0), (0, -1, 0), (0, 0, -9)),
        foreground,
        rng.random((3, *SHAPE), dtype=np.float32),
        rng.normal(size=(4, *SHAPE)).astype(np.float32),
    )
    labels = rng.integers(0, 300, SHAPE).astype(np.uint32)
    table = pd.DataFrame({"label": [1, 2], "area": [5, 7], "foreground": [0.1, 1 / 3]})
    return SavedSession(
        {"kind": "labels", "settings": {"min_size": 3}},
        SCENE,
        {False: Embedding(vectors, foreground), True: field},
        labels,
        labels + np.uint32(1),
        table,
    )


def test_a_session_comes_back_as_it_was(saved: SavedSession, tmp_path: Path) -> None:
    path = tmp_path / "x.pea.zarr"
    image = np.random.default_rng(1).integers(0, 4000, (2, *SHAPE)).astype(np.uint16)
    steps: list[tuple[int, int]] = []
    whole = replace(saved, image=image, own=saved.labels + np.uint32(7))
    write_session(
        path, whole, pixel_size=(2.0, 0.5, 0.5), progress=lambda *step: steps.append(step)
    )
    assert steps[-1] == (len(steps) - 1,) * 2
    found = read_session(path)
    assert found.about == saved.about
    assert found.scene["image"] == SCENE["image"]
    for name in ("labels", "pieces", "image", "own"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    pd.testing.assert_frame_equal(found.table, saved.table)
    for average, evidence in saved.evidence.items():
        again = found.evidence[average]
        assert type(again) is type(evidence)
        for name in ("vectors", "values", "foreground", "variances", "codes"):
            array = getattr(evidence, name, None)
            if array is not None:
                assert getattr(again, name).dtype == np.float32
                np.testing.assert_allclose(getattr(again, name), array, rtol=1e-3, atol=1e-3)
    embedding, field = found.evidence[False], found.evidence[True]
    assert isinstance(embedding, Embedding)
    lengths = np.linalg.norm(embedding.vectors, axis=0)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    assert field.offsets == saved.evidence[True].offsets


def test_other_programs_see_labels(saved: SavedSession, tmp_path: Path) -> None:
    path = tmp_path / "x.pea.zarr"
    write_session(path, saved, pixel_size=(2.0, 0.5, 0.25))
    np.testing.assert_array_equal(read_labels(path), saved.labels)
    assert read_image(path).pixel_size == (2.0, 0.5, 0.25)
    assert read_about(path) == saved.about


def test_what_is_not_complete_is_no_session(saved: SavedSession, tmp_path: Path) -> None:
    path = tmp_path / "x.pea.zarr"
    write_session(path, saved)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        write_session(path, replace(saved, labels=saved.labels * 0), cancel=token)
    # The old one is as it was, and nothing is left beside it.
    np.testing.assert_array_equal(read_session(path).labels, saved.labels)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.pea.zarr"]


def test_other_folders_are_neither_read_nor_replaced(saved: SavedSession, tmp_path: Path) -> None:
    path = tmp_path / "x.pea.zarr"
    assert scene_of(path) is None
    path.mkdir()
    (path / "precious").touch()
    assert scene_of(path) is None
    with pytest.raises(InputError, match="is no session and is not replaced"):
        write_session(path, saved)
    with pytest.raises(InputError, match="is no session of napari-pea"):
        read_session(path)
    assert (path / "precious").exists()


def test_images_are_told_apart() -> None:
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    known = checksum(image)
    assert checksum(image.copy(order="F")) == known
    assert checksum(image.reshape(4, 3)) != known
    assert checksum(image.astype(np.int16)) != known
    assert checksum(image + 1) != known


@pytest.mark.parametrize(
    ("file", "change"),
    [
        (".zattrs", lambda told: told.pop("multiscales")),
        (".zattrs", lambda told: told.update(multiscales=[])),
        (".zattrs", lambda told: told["multiscales"][0].update(datasets=[])),
        (".zattrs", lambda told: told["multiscales"][0].update(datasets=[{"path": 3}])),
        (".zattrs", lambda told: told["napari_pea_session"].pop("labels")),
        (".zattrs", lambda told: told["napari_pea_session"]["camera"].update(zoom="near")),
        (".zattrs", lambda told: told["napari_pea_session"].update(digests=3)),
        (".zattrs", lambda told: told.pop("napari_pea")),
    ],
)
def test_damaged_sessions_get_one_sentence(
    saved: SavedSession, tmp_path: Path, file: str, change: Callable[[Any], None]
) -> None:
    path = tmp_path / "mine.pea.zarr"
    write_session(path, saved)
    told = json.loads((path / file).read_text())
    change(told)
    (path / file).write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"damaged|no OME-Zarr"):
        read_session(path)


@pytest.mark.parametrize(
    ("file", "lost"),
    [
        ("table.csv", "table.csv"),
        ("pieces/.zarray", "pieces"),
        ("pieces/0.0.0", "pieces"),
        ("evidence/vectors/0.0.0.0", "evidence"),
        ("evidence/foreground/.zarray", "evidence"),
        ("evidence-averaged/.zattrs", "evidence-averaged"),
    ],
)
@pytest.mark.parametrize("how", ["missing", "half"])
def test_what_is_incomplete_is_left_out_and_named(
    saved: SavedSession, tmp_path: Path, file: str, lost: str, how: str
) -> None:
    path = tmp_path / "mine.pea.zarr"
    write_session(path, saved)
    if how == "missing":
        (path / file).unlink()
    else:
        data = (path / file).read_bytes()
        (path / file).write_bytes(data[: len(data) // 2])
    found = read_session(path)
    assert found.damaged == (lost,)
    np.testing.assert_array_equal(found.labels, saved.labels)
    assert len(found.evidence) == 2 - lost.startswith("evidence")


def test_labels_that_lack_a_piece_are_not_opened(saved: SavedSession, tmp_path: Path) -> None:
    path = tmp_path / "mine.pea.zarr"
    write_session(path, saved)
    (path / "0" / "0" / "0" / "0").unlink()
    with pytest.raises(InputError, match="its labels are not complete"):
        read_session(path)
