"""One table of all objects of all files, which grows with every file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pea.core.errors import InputError
from napari_pea.io.writing import reported, write_table

if TYPE_CHECKING:
    import pandas as pd

#: The column that tells files apart.
IMAGE = "image"


class Summary:
    """The objects of all files in one CSV file.

    Rows are added to the end of the file, so that a long batch never writes all of it again;
    images that are segmented again lose their former rows first.

    Parameters
    ----------
    path : Path
        The file; it may not exist yet.

    Raises
    ------
    InputError
        If there is a file of that name which is no such table.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] = []
        self._counts: dict[str, int] = {}
        self._read()

    def count(self, image: Path) -> int:
        """Return how many objects of an image it holds."""
        return self._counts.get(image.stem, 0)

    def forget(self, images: Iterable[Path]) -> None:
        """Take out all rows of some images.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        gone = {image.stem for image in images}
        table = self._read()
        if table is None:
            return
        kept = table[~table[IMAGE].map(_stem).isin(gone)]
        write_table(self._path, kept)
        self._read()

    def add(self, image: Path, table: pd.DataFrame) -> None:
        """Add the objects of an image.

        Parameters
        ----------
        image : Path
            The file.
        table : pandas.DataFrame
            One row for each object.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        import pandas as pd

        rows = table.copy()
        rows.insert(0, IMAGE, image.name)
        missing = [name for name in rows.columns if name not in self._columns]
        if missing:
            former = self._read()
            write_table(self._path, rows if former is None else pd.concat([former, rows]))
            self._columns = [*self._columns, *missing]
        else:
            with reported(self._path), self._path.open("a", newline="") as stream:
                rows.reindex(columns=self._columns).to_csv(stream, index=False, header=False)
        self._counts[image.stem] = len(rows)

    def _read(self) -> pd.DataFrame | None:
        """Return what the file holds, as text; rows that a crash has cut are left out."""
        import pandas as pd

        if not self._path.exists():
            return None
        try:
            # As text, figures are written again as they stand.
            table = pd.read_csv(self._path, dtype=str)
        except (ValueError, OSError) as error:  # the errors of pandas are ValueErrors
            raise self._refusal() from error
        if not {IMAGE, "label", "area"} <= set(table.columns):
            raise self._refusal()
        table = table[table["label"].notna() & table["area"].notna()]
        self._columns = list(table.columns)
        counts = table[IMAGE].map(_stem).value_counts()
        self._counts = {str(stem): int(count) for stem, count in counts.items()}
        return table

    def _refusal(self) -> InputError:
        return InputError(
            f"{self._path} is no table of objects: move it away, or choose another folder."
        )


def _stem(name: object) -> str:
    return Path(str(name)).stem
