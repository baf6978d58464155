"""`napari-pea benchmark partitioners`: ways from the same affinities to objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_pea.cli.console import cancel_on_interrupt, print_json, print_table, progress_bar


def partitioners(
    data: Annotated[
        Path, typer.Option(help="Folder that holds the folder bbbc050 or flyem, as for `recipe`.")
    ],
    recipe: Annotated[
        str, typer.Option(help="Whose validation data: nuclei-3d or neurons-em.")
    ] = "neurons-em",
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="A name of `models list`, or a model file."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Compare Mutex Watershed, multicut and average linkage on the same affinities.

    Each gets the bias with which it scores best; all else is as the model recommends.
    """
    from napari_pea.experiments.partitioners import METRICS, compare_partitioners, recipe_of
    from napari_pea.models.catalogue import load_model

    made = recipe_of(recipe, data)
    loaded = load_model(model or recipe, device)
    with cancel_on_interrupt() as cancel, progress_bar("Comparing") as progress:
        outcomes = compare_partitioners(loaded, made, progress=progress, cancel=cancel)
    if as_json:
        print_json(
            [
                {
                    "partitioner": outcome.settings.partitioner,
                    "bias": outcome.settings.bias,
                    "seconds": round(outcome.seconds, 2),
                    "scores": outcome.scores,
                }
                for outcome in outcomes
            ]
        )
        return
    rows = [
        (
            outcome.settings.partitioner,
            f"{outcome.settings.bias:+.1f}",
            *(f"{scores[name]:.4g}" for name in METRICS),
            f"{outcome.seconds:.1f} s",
        )
        for outcome in outcomes
        for scores in outcome.scores.values()
    ]
    print_table(rows, ["partitioner", "bias", *METRICS, "time"])
