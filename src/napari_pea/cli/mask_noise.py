"""`napari-pea benchmark mask-noise`: what affinities from single-instance masks bear."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from napari_pea.cli.console import (
    cancel_on_interrupt,
    numbers_above_zero,
    print_json,
    progress_bar,
)
from napari_pea.core.errors import InputError


def mask_noise(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the table and the picture.")
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="A name of `models list`, or a model file.")
    ] = "nuclei-lsim",
    data: Annotated[
        Path | None, typer.Option(help="Folder that holds bbbc039 (in 3D flyem).")
    ] = None,
    images: Annotated[int, typer.Option(help="How many validation images of bbbc039.")] = 4,
    levels: Annotated[
        str | None, typer.Option(help="Standard deviations of the noise, such as 0.1,0.4; 0: none.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How often noise is drawn.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    quick: Annotated[
        bool, typer.Option("--quick", help="A made-up image and an untrained model: only a test.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Measure what noise on affinities does to a model of masks, averaged and not."""
    from napari_pea.experiments.benchmark_mask_noise import (
        LEVELS,
        made_up,
        measure_noise,
        validation_images,
    )
    from napari_pea.models.catalogue import load_model
    from napari_pea.models.mask_model import MaskModel

    if quick:
        loaded, shown = made_up()
    elif data is None:
        raise InputError("Name the folder of the data with --data, or ask for --quick.")
    else:
        known = load_model(model, device)
        if not isinstance(known, MaskModel):
            raise InputError(f"The model {model!r} has no masks: choose one of LSIM.")
        loaded, shown = known, validation_images(data, known.ndim, images)
    strengths = () if levels == "0" else numbers_above_zero(levels, "--levels") or LEVELS
    with cancel_on_interrupt() as cancel, progress_bar("Measuring") as progress:
        figures = measure_noise(
            loaded,
            shown,
            levels=strengths,
            seeds=seeds,
            progress=progress,
            cancel=cancel,
        )
    output.mkdir(parents=True, exist_ok=True)
    figures.save(output)
    if as_json:
        print_json(asdict(figures))
        return
    typer.echo(figures.markdown())
