"""`napari-pea benchmark volume`: what blockwise segmentation takes, and whether it shows."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from napari_pea.cli.console import (
    cancel_on_interrupt,
    numbers_above_zero,
    one_of,
    print_json,
    print_table,
    progress_bar,
    whole_numbers,
)
from napari_pea.core.errors import InputError

PARTS = ("growth", "agreement", "kills", "workers", "model")


def volume(
    what: Annotated[
        str,
        typer.Option(
            help="growth: time and memory of made-up tissue; agreement: against segmentation in "
            "memory; kills: resuming after SIGKILL; workers: one and two; model: a model on a "
            "volume."
        ),
    ] = "growth",
    sizes: Annotated[
        str | None,
        typer.Option(help="Gigabytes of the volumes in single precision, such as 0.25,4."),
    ] = None,
    block: Annotated[str, typer.Option(help="Sides of the blocks in voxels.")] = "64,256,256",
    memory: Annotated[
        float, typer.Option(help="Gigabytes that a process may ask for; 0 for no limit.")
    ] = 4.0,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where labels and figures stay; what was stopped there goes on."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that holds bbbc039 and flyem (agreement, model).")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="For neurons (agreement: embedding from the truth)."),
    ] = None,
    side: Annotated[int, typer.Option(help="Of the mosaic of nuclei (agreement).")] = 4096,
    kills: Annotated[int, typer.Option(help="How many.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Measure segmentation block by block."""
    one_of(what, PARTS, "--what")
    sides = whole_numbers(block, "--block") or ()
    if len(sides) != 3:
        raise InputError(f"--block takes three numbers such as 64,256,256, not {block!r}.")
    depth, height, width = sides
    if what in ("agreement", "model") and data is None:
        raise InputError(f"--what {what} needs --data, the folder that holds bbbc039 and flyem.")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    common: dict[str, Any] = {"block": (depth, height, width), "limit": memory or None}
    with (
        cancel_on_interrupt() as cancel,
        progress_bar("Measuring") as progress,
        TemporaryDirectory() as scratch,
    ):
        said: dict[str, Any] = {"progress": progress, "cancel": cancel}
        figures: Any
        if what == "growth":
            from napari_pea.experiments.benchmark_volume import SIZES, measure_volume

            wanted = numbers_above_zero(sizes, "--sizes") or SIZES
            figures = measure_volume(wanted, folder=folder, **common, **said)
        elif what == "agreement":
            from napari_pea.experiments.agreement import measure_agreement

            figures = measure_agreement(Path(data or ""), neurons=model, side=side, **said)
        elif what == "kills":
            from napari_pea.experiments.volume_kills import measure_volume_kills

            figures = measure_volume_kills(Path(scratch), kills, **said)
        elif what == "workers":
            from napari_pea.experiments.volume_workers import measure_workers

            figures = measure_workers(**said)
        else:
            from napari_pea.experiments.volume_model import measure_model

            (size,) = (numbers_above_zero(sizes, "--sizes") or (0.25,))[:1]
            figures = measure_model(
                model or "neurons-em", Path(data or ""), size=size, folder=folder, **common, **said
            )
    if as_json:
        print_json(figures)
    else:
        _SHOWN[what](figures)


def _show_growth(figures: dict[str, Any]) -> None:
    _show_jobs(figures["volumes"])
    for row in figures["volumes"]:
        typer.echo(f"{row['gigabytes']:.2f} GB: {_agreement(row)} (a part in the middle)")
    typer.echo(
        f"a voxel of the largest against one of the smallest: {figures['growth']:.2f} times the "
        f"time, {figures['growth_cpu']:.2f} times the processor time"
    )


def _show_model(figures: dict[str, Any]) -> None:
    _show_jobs([figures])


def _show_jobs(rows: list[dict[str, Any]]) -> None:
    cells = [
        (
            f"{row['gigabytes']:.2f} GB",
            f"{row['objects']:,}",
            f"{row['seconds']:.0f} s",
            f"{row['cpu']:.0f} s",
            f"{1e9 * row['cpu_per_voxel']:.0f} ns",
            f"{row['overhead']:.2f}",
            "not known" if row["bytes"] is None else f"{row['bytes'] / 1e6:.0f} MB",
        )
        for row in rows
    ]
    columns = ("volume", "objects", "time", "processor", "a voxel", "overhead", "memory")
    print_table(cells, columns)


def _show_agreement(figures: dict[str, Any]) -> None:
    for name, found in figures.items():
        shape = " × ".join(map(str, found["shape"]))
        typer.echo(
            f"{name}, {shape} in {found['blocks']} blocks: {found['objects_blocks']} objects, "
            f"{found['objects_whole']} in memory; {_agreement(found)}, "
            f"{100 * found['faces_whole']['faces']:.2f} % on the same planes in memory"
        )


def _agreement(found: dict[str, Any]) -> str:
    faces = found["faces"]
    return (
        f"ARAND {found['arand']:.4f}; borders on {100 * faces['faces']:.2f} % of the faces of "
        f"blocks, {100 * faces['elsewhere']:.2f} % elsewhere ({faces['deviations']:+.1f} "
        "standard errors)"
    )


def _show_kills(figures: dict[str, Any]) -> None:
    kept = ", ".join(map(str, figures["kept"]))
    typer.echo(
        f"{figures['kills']} kills, with {kept} of {figures['blocks']} blocks done; "
        f"{figures['compared']} results, all identical to the straight one"
    )


def _show_workers(figures: dict[str, Any]) -> None:
    one, two = (", ".join(f"{value:.1f}" for value in row) for row in figures["seconds"])
    typer.echo(
        f"one worker {one} s, two {two} s for {figures['blocks']} blocks: "
        f"{figures['factor']:.2f} times as fast"
    )


_SHOWN = {
    "growth": _show_growth,
    "agreement": _show_agreement,
    "kills": _show_kills,
    "workers": _show_workers,
    "model": _show_model,
}
