"""The options that commands which segment have in common."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from napari_pea.cli.console import given, whole_numbers
from napari_pea.core.settings import PARTITIONERS

ModelName = Annotated[
    str, typer.Option("--model", "-m", help="A name of `models list`, or a model file.")
]
Ranges = Annotated[
    str | None,
    typer.Option(
        help="Distances in pixels of the pairs that are compared, such as 1,3,5,9,11; "
        "this and what follows is by default what the model recommends."
    ),
]
ZRanges = Annotated[
    str | None,
    typer.Option(help="Distances in sections, one for each of the ranges; only for volumes."),
]
Connectivity = Annotated[
    int | None,
    typer.Option(help="4 or 8 (6, 18 or 26 in 3D): compare along the axes, or diagonally too."),
]
Strides = Annotated[
    str | None,
    typer.Option(help="Use repulsive pairs at every n-th pixel: one number, or one for each axis."),
]
PartitionerName = Annotated[
    str | None, typer.Option(help=f"What makes objects: {', '.join(PARTITIONERS)}.")
]
Bias = Annotated[
    float | None, typer.Option(help="From -1 to 1: positive merges more, negative splits more.")
]
ForegroundThreshold = Annotated[
    float | None, typer.Option(help="Least foreground probability of object pixels.")
]
MinSize = Annotated[int | None, typer.Option(help="Fewest pixels of an object.")]
MergeFragments = Annotated[
    bool | None,
    typer.Option(
        "--merge-fragments/--no-merge-fragments",
        help="Give small pieces to the object around them.",
    ),
]
FillHoles = Annotated[
    bool | None,
    typer.Option("--fill-holes/--no-fill-holes", help="Fill holes inside objects."),
]

AverageMasks = Annotated[
    bool | None,
    typer.Option(
        "--average-masks/--no-average-masks",
        help="Average affinities from masks: slower. Only for models of masks (LSIM).",
    ),
]


def setting_changes(
    ranges: str | None,
    connectivity: int | None,
    strides: str | None,
    partitioner: str | None,
    bias: float | None,
    foreground_threshold: float | None,
    min_size: int | None,
    z_ranges: str | None = None,
    merge_fragments: bool | None = None,
    fill_holes: bool | None = None,
    average_masks: bool | None = None,
) -> dict[str, Any]:
    """Return the settings that these options change, by name."""
    every = whole_numbers(strides, "--strides")
    return given(
        ranges=whole_numbers(ranges, "--ranges"),
        z_ranges=whole_numbers(z_ranges, "--z-ranges"),
        connectivity=connectivity,
        strides=every[0] if every is not None and len(every) == 1 else every,
        partitioner=partitioner,
        bias=bias,
        foreground_threshold=foreground_threshold,
        min_size=min_size,
        merge_fragments=merge_fragments,
        fill_holes=fill_holes,
        average_masks=average_masks,
    )
