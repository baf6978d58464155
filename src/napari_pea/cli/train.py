"""`napari-pea train`: annotated images to a model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from napari_pea.cli.console import (
    INTERRUPTED,
    cancel_on_interrupt,
    given,
    one_of,
    print_json,
    progress_bar,
    whole_numbers,
)
from napari_pea.cli.train_files import split
from napari_pea.cli.train_settings import METHOD, PAINT, with_settings
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.training.files import Pairs, Reading, find_pairs, masks, pictures, read

if TYPE_CHECKING:
    from napari_pea.models.metadata import ModelMetadata
    from napari_pea.training.annotation import Zero
    from napari_pea.training.settings import TrainingSettings


@with_settings
def train(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of images.")],
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="Folder of their labels, same file names.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the run: model, log, curves.")
    ],
    training: Annotated[
        Path | None,
        typer.Option(help="Text file with the image to train on, one file name a line."),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(help="Text file with the held-out images that the best version is chosen by."),
    ] = None,
    hold_out: Annotated[
        float,
        typer.Option(
            help="Share of the images, with --sparse of the objects, to hold out if there are "
            "no lists."
        ),
    ] = 0.15,
    start: Annotated[
        str | None, typer.Option(help="Model to go on from; by default training starts anew.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="quick, standard or long; with --sparse standard unless you say."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what the model of --start knows.")
    ] = False,
    keep_images: Annotated[
        Path | None,
        typer.Option(help="Folder of images of the old kind, without labels, for --keep."),
    ] = None,
    sparse: Annotated[
        bool, typer.Option("--sparse", help="Only some objects are painted.", rich_help_panel=PAINT)
    ] = False,
    zero: Annotated[
        str | None,
        typer.Option(
            help="What label 0 means: background, not-annotated, or auto, which is background "
            "where half of the pixels are painted.  [default: background; with --sparse auto]",
            rich_help_panel=PAINT,
        ),
    ] = None,
    background: Annotated[
        Path | None,
        typer.Option(
            help="Folder of masks of painted background, for any of the images.",
            rich_help_panel=PAINT,
        ),
    ] = None,
    region: Annotated[
        Path | None,
        typer.Option(
            help="Folder of masks of what was looked at, for any of the images.",
            rich_help_panel=PAINT,
        ),
    ] = None,
    partial_objects: Annotated[
        bool,
        typer.Option(
            "--partial-objects",
            help="Objects may be painted in part only: nothing is concluded from where they end.",
            rich_help_panel=PAINT,
        ),
    ] = False,
    image_scale: Annotated[
        float | None,
        typer.Option(help="Resize images by this factor; by default as the model of --start does."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the new model.")] = "my-model",
    smallest: Annotated[
        int, typer.Option(help="Labelled objects with fewer pixels become background.")
    ] = 0,
    channel: Annotated[
        int | None, typer.Option(help="Channel to train on, counted from 0.")
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(help="all: train on the colours of colour images; by default on grey."),
    ] = None,
    widths: Annotated[
        str | None, typer.Option(help="Feature channels at 1/1 to 1/16, such as 16,32,64,128,256.")
    ] = None,
    align_corners: Annotated[
        bool | None,
        typer.Option(help="Upsample as the authors' code does.", rich_help_panel=METHOD),
    ] = None,
    full_resolution_skip: Annotated[
        bool | None,
        typer.Option(help="Let the last layer see the finest features.", rich_help_panel=METHOD),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, mixed or full.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
    *,
    changes: dict[str, Any],
) -> None:
    """Train a model on annotated images.

    Ctrl-C saves a checkpoint; the same command with --resume goes on from there.
    """
    from napari_pea.core.device import Precision
    from napari_pea.training.annotation import Zero
    from napari_pea.training.presets import chosen_settings

    one_of(zero, get_args(Zero), "--zero")
    one_of(precision, get_args(Precision), "--precision")
    one_of(channels, ["all"], "--channels")
    if channel is not None and channels is not None:
        raise InputError("--channel and --channels cannot both be given: leave one of them out.")
    network = given(
        widths=whole_numbers(widths, "--widths"),
        align_corners=align_corners,
        full_resolution_skip=full_resolution_skip,
    )
    model = _model(name, start, network, image_scale)
    keep = keep or keep_images is not None
    settings = chosen_settings(start, sparse=sparse, preset=preset, keep=keep).updated(**changes)
    pairs = find_pairs(images, labels)
    if sparse:
        settings = settings.updated(hold_out=hold_out)
        hold_out = 0.0
    shown, held_out = split(pairs, training, validation, hold_out)
    known = [path for path, _ in pairs]
    reading = Reading(
        smallest,
        channel,
        colours=channels == "all",
        zero=cast("Zero", zero or ("auto" if sparse else "background")),
        background=masks(background, known),
        region=masks(region, known),
        whole_objects=not partial_objects,
    )
    started = time.perf_counter()
    with cancel_on_interrupt() as cancel:
        path = _run(
            shown,
            held_out,
            reading,
            model,
            settings,
            output,
            cancel=cancel,
            start=start,
            resume=resume,
            device=device,
            precision=precision,
            keep=pictures(keep_images),
            notify=lambda notice: typer.echo(f"Note: {notice.text}", err=True),
        )
    from napari_pea.models.package import read_metadata

    scores = read_metadata(path).scores
    seconds = time.perf_counter() - started
    if as_json:
        print_json({"model": str(path), "scores": scores, "seconds": round(seconds, 1)})
        return
    typer.echo(f"{path}: trained in {seconds:.0f} s on {len(shown)} images")
    for group, values in scores.items():
        typer.echo(f"{group}: {', '.join(f'{key} {value:.4f}' for key, value in values.items())}")


def _model(
    name: str, start: str | None, network: dict[str, Any], image_scale: float | None
) -> ModelMetadata:
    """Return what is said about the new model before it is trained."""
    from napari_pea.core.scaling import check_scale
    from napari_pea.models.metadata import ModelMetadata

    if start is not None and network:
        flag = f"--{next(iter(network)).replace('_', '-')}"
        raise InputError(f"With --start the network is that of the model: leave {flag} out.")
    widths = network.get("widths")
    if widths is not None and (len(widths) != 5 or min(widths) < 1):
        raise InputError(f"--widths are five numbers of at least 1, not {widths}.")
    scale = {} if image_scale is None else {"scale": check_scale(image_scale)}
    return ModelMetadata(name=name, architecture="resunet2d", arguments=network, **scale)


def _run(
    shown: Pairs,
    held_out: Pairs,
    reading: Reading,
    model: ModelMetadata,
    settings: TrainingSettings,
    folder: Path,
    *,
    cancel: CancelToken,
    **options: Any,
) -> Path:
    """Read the images and train; say how to go on if the user stops it."""
    from napari_pea.training.checkpoint import CHECKPOINT_NAME
    from napari_pea.training.session import train_model

    try:
        with progress_bar("Reading") as progress:
            data = read(shown + held_out, reading, progress, cancel)
        with progress_bar("Training") as progress:
            return train_model(
                data[: len(shown)],
                data[len(shown) :],
                model,
                settings,
                folder,
                cancel=cancel,
                progress=progress,
                **options,
            )
    except Cancelled:
        if (folder / CHECKPOINT_NAME).exists():
            typer.echo(
                f"Stopped; the run is saved in {folder}: to go on, give the same command with "
                "--resume.",
                err=True,
            )
        else:
            typer.echo("Stopped before the training began.", err=True)
        raise typer.Exit(INTERRUPTED) from None
