"""`napari-pea benchmark`: figures of this machine."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from napari_pea.cli import partitioners
from napari_pea.cli.console import (
    cancel_on_interrupt,
    print_json,
    print_table,
    progress_bar,
    whole_numbers,
)
from napari_pea.cli.fuzz import fuzz
from napari_pea.cli.mask_noise import mask_noise
from napari_pea.cli.masks import codes, masks
from napari_pea.cli.volume_benchmark import volume

app = typer.Typer(no_args_is_help=True, help="Measure how fast things are on this machine.")
app.command()(volume)
app.command()(masks)
app.command()(codes)
app.command()(mask_noise)
app.command()(fuzz)
app.command()(partitioners.partitioners)


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


@app.command()
def mutex(
    sizes: Annotated[
        str | None, typer.Option(help="Edges of square images, for example 256,512.")
    ] = None,
    channels: Annotated[str | None, typer.Option(help="Of 10,18,36.")] = None,
    sources: Annotated[
        str | None, typer.Option(help="Embeddings to partition, of objects,field,nuclei.")
    ] = None,
    volume: Annotated[
        bool, typer.Option("--volume/--no-volume", help="Also measure a volume.")
    ] = True,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder that holds bbbc039: its images instead of the sample."),
    ] = None,
    repeats: Annotated[int, typer.Option(help="How often each is timed; the shortest counts.")] = 3,
    limit: Annotated[
        float, typer.Option(help="Seconds; what is expected to take longer is left out.")
    ] = 600.0,
    quick: Annotated[bool, typer.Option("--quick", help="Small images only, once.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Time the Mutex Watershed and its memory, beside other packages."""
    from napari_pea.experiments.benchmark_mutex import IMAGES, SIZES, SOURCES, VOLUME, measure

    edges = whole_numbers(sizes, "--sizes") or ((64, 128) if quick else SIZES)
    numbers = whole_numbers(channels, "--channels") or ((10,) if quick else tuple(IMAGES))
    wanted = sources.split(",") if sources else SOURCES[: 2 if quick else None]
    with cancel_on_interrupt() as cancel, progress_bar("Measuring") as progress:
        figures = measure(
            sizes=edges,
            channels=numbers,
            sources=wanted,
            volume=((8, 32, 32) if quick else VOLUME) if volume else None,
            data=data,
            repeats=1 if quick else repeats,
            limit=limit,
            progress=progress,
            cancel=cancel,
        )
    if as_json:
        print_json(figures)
        return
    rows = [cells for case in figures["cases"] for cells in _mutex_rows(case)]
    print_table(rows, ["problem, channels", "way", "seconds", "factor", "same", "B/pixel"])
    typer.echo("Factor: the time beside ours. Memory beyond the inputs, at the peak.")


