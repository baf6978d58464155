from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from napari_pea.batch.summary import Summary
from napari_pea.core.errors import InputError


def table(*areas: int, **columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"label": range(1, len(areas) + 1), "area": areas, **columns})


def test_rows_are_added_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "new" / "summary.csv"
    summary = Summary(path)
    summary.add(Path("a.tif"), table(5, 6))
    summary.add(Path("b.tif"), table())
    summary.add(Path("c, d.tif"), table(7))
    assert [summary.count(Path(name)) for name in ("a.tif", "b.tif", "c, d.tif")] == [2, 0, 1]
    found = pd.read_csv(path)
    assert list(found["image"]) == ["a.tif", "a.tif", "c, d.tif"]
    assert list(found["area"]) == [5, 6, 7]
    assert Summary(path).count(Path("elsewhere/a.tif")) == 2


def test_other_columns_find_their_place(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    summary = Summary(path)
    summary.add(Path("a.tif"), table(5, foreground=[0.5]))
    summary.add(Path("b.tif"), table(6))
    summary.add(Path("c.tif"), table(7, depth=[3.0], foreground=[0.25]))
    found = pd.read_csv(path)
    assert list(found["foreground"].fillna(-1)) == [0.5, -1, 0.25]
    assert list(found["depth"].fillna(-1)) == [-1, -1, 3]


def test_images_that_are_made_again_lose_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    summary = Summary(path)
    summary.add(Path("a.tif"), table(5, 6))
    summary.add(Path("b.tif"), table(7))
    again = Summary(path)
    again.forget([Path("a.tif"), Path("z.tif")])
    assert again.count(Path("a.tif")) == 0
    again.add(Path("a.tif"), table(8))
    assert list(pd.read_csv(path)["area"]) == [7, 8]


def test_a_row_that_a_crash_has_cut_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    Summary(path).add(Path("a.tif"), table(5, 6, foreground=[0.1 + 0.2, 1]))
    whole = path.read_text()
    with path.open("a") as stream:
        stream.write("b.t")
    summary = Summary(path)
    assert summary.count(Path("a.tif")) == 2
    summary.forget([Path("b.tif")])
    assert path.read_text() == whole
    summary.add(Path("b.tif"), table(7, foreground=[0.5], depth=[2.0]))
    assert path.read_text().splitlines() == [
        "image,label,area,foreground,depth",
        "a.tif,1,5,0.30000000000000004,",
        "a.tif,2,6,1.0,",
        "b.tif,1,7,0.5,2.0",
    ]


@pytest.mark.parametrize("text", ["", "x,y\n1,2\n", "image\na\n", "image,label\na,1\n"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "summary.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="is no table of objects"):
        Summary(path)
