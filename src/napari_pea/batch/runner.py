"""Segmenting a queue of files: errors of one do not stop the rest, and it can be resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_pea.batch.queue import Item, State
from napari_pea.batch.recipe import Recipe, is_ours
from napari_pea.core.errors import Cancelled, InputError, is_out_of_memory
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.segmenter import Segmenter
from napari_pea.io import read_image, write_labels, write_table

if TYPE_CHECKING:
    from napari_pea.batch.summary import Summary
    from napari_pea.models.model import Model


def skip_done(items: Sequence[Item], recipe: Recipe, summary: Summary | None = None) -> None:
    """Mark the images as skipped whose results are there, made in the same way.

    Parameters
    ----------
    items : sequence of Item
        The queue.
    recipe : Recipe
        How they are to be segmented.
    summary : Summary, optional
        It has to hold their objects too.

    Raises
    ------
    InputError
        If there are labels that would be replaced, and no batch has made them.
    """
    for item in items:
        n_objects = recipe.made(item.image, item.labels)
        has_table = item.table is None or item.table.exists()
        has_rows = summary is None or summary.count(item.image) == n_objects
        if n_objects is not None and has_table and has_rows:
            item.state, item.objects = State.SKIPPED, n_objects
            item.message = f"{item.labels} is there, made in the same way"
        elif item.labels.exists() and not is_ours(item.labels):
            raise InputError(
                f"{item.labels} does not say that a batch made it, so it may be somebody's work "
                "and is not replaced: choose another folder, or move it away."
            )


def run_batch(
    items: Sequence[Item],
    model: Model,
    recipe: Recipe,
    *,
    summary: Summary | None = None,
    changed: Callable[[Item], object] = lambda _: None,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> None:
    """Segment all images of a queue that are waiting.

    Parameters
    ----------
    items : sequence of Item
        The queue; states and figures are entered into it.
    model : Model
        Segments them.
    recipe : Recipe
        How.
    summary : Summary, optional
        Receives the objects of every image.
    changed : callable
        Told each item whose state has changed.
    progress : callable
        Told the tiles done and the tiles in all of the present image.
    cancel : CancelToken, optional
        Checked before each image and each tile. What is done stays; the image under way
        waits again.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    InputError
        If the summary cannot be written.
    """
    waiting = [item for item in items if item.state is State.WAITING]
    if summary is not None:
        summary.forget(item.image for item in waiting)
    for item in waiting:
        check_cancel(cancel)
        item.state = State.RUNNING
        changed(item)
        started = time.perf_counter()
        try:
            _segment(item, model, recipe, summary, progress, cancel)
            item.state = State.DONE
        except Cancelled:
            item.state = State.WAITING
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other images go on
            item.state, item.message = State.FAILED, _reason(error)
            _forget(item, summary)
        finally:
            item.seconds = time.perf_counter() - started
            changed(item)


def _reason(error: Exception) -> str:
    """Return why an image failed, in one sentence."""
    if isinstance(error, InputError | OSError):
        return str(error)
    if is_out_of_memory(error):
        return (
            "there is not enough memory; try a smaller --tile, in the dock a smaller tile size in "
            "the preferences."
        )
    return f"{type(error).__name__}: {error}"


def _forget(item: Item, summary: Summary | None) -> None:
    """Take out the rows of an image that failed after they were written."""
    if summary is not None and summary.count(item.image):
        # Of a full disk the image itself tells; its rows are then left to the next run.
        with suppress(InputError):
            summary.forget([item.image])


def _segment(
    item: Item,
    model: Model,
    recipe: Recipe,
    summary: Summary | None,
    progress: Progress,
    cancel: CancelToken | None,
) -> None:
    """Segment one image and write its results, the labels last."""
    about = recipe.about(item.image)
    image, channel_axis = read_image(item.image), recipe.channel_axis
    if channel_axis is None:
        image = image.squeezed()
        channel_axis = image.channel_axis
    segmenter = Segmenter(
        model, image.array, channel=recipe.channel, channel_axis=channel_axis, tile=recipe.tile
    )
    found = segmenter.segment(recipe.settings, progress=progress, cancel=cancel)
    size = image.pixel_size
    fits = size is not None and len(size) == found.labels.ndim
    if item.table is not None:
        write_table(item.table, found.table)
    if summary is not None:
        summary.add(item.image, found.table)
    about |= {"objects": len(found.table)}
    write_labels(item.labels, found.labels, pixel_size=size if fits else None, about=about)
    item.objects = len(found.table)
