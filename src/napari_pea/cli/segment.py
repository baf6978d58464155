"""`napari-pea segment`: images to labels."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_pea.cli.console import (
    SOME_FAILED,
    cancel_on_interrupt,
    get_ready,
    print_error,
    print_json,
    progress_bar,
)
from napari_pea.cli.settings_options import (
    AverageMasks,
    Bias,
    Connectivity,
    FillHoles,
    ForegroundThreshold,
    MergeFragments,
    MinSize,
    ModelName,
    PartitionerName,
    Ranges,
    Strides,
    ZRanges,
    setting_changes,
)
from napari_pea.core.errors import InputError
from napari_pea.core.progress import Progress, ignore_progress

if TYPE_CHECKING:
    from napari_pea.batch.queue import Item

#: What helps if there are results already.
IF_THERE = (
    "choose another folder, replace what is there with --overwrite, or go on with the rest with "
    "--resume or --skip-existing"
)


def segment(
    images: Annotated[list[str], typer.Argument(metavar="IN", help="Images, folders or patterns.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results, <stem>.tif.")
    ],
    model: ModelName = "nuclei",
    ranges: Ranges = None,
    z_ranges: ZRanges = None,
    connectivity: Connectivity = None,
    strides: Strides = None,
    partitioner: PartitionerName = None,
    bias: Bias = None,
    foreground_threshold: ForegroundThreshold = None,
    min_size: MinSize = None,
    merge_fragments: MergeFragments = None,
    fill_holes: FillHoles = None,
    average_masks: AverageMasks = None,
    channel: Annotated[int | None, typer.Option(help="Channel to segment, counted from 0.")] = None,
    channel_axis: Annotated[
        int | None, typer.Option(help="Axis of the channels, if the file does not tell.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    tile: Annotated[
        int | None, typer.Option(help="Side of the tiles in pixels; smaller needs less memory.")
    ] = None,
    table: Annotated[
        bool, typer.Option("--table/--no-table", help="Also write <stem>.csv with all objects.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that exist already.")
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Skip images whose labels exist already, to go on with what was stopped.",
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Skip images whose labels were made with the same settings and model, and "
            "make the others again.",
        ),
    ] = False,
    summary: Annotated[
        bool | None,
        typer.Option(
            "--summary/--no-summary",
            help="Write summary.csv with the objects of all images; by default if there are "
            "several.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> None:
    """Segment images and write their labels.

    One image that cannot be used does not stop the others.
    """
    changes = setting_changes(
        ranges,
        connectivity,
        strides,
        partitioner,
        bias,
        foreground_threshold,
        min_size,
        z_ranges,
        merge_fragments,
        fill_holes,
        average_masks,
    )
    ways = {"--overwrite": overwrite, "--skip-existing": skip_existing, "--resume": resume}
    chosen = [name for name, is_chosen in ways.items() if is_chosen]
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(chosen)} exclude each other: give one of them.")
    from napari_pea.batch.queue import SUMMARY, State, plan
    from napari_pea.batch.recipe import recipe_of
    from napari_pea.batch.runner import run_batch, skip_done
    from napari_pea.batch.summary import Summary
    from napari_pea.io import image_files

    items = plan(image_files(images), output, tables=table, may_exist=bool(chosen), advice=IF_THERE)
    wants_summary = len(items) > 1 if summary is None else summary
    whole = Summary(output / SUMMARY) if wants_summary else None
    from napari_pea.core.predictors import check_settings, known_offsets
    from napari_pea.models.catalogue import load_model

    loaded = load_model(model, device)
    settings = known_offsets(loaded).updated(loaded.recommended, **changes)
    check_settings(loaded, settings)  # before any image is read
    recipe = recipe_of(
        loaded, model, settings, channel=channel, channel_axis=channel_axis, tile=tile
    )
    if resume:
        skip_done(items, recipe, whole)
    for item in items:
        if skip_existing and item.labels.exists():
            item.state, item.message = State.SKIPPED, f"{item.labels} exists already"
    for item in items:
        if item.state is State.SKIPPED and not as_json:
            typer.echo(f"{item.image} skipped: {item.message}")
    todo = sum(item.state is State.WAITING for item in items)
    if todo:
        get_ready()
    with cancel_on_interrupt() as cancel, _Bars(todo, quiet=as_json) as bars:
        run_batch(
            items,
            loaded,
            recipe,
            summary=whole,
            changed=bars.tell,
            progress=bars.show,
            cancel=cancel,
        )
    if as_json:
        report = {"model": loaded.name, "settings": settings.as_dict()}
        print_json(report | {"images": [_report(item) for item in items]})
    elif whole is not None and (output / SUMMARY).exists():
        typer.echo(f"All objects: {output / SUMMARY}")
    if any(item.state is State.FAILED for item in items):
        raise typer.Exit(SOME_FAILED)


class _Bars(ExitStack):
    """A progress bar for each image, and a line when it is done.

    Parameters
    ----------
    total : int
        The number of images.
    quiet : bool
        Whether only errors are told.
    """

    def __init__(self, total: int, *, quiet: bool) -> None:
        super().__init__()
        self._total = total
        self._quiet = quiet
        self._begun = 0
        self._progress: Progress = ignore_progress

    def show(self, done: int, total: int, /) -> None:
        """Show the tiles done and the tiles in all of the present image."""
        self._progress(done, total)

    def tell(self, item: Item) -> None:
        """Say what becomes of an image."""
        self.close()
        if item.state == "running":
            self._begun += 1
            title = f"{item.image.name} ({self._begun}/{self._total})"
            self._progress = self.enter_context(progress_bar(title))
        elif item.state == "failed":
            print_error(f"{item.image}: {item.message}")
        elif item.state == "done" and not self._quiet:
            typer.echo(
                f"{item.image} -> {item.labels}: {item.objects} objects, {item.seconds:.1f} s"
            )


def _report(item: Item) -> dict[str, Any]:
    """Return what became of an image, for a program."""
    if item.state == "skipped":
        return {"image": str(item.image), "skipped": str(item.labels)}
    if item.state == "failed":
        return {"image": str(item.image), "error": f"{item.image}: {item.message}"}
    return {
        "image": str(item.image),
        "labels": str(item.labels),
        "table": None if item.table is None else str(item.table),
        "objects": item.objects,
        "seconds": round(item.seconds, 3),
    }
