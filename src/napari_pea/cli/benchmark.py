"""`napari-pea benchmark`: figures of this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_pea.cli.console import cancel_on_interrupt, print_json, print_table, progress_bar

app = typer.Typer(no_args_is_help=True, help="Measure how fast things are on this machine.")


@app.callback()
def main() -> None:
    """Measure how fast things are on this machine."""


@app.command()
def inference(
    model: Annotated[
        str, typer.Option("--model", "-m", help="A name of `models list`, or a model file.")
    ] = "nuclei",
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "cpu",
    repeats: Annotated[int, typer.Option(help="How often each is timed; medians count.")] = 7,
    large: Annotated[
        bool, typer.Option("--large/--no-large", help="Also measure 4096 × 4096 pixels.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Time segmentation, its memory, and what tiling adds to the bare network."""
    from napari_pea.experiments.benchmark_inference import LARGE, SMALL, measure

    shapes = (SMALL, LARGE) if large else (SMALL,)
    with cancel_on_interrupt() as cancel, progress_bar("Measuring") as progress:
        figures = measure(
            model, device, shapes=shapes, repeats=repeats, progress=progress, cancel=cancel
        )
    if as_json:
        print_json(figures)
        return
    rows = [
        (
            f"{row['shape'][0]} × {row['shape'][1]}",
            f"{row['embed_seconds']:.2f} s",
            f"{row['segment_seconds']:.2f} s",
            _megabytes(row["peak_mb"]),
            _megabytes(row["program_mb"]),
        )
        for row in figures["images"]
    ]
    columns = ["image", "network", "segmentation", "peak memory", "of it, the program"]
    print_table(rows, columns)
    overhead = figures["overhead"]
    typer.echo(
        f"Prediction takes {overhead['ratio']:.3f} times the bare network: "
        f"{overhead['predict_seconds']:.3f} s and {overhead['forward_seconds']:.3f} s, medians "
        f"of {overhead['repeats']} on {figures['device']} with {figures['threads']} threads."
    )


def _megabytes(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0f} MB"
