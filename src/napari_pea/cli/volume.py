"""`napari-pea volume`: labels of images that are larger than memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from napari_pea.cli.console import (
    cancel_on_interrupt,
    numbers_above_zero,
    print_json,
    progress_bar,
    whole_numbers,
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


def volume(
    image: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="OME-Zarr, Zarr, TIFF, NPY, or an array in HDF5: file.h5:name."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The labels, an OME-Zarr: <name>.zarr.")
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
    index: Annotated[
        str | None,
        typer.Option(
            help="What to take of axes in front, such as channel or time: one number for each."
        ),
    ] = None,
    pixel_size: Annotated[
        str | None,
        typer.Option(help="Micrometres along each axis, such as 2,0.5,0.5; by default the file's."),
    ] = None,
    block: Annotated[
        str | None, typer.Option(help="Sides of the blocks in pixels, such as 64,256,256.")
    ] = None,
    halo: Annotated[
        str | None, typer.Option(help="How far a block looks beyond itself along each axis.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Blocks that are worked on at the same time.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler, such as tcp://10.0.0.1:8786.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a job that was stopped.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace labels that exist already.")
    ] = False,
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Chunks that are not stored are empty on purpose."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> None:
    """Segment an image that may be larger than memory, block by block.

    A job that was stopped, in whatever way, goes on with --resume.
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
    taken = whole_numbers(index, "--index") or ()
    from napari_pea.io.lazy import open_image
    from napari_pea.models.catalogue import load_model
    from napari_pea.volumes.arrays import segment_array
    from napari_pea.volumes.job import VolumeOptions

    started = time.perf_counter()
    opened = open_image(image)
    if output.resolve() in (opened.path.resolve(), *opened.path.resolve().parents):
        raise InputError(f"{output} is the image itself: choose another name for the labels.")
    loaded = load_model(model, device)
    given_size = numbers_above_zero(pixel_size, "--pixel-size")
    if given_size is not None and len(given_size) != loaded.ndim:
        raise InputError(
            f"--pixel-size takes {loaded.ndim} numbers, one for each axis of the labels, not "
            f"{pixel_size!r}."
        )
    size = given_size or opened.pixel_size
    if loaded.ndim == 3 and size is None:
        typer.echo(
            f"{image} does not say how large its voxels are: they are taken to be as deep as wide. "
            "Otherwise give --pixel-size z,y,x.",
            err=True,
        )
    options = VolumeOptions(
        whole_numbers(block, "--block"), whole_numbers(halo, "--halo"), workers, scheduler
    )
    with cancel_on_interrupt() as cancel, progress_bar(Path(image).name) as progress:
        result = segment_array(
            loaded,
            opened,
            output,
            loaded.recommended.updated(**changes),
            options,
            name=str(Path(image).absolute()),
            axes=opened.axes,
            index=taken,
            pixel_size=size,
            allow_missing=allow_missing,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            cancel=cancel,
        )
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "labels": str(result.path),
                "objects": result.n_objects,
                "blocks": result.n_blocks,
                "seconds": round(seconds, 3),
            }
        )
    else:
        typer.echo(
            f"{image} -> {result.path}: {result.n_objects} objects in {result.n_blocks} blocks, "
            f"{seconds:.1f} s"
        )
