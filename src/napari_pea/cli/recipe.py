"""`napari-pea recipe`: making the shipped models again, and testing their recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_pea.cli.console import cancel_on_interrupt, given, progress_bar

if TYPE_CHECKING:
    from napari_pea.experiments.recipes import Recipe

app = typer.Typer(help="Make a shipped model again.", no_args_is_help=True)

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")]
Device = Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")]


@app.command("nuclei")
def nuclei(
    data: Annotated[Path, typer.Option(help="Folder that holds the folders bbbc039 and dsb2018.")],
    output: Output,
    device: Device = "auto",
) -> None:
    """Train the model `nuclei`, choose its settings and score it on validation data.

    Started again on the same folder it goes on where it stopped.
    """
    from napari_pea.experiments.nuclei import recipe

    _make(recipe(data), output, device)


@app.command("cells")
def cells(
    data: Annotated[Path, typer.Option(help="Folder that holds the folder usiigaci.")],
    output: Output,
    device: Device = "auto",
) -> None:
    """Train the model `cells`, choose its settings and score it on validation data.

    Started again on the same folder it goes on where it stopped.
    """
    from napari_pea.experiments.cells import recipe

    _make(recipe(data), output, device)


@app.command("nuclei-3d")
def nuclei_3d(
    data: Annotated[Path, typer.Option(help="Folder that holds the folder bbbc050.")],
    output: Output,
    device: Device = "auto",
) -> None:
    """Train the model `nuclei-3d`, choose its settings and score it on validation data.

    Started again on the same folder it goes on where it stopped.
    """
    from napari_pea.experiments.nuclei_3d import recipe

    _make(recipe(data), output, device)


@app.command("neurons-em")
def neurons_em(
    data: Annotated[Path, typer.Option(help="Folder that holds the folder flyem.")],
    output: Output,
    device: Device = "auto",
) -> None:
    """Train the model `neurons-em`, choose its settings and score it on validation data.

    Started again on the same folder it goes on where it stopped.
    """
    from napari_pea.experiments.neurons_em import recipe

    _make(recipe(data), output, device)


@app.command("nuclei-lsim")
def nuclei_lsim(
    data: Annotated[Path, typer.Option(help="Folder that holds the folder bbbc039.")],
    output: Output,
    device: Device = "auto",
) -> None:
    """Train the model `nuclei-lsim`, choose its settings and score it on validation data.

    Started again on the same folder it goes on where it stopped.
    """
    from napari_pea.experiments.nuclei_lsim import recipe

    _make(recipe(data), output, device)


@app.command("neurons-em-lsim")
def neurons_em_lsim(
    data: Annotated[Path, typer.Option(help="Folder that holds the folder flyem.")],
    output: Output,
    device: Device = "auto",
) -> None:
    """Train the model `neurons-em-lsim`, choose its settings and score it on validation data.

    Started again on the same folder it goes on where it stopped.
    """
    from napari_pea.experiments.neurons_em_lsim import recipe

    _make(recipe(data), output, device)


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
