"""`napari-pea reproduce`: the tables of the papers, made again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from napari_pea.cli.console import (
    cancel_on_interrupt,
    given,
    print_json,
    progress_bar,
    whole_numbers,
)


def reproduce(
    table: Annotated[str, typer.Argument(help="1 to 7, figure-6, speed or lsim-1.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the runs and their tables.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder that holds the data sets, such as cvppp and bbbc039."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Length of every run: steps such as 400, or minutes such as 20m."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs for each row, with different seeds.")] = 2,
    quick: Annotated[
        bool, typer.Option("--quick", help="Made-up images and tiny networks: only a test.")
    ] = False,
    on: Annotated[
        str | None,
        typer.Option(
            help="Data set instead of the paper's: cvppp, bbbc039, usiigaci, ac3-ac4, flyem or "
            "cremi."
        ),
    ] = None,
    as_published: Annotated[
        bool,
        typer.Option(
            "--as-published", help="Crops and optimiser of the authors: for 200,000 steps."
        ),
    ] = False,
    batch_size: Annotated[int | None, typer.Option(help="Crops for each step.")] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the crops, a multiple of 16.")] = None,
    widths: Annotated[
        str | None,
        typer.Option(help="Channels of the networks at 1/1 to 1/16, such as 16,32,64,128,256."),
    ] = None,
    side: Annotated[
        int | None,
        typer.Option(help="Score only so many pixels in the middle of each axis (lsim-1)."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Make a table of the papers again, with the paper's figures beside.

    Started again on the same folder it goes on where it stopped.
    """
    from napari_pea.experiments.papers.budget import Budget
    from napari_pea.experiments.papers.reproduce import reproduce as make

    with cancel_on_interrupt() as cancel, progress_bar("Reproducing") as progress:
        reports = make(
            table,
            data,
            output,
            budget=None if budget is None else Budget.of(budget),
            seeds=seeds,
            quick=quick,
            on=on,
            as_published=as_published,
            widths=whole_numbers(widths, "--widths") or (),
            side=side,
            device=device,
            progress=progress,
            cancel=cancel,
            **given(batch_size=batch_size, crop=crop),
        )
    if as_json:
        print_json([asdict(report) for report in reports])
        return
    for report in reports:
        typer.echo(report.markdown())