def _mutex_rows(case: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a line for each way in which a problem was solved."""
    ours = case["ways"]["ours"]["seconds"]
    rows: list[tuple[str, ...]] = []
    for name, found in case["ways"].items():
        shape = "×".join(map(str, case["shape"]))
        title = f"{case['source']} {shape}, {case['channels']}" if name == "ours" else ""
        if "why" in found:
            rows.append((title, name, found["why"], "", "", ""))
            continue
        ratio = found["seconds"] / ours
        same = "all" if found["same"] == 1 else f"{100 * found['same']:.2f} %"
        memory = "not known" if found["bytes"] is None else f"{found['bytes']:.0f}"
        rows.append((title, name, f"{found['seconds']:.3f}", f"{ratio:.1f}", same, memory))
    return rows


@app.command()
def uncertainty(
    data: Annotated[Path, typer.Option(help="Folder that holds the folders bbbc039 and dsb2018.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="A name of `models list`, or a model file.")
    ] = "nuclei",
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    group: Annotated[
        str | None, typer.Option(help="Only bbbc039 or dsb2018; by default both.")
    ] = None,
    side: Annotated[
        int | None,
        typer.Option(help="Only a square of so many pixels a side in the middle of each image."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Measure how well the uncertainty of objects tells which of them are wrong."""
    from napari_pea.experiments.nuclei import validation_images
    from napari_pea.experiments.uncertainty import (
        SIGNS,
        VARIANCE_SIGNS,
        measure_uncertainty,
        middle_of,
    )
    from napari_pea.models.catalogue import load_model

    images = [item for item in validation_images(data) if group in (None, item.group)]
    if side is not None:
        images = [middle_of(item, side) for item in images]
    with cancel_on_interrupt() as cancel, progress_bar("Segmenting") as progress:
        found = measure_uncertainty(
            load_model(model, device), images, progress=progress, cancel=cancel
        )
    if as_json:
        print_json({group: asdict(figures) for group, figures in found.items()})
        return
    rows = [
        (text, *(f"{figures.areas[name]:.3f}" for figures in found.values()))
        for name, text in (SIGNS | VARIANCE_SIGNS).items()
        if all(name in figures.areas for figures in found.values())
    ]
    counts = [f"{figures.n_wrong} of {figures.n_objects}" for figures in found.values()]
    print_table([("wrong objects", *counts), *rows], ["area under the curve", *found])


@app.command()
def live(
    model: Annotated[str, typer.Option("--model", "-m", help="A name of `models list`.")] = (
        "nuclei"
    ),
    changes: Annotated[int, typer.Option(help="How often the slider is moved.")] = 100,
    reference_changes: Annotated[
        int, typer.Option(help="How often it is moved with elf's Mutex Watershed.")
    ] = 100,
    actions: Annotated[
        int, typer.Option(help="Random actions of the session; 0 leaves it out.")
    ] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Time the dock in a real window: from a change to its labels, and how long it stalls."""
    from napari_pea.experiments.benchmark_fields import measure_fields
    from napari_pea.experiments.benchmark_live import measure_live
    from napari_pea.experiments.live_session import measure_session

    with cancel_on_interrupt() as cancel, progress_bar("Changing") as progress:
        figures = measure_live(
            model,
            changes=changes,
            reference_changes=reference_changes,
            progress=progress,
            cancel=cancel,
        )
    with cancel_on_interrupt() as cancel, progress_bar("Changing affinities") as progress:
        figures["fields"] = measure_fields(model, changes=changes, progress=progress, cancel=cancel)
    if actions:
        with (
            cancel_on_interrupt() as cancel,
            progress_bar("Acting") as progress,
            redirect_stdout(sys.stderr),  # napari tells its warnings there
        ):
            figures["session"] = measure_session(
                model, actions=actions, progress=progress, cancel=cancel
            )
    if as_json:
        print_json(figures)
        return
    rows = [
        (
            f"{row['shape'][0]} × {row['shape'][1]}",
            *(_spread(row[name]) for name in ("ours", "elf", "redraw")),
            f"{row['factor']:.1f}",
            f"{1000 * row['own_code']:.0f} ms",
        )
        for row in figures["images"]
    ]
    print_table(
        rows,
        ["image", "napari-pea", "elf", "napari's redraw", "times faster", "own code at a time"],
    )
    typer.echo("Medians and 95th percentiles; the redraw is subtracted before dividing.")
    for line in _field_lines(figures["fields"]):
        typer.echo(line)
    if actions:
        for line in _session_lines(figures["session"]):
            typer.echo(line)


@app.command()
def sparse(
    data: Annotated[Path, typer.Option(help="Folder of the folders usiigaci and bbbc039.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the runs and their table.")
    ],
    minutes: Annotated[float, typer.Option(help="Time for the training of each arm.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Decides what is painted, and every draw.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "cpu",
) -> None:
    """Train on 10 to 300 painted cells, from `nuclei` and from nothing, and score the models.

    Started again on the same folder the benchmark goes on where it stopped.
    """
    from napari_pea.experiments.benchmark_sparse import MARKDOWN_NAME, measure_sparse

    with cancel_on_interrupt() as cancel, progress_bar("Training") as progress:
        measure_sparse(
            data,
            output,
            minutes=minutes,
            seed=seed,
            device=device,
            progress=progress,
            cancel=cancel,
        )
    typer.echo((output / MARKDOWN_NAME).read_text())


@app.command()
def training(
    model: Annotated[
        str, typer.Option("--model", "-m", help="A name of `models list` to start from.")
    ] = "nuclei",
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "cpu",
    iterations: Annotated[int, typer.Option(help="How many are timed; medians count.")] = 20,
    window: Annotated[
        float, typer.Option(help="Seconds of training in a real window; 0 leaves it out.")
    ] = 60.0,
    kills: Annotated[
        int, typer.Option(help="How often a run is killed and resumed; 0 leaves it out.")
    ] = 10,
    seed: Annotated[int, typer.Option(help="Of the moments at which it is killed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Time what the trainer adds to its network, watch the dock train, and kill runs."""
    from napari_pea.experiments.benchmark_training import measure_training
    from napari_pea.experiments.kills import measure_kills
    from napari_pea.experiments.training_window import measure_window

    with cancel_on_interrupt() as cancel, progress_bar("Training") as progress:
        figures = measure_training(
            model, device, iterations=iterations, progress=progress, cancel=cancel
        )
    if window > 0:
        with cancel_on_interrupt() as cancel:
            figures["window"] = measure_window(model, seconds=window, cancel=cancel)
    if kills:
        with (
            cancel_on_interrupt() as cancel,
            progress_bar("Killing") as progress,
            TemporaryDirectory() as folder,
        ):
            figures["killed"] = measure_kills(
                Path(folder), kills, seed=seed, progress=progress, cancel=cancel
            )
    if as_json:
        print_json(figures)
        return
    rows = [
        (
            name,
            f"{1000 * case['trainer_seconds']:.0f} ms",
            f"{1000 * case['bare_seconds']:.0f} ms",
            f"{case['ratio']:.3f}",
        )
        for name, case in figures["cases"].items()
    ]
    print_table(rows, ["run", "iteration", "bare network", "ratio"])
    typer.echo(
        f"Medians of {figures['iterations']} iterations in turn on {figures['device']} with "
        f"{figures['threads']} threads."
    )
    if window > 0:
        seen = figures["window"]
        typer.echo(
            f"In a window: {seen['iterations']} iterations, {seen['previews']} previews; own "
            f"code held it for at most {1000 * seen['own_code']:.0f} ms "
            f"({seen['own_code_where'] or 'nowhere'})."
        )
    if kills:
        killed = figures["killed"]
        typer.echo(
            f"Killed {killed['kills']} times, resumed each time, at the end at iteration "
            f"{killed['iterations'][-1]}; {killed['models']} model files lay there and were whole."
        )


def _spread(times: dict[str, float]) -> str:
    return f"{1000 * times['median']:.0f} / {1000 * times['p95']:.0f} ms"


def _field_lines(figures: dict[str, Any]) -> list[str]:
    """Return what is to be said of models of fixed offsets."""
    return [
        f"Without a window, from an embedding {1000 * case['embedding']:.0f} ms, from its "
        f"affinities at {case['channels']} fixed offsets {1000 * case['affinities']:.0f} ms: "
        f"{case['factor']:.2f} times."
        for case in figures["cases"]
    ]


def _session_lines(session: dict[str, Any]) -> list[str]:
    """Return what is to be said of a session."""
    memory = [session["memory_before"], session["memory_after"]]
    return [
        f"{session['actions']} actions: longest stall {1000 * session['longest_stall']:.0f} ms "
        f"({session['longest_stall_action']}), with napari alone "
        f"{1000 * session['longest_stall_alone']:.0f} ms "
        f"({session['longest_stall_alone_action']}); at first use "
        f"{1000 * session['first_use_stall']:.0f} ms.",
        f"Without the time of other programs: {1000 * session['longest_busy']:.0f} ms "
        f"({session['longest_busy_action']}), with napari alone "
        f"{1000 * session['longest_busy_alone']:.0f} ms "
        f"({session['longest_busy_alone_action']}).",
        f"Own code held the window for at most {1000 * session['own_code']:.0f} ms "
        f"({session['own_code_where'] or 'nowhere'}).",
        f"Errors: {session['errors'] or 'none'}. Leaked threads: "
        f"{session['leaked_threads'] or 'none'}. Memory {_megabytes(memory[0])} before, "
        f"{_megabytes(memory[1])} after.",
    ]


def _megabytes(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0f} MB"
