"""Making a table of the papers again, with one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.networks import build_network
from napari_pea.core.networks.base import count_parameters
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.experiments.arms import Arm, Outcome, compare
from napari_pea.experiments.papers import benchmarks
from napari_pea.experiments.papers.adaptive import measure_adaptive
from napari_pea.experiments.papers.benchmarks import Benchmark
from napari_pea.experiments.papers.budget import Budget
from napari_pea.experiments.papers.report import Line, Report
from napari_pea.experiments.papers.scoring import SECONDS, score_pieces, score_ways
from napari_pea.experiments.papers.tables import TABLES, Entry, Table, ways_of
from napari_pea.models.catalogue import load_model
from napari_pea.models.model import Model
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.session import train_model
from napari_pea.training.settings import TrainingSettings

#: The table that needs no training.
ADAPTIVE = "7"
#: Everything that can be made again.
NAMES = tuple(sorted([*TABLES, ADAPTIVE]))
#: Shipped models and the data set with their validation images.
SHIPPED = {"nuclei": "bbbc039", "cells": "usiigaci"}
#: What all runs share unless something else is said: small crops, as on a processor.
SETTINGS = TrainingSettings(batch_size=4, crop=128, checkpoint_every=50)
#: The optimiser of the authors (methods A8).
PUBLISHED = {
    "optimizer": "paper",
    "schedule": "constant",
    "learning_rate": 1e-4,
    "ema_decay": 0.0,
    "checkpoint_every": 1000,
}
#: Networks and crops of a run that only shows that everything runs.
QUICK = Budget(2)
QUICK_ARGUMENTS = {"resnet2d": {"width": 2, "decoder_widths": (4, 4, 4, 4)}}


def reproduce(
    name: str,
    data: Path | None,
    folder: Path,
    *,
    budget: Budget | None = None,
    seeds: int = 2,
    quick: bool = False,
    on: str | None = None,
    as_published: bool = False,
    device: str = "auto",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
    **changes: Any,
) -> list[Report]:
    """Train what a table of the paper needs, score it, and write the table.

    Started again on the same folder, this goes on where it stopped. Tables share their runs.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    data : Path or None
        Holds the data sets: see `benchmarks.choose`. Not needed for a quick run.
    folder : Path
        Receives the runs, and the table as Markdown and JSON, anew after each run.
    budget : Budget, optional
        The length of every run; table 7 needs none.
    seeds : int
        How many runs everything has.
    quick : bool
        Whether made-up images and tiny networks shall do, which only shows that it runs.
    on : str, optional
        The data set to use instead of the paper's.
    as_published : bool
        Whether crops and optimiser are those of the authors, which is for long runs only.
    device : str
        "auto", "cuda", "mps" or "cpu".
    progress : callable
        Told what is done and what there is in all.
    cancel : CancelToken, optional
        Stops the work when set.
    **changes
        Values of `TrainingSettings` that all runs share, such as ``crop=256``.

    Returns
    -------
    list of Report
        The table; table 7 is one for each model.

    Raises
    ------
    InputError
        If there is no such table, the data are not as they should be, or the folder holds
        other runs.
    Cancelled
        If `cancel` was set.
    """
    if name not in NAMES:
        raise InputError(f"There is no table {name!r} here: use {', '.join(NAMES)}.")
    if data is None and not quick:
        raise InputError("Name the folder of the data, or ask for a quick run on made-up images.")
    if name == ADAPTIVE:
        return _adaptive(None if quick else data, folder, device, progress, cancel)
    table = TABLES[name]
    if budget is None and not quick:
        raise InputError("A table that needs training needs a budget, such as 400 or 20m.")
    if quick or data is None:
        benchmark = benchmarks.made_up()
        changes = {"batch_size": 1, "crop": 32, "seed": 0} | changes
    else:
        benchmark = benchmarks.choose(data, table.data, on)
    if as_published:
        changes = {**PUBLISHED, **benchmark.published_crops, **changes}
    settings = replace(SETTINGS, objective=benchmark.objective).updated(**changes)
    runs = folder / benchmark.name
    length = budget or QUICK
    arms = []
    for arm in table.arms:
        own = _tiny(arm) if quick else arm
        steps = length.steps(own.name, runs, _trainer(own, benchmark, settings, device, cancel))
        arms.append(replace(own, settings={**own.settings, "iterations": steps}))

    def scorer(
        arm: Arm, model: Model, held_out: Sequence[LabelledImage], cancel: CancelToken | None
    ) -> dict[str, float]:
        return score_ways(
            model,
            held_out,
            ways_of(arm),
            trained=settings.updated(**arm.settings).objective.neighborhood,
            given_foreground=benchmark.given_foreground,
            cancel=cancel,
        )

    reports: list[Report] = []

    def tell(outcomes: Sequence[Outcome]) -> None:
        reports[:] = [_report(table, benchmark, outcomes, arms, settings, length)]
        reports[0].save(folder, f"table-{name}-{benchmark.name}")

    compare(
        arms,
        benchmark.training,
        benchmark.held_out,
        benchmark.model,
        settings,
        runs,
        seeds=seeds,
        device=device,
        progress=progress,
        cancel=cancel,
        scorer=scorer,
        tell=tell,
    )
    return reports


def _tiny(arm: Arm) -> Arm:
    """Return an arm with a network of next to nothing."""
    return replace(arm, arguments={**arm.arguments, **QUICK_ARGUMENTS.get(arm.architecture, {})})


def _trainer(
    arm: Arm,
    benchmark: Benchmark,
    settings: TrainingSettings,
    device: str,
    cancel: CancelToken | None,
) -> Callable[[int, Path, Progress], object]:
    """Return what trains an arm for some steps."""

    def train(steps: int, run: Path, progress: Progress) -> object:
        return train_model(
            benchmark.training,
            (),
            arm.of(benchmark.model),
            settings.updated(**{**arm.settings, "iterations": steps}),
            run,
            device=device,
            progress=progress,
            cancel=cancel,
        )

    return train


def _report(
    table: Table,
    benchmark: Benchmark,
    outcomes: Sequence[Outcome],
    arms: Sequence[Arm],
    settings: TrainingSettings,
    budget: Budget,
) -> Report:
    """Return the table as far as its runs are done."""
    used = {arm.name: arm for arm in arms}
    lines = [
        _line(entry, table, benchmark, used[entry.arm.name], outcomes) for entry in table.entries
    ]
    if benchmark.given_foreground:
        pieces = score_pieces(benchmark.held_out, benchmark.model.recommended)
        lines.append(
            Line("pieces of the given foreground, no network", _found([pieces], "pieces", table))
        )
    second = dict.fromkeys(
        f"{name.split('/')[0]}/{metric}"
        for outcome in outcomes
        for name in outcome.scores
        if name.count("/") == 2
        for metric in ("sbd", "dic")
    )
    seeds = sorted({outcome.seed for outcome in outcomes})
    # Of minutes each run makes what it can.
    steps = sorted({outcome.iterations for outcome in outcomes})
    length = f"{budget}" if len(steps) == 1 else f"{budget} ({steps[0]} to {steps[-1]} steps)"
    return Report(
        f"PEA, {'figure' if 'figure' in table.name else 'table'} "
        f"{table.name.removeprefix('figure-')}: {table.title}",
        [
            benchmark.note,
            f"{length} of {settings.batch_size} crops of {settings.crop}×{settings.crop} pixels "
            f"for every run, seeds {', '.join(map(str, seeds))}, last version of each; the paper "
            "has 200,000 steps of larger crops. Several runs are told as mean ± standard "
            "deviation. Times are processor time.",
            *([table.note] if table.note else []),
        ],
        [*table.metrics, *second],
        lines,
    )


def _line(
    entry: Entry,
    table: Table,
    benchmark: Benchmark,
    arm: Arm,
    outcomes: Sequence[Outcome],
) -> Line:
    """Return a row of a table from the runs of its arm."""
    runs = [outcome for outcome in outcomes if outcome.arm == arm.name]
    found = _found([run.scores for run in runs], entry.way, table)
    times = [run.seconds for run in runs if run.seconds is not None]
    model = arm.of(benchmark.model)
    extra = {
        "parameters": f"{_parameters(model.architecture, model.arguments) / 1e6:.1f} M",
        "runs": str(len(runs)),
        "training": f"{np.mean(times):.0f} s" if times else "",
        "network, an image": f"{np.mean([run.scores[SECONDS] for run in runs]):.2f} s"
        if runs
        else "",
    }
    return Line(entry.published.title, found, entry.published.figures, extra)


def _found(runs: Sequence[Mapping[str, float]], way: str, table: Table) -> dict[str, list[float]]:
    """Return the values of every run for the columns of a table."""
    found = {}
    for metric in [*table.metrics, "A2/sbd", "A2/dic"]:
        group, _, plain = metric.rpartition("/")
        key = "/".join(part for part in (group, way, plain) if part)
        found[metric] = [scores[key] for scores in runs if key in scores]
    return found


def _parameters(architecture: str, arguments: dict[str, Any]) -> int:
    """Return how many parameters a network has, without making it."""
    import torch

    with torch.device("meta"):
        return count_parameters(build_network(architecture, arguments))


def _adaptive(
    data: Path | None,
    folder: Path,
    device: str,
    progress: Progress,
    cancel: CancelToken | None,
) -> list[Report]:
    """Measure table 7 on every shipped model whose validation images are there."""
    if data is None:
        images = {"nuclei": list(benchmarks.made_up().held_out)}
    else:
        images = {
            model: list(benchmarks.validation_images(data, name))
            for model, name in SHIPPED.items()
            if (data / name).is_dir()
        }
    if not images:
        raise InputError(
            f"{data} holds none of the folders {' and '.join(SHIPPED.values())}: table 7 needs "
            "the validation images of a shipped model."
        )
    total = sum(map(len, images.values()))
    before = 0
    reports = []
    for model, items in images.items():

        def advance(done: int, _: int, /, before: int = before) -> None:
            progress(before + done, total)

        report = measure_adaptive(
            load_model(model, device), items, folder, progress=advance, cancel=cancel
        )
        report.save(folder, f"table-7-{model}")
        reports.append(report)
        before += len(items)
    return reports
