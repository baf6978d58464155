"""`napari-pea recipe`: making the shipped models again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_pea.cli.console import cancel_on_interrupt, progress_bar

app = typer.Typer(help="Make a shipped model again.", no_args_is_help=True)


@app.command("nuclei")
def nuclei(
    data: Annotated[Path, typer.Option(help="Folder that holds the folders bbbc039 and dsb2018.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
) -> None:
    """Train the model `nuclei`, choose its settings and score it on validation data.

    Started again on the same folder it goes on where it stopped.
    """
    from napari_pea.experiments.nuclei import train_nuclei, tune_nuclei

    with cancel_on_interrupt() as cancel:
        with progress_bar("Training") as progress:
            path = train_nuclei(data, output, device=device, progress=progress, cancel=cancel)
        with progress_bar("Choosing settings") as progress:
            trial = tune_nuclei(data, output, device=device, progress=progress, cancel=cancel)
    typer.echo(f"{path}: {trial.settings.as_dict()}")
    for group, summary in trial.scores.items():
        figures = ", ".join(f"{name} {value:.4f}" for name, value in summary.items())
        typer.echo(f"{group}: {figures}")
