"""`napari-pea benchmark masks`: affinities from single-instance masks."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_pea.cli.console import cancel_on_interrupt, print_json, print_table, progress_bar


def masks(
    repeats: Annotated[int, typer.Option(help="How often each is timed; the quickest counts.")] = 3,
    threads: Annotated[int, typer.Option(help="Of our own code and of PyTorch.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Time the aggregation of masks, and measure its memory by the depth of the volume."""
    from napari_pea.experiments.benchmark_masks import measure

    with cancel_on_interrupt() as cancel, progress_bar("Measuring") as progress:
        figures = measure(repeats=repeats, threads=threads, progress=progress, cancel=cancel)
    if as_json:
        print_json(figures)
        return
    rows = [
        *((name.replace("_", " "), f"{value:.3f} s") for name, value in figures["seconds"].items()),
        ("faster than plain loops", f"{figures['faster_than_loops']:.0f} times"),
        ("faster than PyTorch", f"{figures['faster_than_pytorch']:.1f} times"),
        ("difference from plain loops", f"{figures['difference']:.1g}"),
        *(
            (f"memory at {depth} sections", f"{value:.0f} MB")
            for depth, value in figures["memory"].items()
        ),
    ]
    print_table(rows, ["what", "figure"])
