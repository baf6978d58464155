"""`napari-pea benchmark masks` and `codes`: single-instance masks."""

from __future__ import annotations

from pathlib import Path
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


def codes(
    data: Annotated[Path, typer.Option(help="Folder that holds the folder bbbc039 or flyem.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="nuclei-lsim or neurons-em-lsim.")
    ] = "nuclei-lsim",
    steps: Annotated[int, typer.Option(help="Steps of each autoencoder.")] = 400,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Tell how well masks come back from codes of a few numbers, by autoencoders of masks."""
    from napari_pea.core.errors import InputError
    from napari_pea.experiments import benchmark_codes, neurons_em_lsim, nuclei_lsim

    recipes = {"nuclei-lsim": nuclei_lsim.recipe, "neurons-em-lsim": neurons_em_lsim.recipe}
    if model not in recipes:
        raise InputError(f"{model!r} is no shipped model of masks: use {' or '.join(recipes)}.")
    with cancel_on_interrupt() as cancel, progress_bar("Training") as progress:
        found = benchmark_codes.measure_recipe(
            recipes[model](data), steps=steps, progress=progress, cancel=cancel
        )
    if as_json:
        print_json(found)
        return
    rows = [
        (f"ENB{row['branch']}", str(row["length"]), f"{row['dice']:.3f}", f"{row['right']:.4f}")
        for row in found
    ]
    print_table(rows, ["branch", "length of codes", "Dice", "right entries"])
