"""`napari-pea segment`: images to labels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_pea.cli.console import (
    SOME_FAILED,
    cancel_on_interrupt,
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
from napari_pea.core.errors import InputError, is_out_of_memory
from napari_pea.core.progress import CancelToken, Progress

if TYPE_CHECKING:
    from napari_pea.core.settings import SegmentationSettings
    from napari_pea.models.model import Model


@dataclass(frozen=True)
class Job:
    """One image and where its results go; it is skipped if they are there already."""

    image: Path
    labels: Path
    table: Path | None
    skip: bool = False


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
    from napari_pea.io import image_files

    jobs = plan(
        image_files(images),
        output,
        table=table,
        overwrite=overwrite,
        skip_existing=skip_existing,
    )
    from napari_pea.models.catalogue import load_model

    loaded = load_model(model, device)
    settings = loaded.recommended.updated(**changes)
    # These two say what does not fit before any image is read.
    settings.neighborhood(loaded.ndim)
    settings.strides_for(loaded.ndim)
    reports = []
    with cancel_on_interrupt() as cancel:
        for number, job in enumerate(jobs, start=1):
            cancel.check()
            if job.skip:
                reports.append({"image": str(job.image), "skipped": str(job.labels)})
                if not as_json:
                    typer.echo(f"{job.image} skipped: {job.labels} exists already")
                continue
            with progress_bar(f"{job.image.name} ({number}/{len(jobs)})") as progress:
                report = _run(
                    job,
                    loaded,
                    settings,
                    channel=channel,
                    channel_axis=channel_axis,
                    tile=tile,
                    progress=progress,
                    cancel=cancel,
                )
            reports.append(report)
            if "error" in report:
                print_error(report["error"])
            elif not as_json:
                typer.echo(
                    f"{job.image} -> {job.labels}: {report['objects']} objects, "
                    f"{report['seconds']:.1f} s"
                )
    if as_json:
        print_json({"model": loaded.name, "settings": settings.as_dict(), "images": reports})
    if any("error" in report for report in reports):
        raise typer.Exit(SOME_FAILED)


def plan(
    images: Sequence[Path],
    folder: Path,
    *,
    table: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
) -> list[Job]:
    """Return where the results of each image go, before any work is done.

    Labels are written last, so with `skip_existing` they tell that an image is done; a
    table without labels is what is left of an image that was stopped.

    Raises
    ------
    InputError
        If two results would have the same name, one exists already, or one would replace
        an image.
    """
    if overwrite and skip_existing:
        raise InputError("--overwrite and --skip-existing exclude each other: give one of them.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: results go to a folder.")
    jobs: dict[str, Job] = {}
    inputs = {path.resolve() for path in images}
    for image in images:
        stem = image.stem
        if stem in jobs:
            raise InputError(
                f"{jobs[stem].image} and {image} would both become {stem}.tif: segment them "
                "into different folders."
            )
        labels = folder / f"{stem}.tif"
        job = Job(
            image,
            labels,
            folder / f"{stem}.csv" if table else None,
            skip=skip_existing and labels.exists(),
        )
        if job.labels.resolve() in inputs:
            raise InputError(
                f"The result {job.labels} would replace an image that is to be segmented: "
                "choose another folder."
            )
        for path in (job.labels, job.table):
            if path is not None and path.exists() and not (overwrite or skip_existing):
                raise InputError(
                    f"{path} exists already: choose another folder, replace what is there with "
                    "--overwrite, or go on with the rest with --skip-existing."
                )
        jobs[stem] = job
    return list(jobs.values())


def _run(
    job: Job,
    model: Model,
    settings: SegmentationSettings,
    *,
    channel: int | None,
    channel_axis: int | None,
    tile: int | None,
    progress: Progress,
    cancel: CancelToken,
) -> dict[str, Any]:
    """Segment one image and return what to report about it."""
    from napari_pea.core.segmenter import Segmenter
    from napari_pea.io import read_image, write_labels, write_table

    started = time.perf_counter()
    try:
        image = read_image(job.image)
        if channel_axis is None:
            image = image.squeezed()
            channel_axis = image.channel_axis
        segmenter = Segmenter(
            model, image.array, channel=channel, channel_axis=channel_axis, tile=tile
        )
        result = segmenter.segment(settings, progress=progress, cancel=cancel)
        size = image.pixel_size
        fits = size is not None and len(size) == result.labels.ndim
        if job.table is not None:
            write_table(job.table, result.table)
        write_labels(job.labels, result.labels, pixel_size=size if fits else None)
    except InputError as error:
        return {"image": str(job.image), "error": f"{job.image}: {error}"}
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = "there is not enough memory; try a smaller --tile"
        return {"image": str(job.image), "error": f"{job.image}: {reason}."}
    return {
        "image": str(job.image),
        "labels": str(job.labels),
        "table": None if job.table is None else str(job.table),
        "objects": len(result.table),
        "seconds": round(time.perf_counter() - started, 3),
    }
