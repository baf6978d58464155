"""The work of the Batch dock. Runs in another thread and knows no window."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_pea.batch.queue import SUMMARY, Item, State, plan
from napari_pea.batch.recipe import recipe_of
from napari_pea.batch.runner import run_batch, skip_done
from napari_pea.batch.summary import Summary
from napari_pea.core.predictors import check_settings, known_offsets
from napari_pea.core.progress import CancelToken
from napari_pea.core.settings import SegmentationSettings
from napari_pea.io import image_files
from napari_pea.widgets.memory import memory_reported
from napari_pea.widgets.work import Report

#: What stands between several inputs.
BETWEEN = ";"


@dataclass(frozen=True)
class BatchRequest:
    """What to segment, and how.

    Attributes
    ----------
    inputs : str
        Files, folders and patterns, with semicolons between them.
    folder : Path
        For the results.
    model : Path
        The model file.
    device : str
        "auto" or the name of a device.
    settings : SegmentationSettings or None
        How to segment; None for what the model recommends.
    channel : int or None
        Which channel; None for all.
    tile : int or None
        Side of a tile in pixels; None for those of the network.
    tables : bool
        Whether each image gets a table of its own.
    resume : bool
        Whether results that were made in the same way stay; else everything is made again.
    """

    inputs: str
    folder: Path
    model: Path
    device: str
    settings: SegmentationSettings | None
    channel: int | None
    tile: int | None
    tables: bool
    resume: bool


@dataclass(frozen=True)
class Listed:
    """The queue, or what became of one of its files.

    Attributes
    ----------
    items : tuple of Item
        All of them, as they were when this was made.
    row : int or None
        The one that has changed; None for all.
    """

    items: tuple[Item, ...]
    row: int | None = None


def listed_images(inputs: str, folder: Path | None, tables: bool = False) -> list[Item]:
    """Return the queue of what was typed.

    Parameters
    ----------
    inputs : str
        See `BatchRequest`.
    folder : Path or None
        For the results; None if it was not chosen yet.
    tables : bool
        See `BatchRequest`.

    Raises
    ------
    InputError
        If there are no such images, or two of them have one name.
    """
    given = [text.strip() for text in inputs.split(BETWEEN) if text.strip()]
    images = image_files(given)
    return plan(images, folder or Path("labels"), tables=tables, may_exist=True)


def count_existing(items: Sequence[Item]) -> int:
    """Return how many of the images have labels already."""
    return sum(item.labels.exists() for item in items)


def run(request: BatchRequest, report: Report, cancel: CancelToken) -> str:
    """Segment all images; return one sentence about them.

    Raises
    ------
    InputError
        If images, folder, model or settings cannot be used, or the memory does not suffice.
    Cancelled
        If `cancel` was set.
    """
    from napari_pea.models.catalogue import load_model

    report("Looking at the files …")
    items = listed_images(request.inputs, request.folder, request.tables)
    summary = Summary(request.folder / SUMMARY)
    report("Loading the model …")
    with memory_reported():
        model = load_model(request.model, request.device)
    settings = request.settings or known_offsets(model).updated(model.recommended)
    check_settings(model, settings)
    recipe = recipe_of(model, request.model, settings, channel=request.channel, tile=request.tile)
    if request.resume:
        report("Looking what is done …")
        skip_done(items, recipe, summary)
    report.hand_over(Listed(tuple(replace(item) for item in items)))
    rows = {id(item): row for row, item in enumerate(items)}
    finished = sum(item.state is State.SKIPPED for item in items)
    name = ""

    def changed(item: Item) -> None:
        nonlocal finished, name
        finished += item.state in (State.DONE, State.FAILED)
        name = item.image.name
        row = rows[id(item)]
        report.hand_over(Listed((replace(item),), row))
        report(f"{name} …", finished, len(items))

    def tiles(done: int, total: int, /) -> None:
        if total > 1:
            report(f"{name}, tile {done} of {total} …", finished, len(items))

    run_batch(items, model, recipe, summary=summary, changed=changed, progress=tiles, cancel=cancel)
    return sentence(items, request.folder)


def sentence(items: list[Item], folder: Path) -> str:
    """Return what became of a queue."""
    counts = Counter(item.state for item in items)
    texts = [
        f"{counts[state]} {word}"
        for state, word in (
            (State.DONE, "done"),
            (State.SKIPPED, "done before"),
            (State.FAILED, "failed"),
        )
        if counts[state]
    ]
    objects = sum(item.objects for item in items)
    return f"{', '.join(texts)}: {objects} objects, all in {folder / SUMMARY}."


def suggested_folder(inputs: str) -> str:
    """Return where results may go: beside the first of the images."""
    first = inputs.split(BETWEEN)[0].strip()
    if not first:
        return ""
    path = Path(re.split(r"[*?\[]", first)[0])
    folder = path if path.is_dir() else path.parent
    return str(folder / "labels")
