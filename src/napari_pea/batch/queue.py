"""The files of a batch, where their results go, and how far each one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from napari_pea.core.errors import InputError

#: The table of all objects of all files, in the folder of the results.
SUMMARY = "summary.csv"


class State(StrEnum):
    """How far a file is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    #: Its results were there already.
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass
class Item:
    """One image of a batch.

    Attributes
    ----------
    image : Path
        The file.
    labels : Path
        Where its labels go.
    table : Path or None
        Where the table of its objects goes; None for nowhere.
    state : State
        How far it is.
    objects : int
        How many objects were found in it.
    seconds : float
        How long it took.
    message : str
        What went wrong, or why it was skipped.
    """

    image: Path
    labels: Path
    table: Path | None = None
    state: State = State.WAITING
    objects: int = 0
    seconds: float = 0.0
    message: str = ""


def plan(
    images: Sequence[Path],
    folder: Path,
    *,
    tables: bool = False,
    may_exist: bool = False,
    advice: str = "choose another folder",
) -> list[Item]:
    """Return where the results of each image go, before any work is done.

    Labels are written last, so they tell that an image is done; a table without labels is
    what is left of an image that was stopped.

    Parameters
    ----------
    images : sequence of Path
        The files.
    folder : Path
        For the results, ``<stem>.tif`` and ``<stem>.csv``.
    tables : bool
        Whether each image gets a table of its own.
    may_exist : bool
        Whether results may be there already.
    advice : str
        What helps if they are, but may not.

    Raises
    ------
    InputError
        If two results would have the same name, one exists already, or one would replace
        an image.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: results go to a folder.")
    items: dict[str, Item] = {}
    inputs = {path.resolve() for path in images}
    for image in images:
        stem = image.stem
        if stem in items:
            raise InputError(
                f"{items[stem].image} and {image} would both become {stem}.tif: segment them "
                "into different folders."
            )
        item = Item(image, folder / f"{stem}.tif", folder / f"{stem}.csv" if tables else None)
        if item.labels.resolve() in inputs:
            raise InputError(
                f"The result {item.labels} would replace an image that is to be segmented: "
                "choose another folder."
            )
        if item.table is not None and item.table.name == SUMMARY:
            raise InputError(
                f"The table of {image} would be called like that of all objects, {SUMMARY}: "
                "rename the image."
            )
        for path in (item.labels, item.table):
            if path is not None and path.exists() and not may_exist:
                raise InputError(f"{path} exists already: {advice}.")
        items[stem] = item
    return list(items.values())
