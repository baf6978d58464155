"""`napari-pea recipe`: making the shipped models again, and testing their recipe."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_pea.cli.console import cancel_on_interrupt, given, progress_bar

if TYPE_CHECKING:
    from napari_pea.experiments.recipes import Recipe

app = typer.Typer(help="Make a shipped model again.", no_args_is_help=True)

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")]
Device = Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")]

#: The folders of data that the recipe of each model needs.
DATA = {
    "nuclei": "folders bbbc039 and dsb2018",
    "cells": "folder usiigaci",
    "nuclei-3d": "folder bbbc050",
    "neurons-em": "folder flyem",
    "nuclei-lsim": "folder bbbc039",
    "neurons-em-lsim": "folder flyem",
}


def _add(model: str, folders: str) -> None:
    """Add the command that makes a model; its recipe is in the module of its name."""

    def make(
        data: Path,
        output: Output,
        device: Device = "auto",
    ) -> None:
        module = import_module(f"napari_pea.experiments.{model.replace('-', '_')}")
        _make(module.recipe(data), output, device)

    told = (
        f"Train the model `{model}`, choose its settings and score it on validation data.\n\n"
        "Started again on the same folder it goes on where it stopped."
    )
    # Typer reads annotations later, and could not see the folders then.
    option = typer.Option(help=f"Folder that holds the {folders}.")
    make.__annotations__["data"] = Annotated[Path, option]
    app.command(model, help=told)(make)


for _model, _folders in DATA.items():
    _add(_model, _folders)


@app.command("ablation")
def ablation(
    data: Annotated[Path, typer.Option(help="Folder that holds the folders bbbc039 and dsb2018.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the runs and their table.")
    ],
    iterations: Annotated[int, typer.Option(help="Steps of the optimiser for each run.")],
    seeds: Annotated[int, typer.Option(help="Runs for each choice, with different seeds.")] = 1,
    batch_size: Annotated[int | None, typer.Option(help="Crops for each step.")] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the crops, a multiple of 16.")] = None,
    device: Device = "auto",
) -> None:
    """Compare choices of the method under an equal budget.

    Each run changes one thing of the recipe of `nuclei`. Started again on the same folder the
    comparison goes on where it stopped.
    """
    from napari_pea.experiments.ablation import MARKDOWN_NAME, nuclei_ablation

    with cancel_on_interrupt() as cancel, progress_bar("Training") as progress:
        nuclei_ablation(
            data,
            output,
            seeds=seeds,
            device=device,
            progress=progress,
            cancel=cancel,
            **given(iterations=iterations, batch_size=batch_size, crop=crop),
        )
    typer.echo((output / MARKDOWN_NAME).read_text())


def _make(recipe: Recipe, output: Path, device: str) -> None:
    """Follow a recipe, and say which settings were chosen and what they score."""
    with cancel_on_interrupt() as cancel:
        with progress_bar("Training") as progress:
            path = recipe.train(output, device=device, progress=progress, cancel=cancel)
        with progress_bar("Choosing settings") as progress:
            trial = recipe.tune(output, device=device, progress=progress, cancel=cancel)
    typer.echo(f"{path}: {trial.settings.as_dict()}")
    for group, summary in trial.scores.items():
        figures = ", ".join(f"{name} {value:.4f}" for name, value in summary.items())
        typer.echo(f"{group}: {figures}")
