"""`napari-pea train`: annotated images to a model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

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
from napari_pea.cli.train_settings import METHOD, with_settings
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken, Progress

if TYPE_CHECKING:
    from napari_pea.models.metadata import ModelMetadata
    from napari_pea.training.session import LabelledImage
    from napari_pea.training.settings import TrainingSettings

Pairs = list[tuple[Path, Path]]


@dataclass(frozen=True)
class Reading:
    """How images and labels are read.

    Attributes
    ----------
    smallest : int
        Labelled objects with fewer pixels become background.
    channel : int, optional
        Use this channel only.
    colours : bool
        Whether the colours of colour images are kept.
    """

    smallest: int = 0
    channel: int | None = None
    colours: bool = False


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
        float, typer.Option(help="Share of the images to hold out if there are no lists.")
    ] = 0.15,
    start: Annotated[
        str | None, typer.Option(help="Model to go on from; by default training starts anew.")
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
    from napari_pea.training.session import default_settings

    one_of(precision, get_args(Precision), "--precision")
    one_of(channels, ["all"], "--channels")
    if channel is not None and channels is not None:
        raise InputError("--channel and --channels cannot both be given: leave one of them out.")
    network = given(
        widths=whole_numbers(widths, "--widths"),
        align_corners=align_corners,
        full_resolution_skip=full_resolution_skip,
    )
    model = _model(name, start, network)
    settings = default_settings(start).updated(**changes)
    shown, held_out = split(find_pairs(images, labels), training, validation, hold_out)
    started = time.perf_counter()
    with cancel_on_interrupt() as cancel:
        path = _run(
            shown,
            held_out,
            Reading(smallest, channel, colours=channels == "all"),
            model,
            settings,
            output,
            cancel=cancel,
            start=start,
            resume=resume,
            device=device,
            precision=precision,
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


def find_pairs(images: Path, labels: Path) -> Pairs:
    """Return each image with its labels.

    Raises
    ------
    InputError
        If a folder is missing or an image has no labels.
    """
    from napari_pea.io import file_pairs, image_files

    return file_pairs(image_files(images), image_files(labels))


def split(
    pairs: Pairs, training: Path | None, validation: Path | None, hold_out: float
) -> tuple[Pairs, Pairs]:
    """Return what to train on and what to hold out.

    Parameters
    ----------
    pairs : list of (Path, Path)
        Everything there is.
    training, validation : Path or None
        Text files with one file name a line. With one list only, the images of the other
        part are those that it does not name, or none if it names those to train on.
    hold_out : float
        Share to hold out, evenly spread, if there are no lists.

    Raises
    ------
    InputError
        If a list names an image that is not there, or both name the same.
    """
    if not 0 <= hold_out < 1:
        raise InputError(f"--hold-out lies between 0 and 1, not {hold_out}.")
    if training is None and validation is None:
        count = round(len(pairs) * hold_out)
        chosen = {int((index + 0.5) * len(pairs) / count) for index in range(count)}
        held_out = [pair for index, pair in enumerate(pairs) if index in chosen]
        return [pair for pair in pairs if pair not in held_out], held_out
    held_out = [] if validation is None else _listed(validation, pairs)
    if training is None:
        return [pair for pair in pairs if pair not in held_out], held_out
    shown = _listed(training, pairs)
    both = [pair[0].name for pair in shown if pair in held_out]
    if both:
        raise InputError(f"{both[0]} stands in both lists: images to train on cannot be held out.")
    return shown, held_out


def _listed(path: Path, pairs: Pairs) -> Pairs:
    """Return the pairs that a list names, by file name with or without suffix."""
    try:
        names = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list {path} cannot be read.") from error
    known = {key: pair for pair in pairs for key in (pair[0].stem, pair[0].name)}
    wanted = [name.strip() for name in names if name.strip()]
    missing = [name for name in wanted if name not in known]
    if missing:
        raise InputError(f"The list {path} names {missing[0]}, which is not among the images.")
    if not wanted:
        raise InputError(f"The list {path} is empty: write one file name a line.")
    return [known[name] for name in dict.fromkeys(wanted)]


def _model(name: str, start: str | None, network: dict[str, Any]) -> ModelMetadata:
    """Return what is said about the new model before it is trained."""
    from napari_pea.models.metadata import ModelMetadata

    if start is not None and network:
        flag = f"--{next(iter(network)).replace('_', '-')}"
        raise InputError(f"With --start the network is that of the model: leave {flag} out.")
    widths = network.get("widths")
    if widths is not None and (len(widths) != 5 or min(widths) < 1):
        raise InputError(f"--widths are five numbers of at least 1, not {widths}.")
    return ModelMetadata(name=name, architecture="resunet2d", arguments=network)


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
            data = _read(shown + held_out, reading, progress, cancel)
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


def _read(
    pairs: Sequence[tuple[Path, Path]],
    reading: Reading,
    progress: Progress,
    cancel: CancelToken,
) -> list[LabelledImage]:
    """Read images and labels."""
    from napari_pea.core.refine import remove_small
    from napari_pea.io import read_image, read_labels
    from napari_pea.training.session import LabelledImage

    items = []
    for done, (path, labels_path) in enumerate(pairs, start=1):
        cancel.check()
        image = read_image(path).squeezed()
        array, axis = image.array, image.channel_axis
        has_colours = array.ndim == 3 and array.shape[-1] in (3, 4) and axis in (None, 2)
        if has_colours and reading.channel is None:
            # Without an axis colours become grey; how transparent they are never matters.
            array, axis = array[..., :3], -1 if reading.colours else None
        labels = remove_small(read_labels(labels_path), reading.smallest)
        items.append(
            LabelledImage(array, labels, path.name, channel=reading.channel, channel_axis=axis)
        )
        progress(done, len(pairs))
    return items
