"""Making a table that needs training: its runs, their scores, its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.networks import build_network
from napari_pea.core.networks.base import count_parameters
from napari_pea.core.progress import CancelToken, Progress
from napari_pea.experiments.arms import Arm, Outcome, compare
from napari_pea.experiments.papers import benchmarks
from napari_pea.experiments.papers.benchmark import Benchmark
from napari_pea.experiments.papers.budget import Budget
from napari_pea.experiments.papers.figure import draw
from napari_pea.experiments.papers.report import Line, Report
from napari_pea.experiments.papers.request import Request
from napari_pea.experiments.papers.scoring import SECONDS, score_pieces, score_ways
from napari_pea.experiments.papers.tables import TABLES, Entry, Table, ways_of
from napari_pea.models.model import Model
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.session import train_model
from napari_pea.training.settings import TrainingSettings

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


def make_trained(request: Request) -> list[Report]:
    """Train what a table needs, score it, and write the table anew after each run.

    Raises
    ------
    InputError
        If the data are not as they should be, a budget is missing, or the folder holds other
        runs.
    Cancelled
        If the request was cancelled.
    """
    table = TABLES[request.name]
    data = request.data_folder()
    if request.budget is None and not request.quick:
        raise InputError("A table that needs training needs a budget, such as 400 or 20m.")
    if data is None:
        benchmark = benchmarks.made_up_for(table.data)
    else:
        benchmark = benchmarks.choose(data, table.data, request.on)
    changes = {**benchmark.settings}
    if request.as_published:
        changes |= {**PUBLISHED, **benchmark.published_crops}
    settings = replace(SETTINGS, objective=benchmark.objective)
    settings = settings.updated(**{**changes, **request.changes})
    runs = request.folder / benchmark.name
    length = request.budget or QUICK
    arms = []
    for arm in table.arms:
        own = _tiny(arm) if request.quick else wider(arm, request.widths)
        steps = length.steps(own.name, runs, trainer_of(own, benchmark, settings, request))
        arms.append(replace(own, settings={**own.settings, "iterations": steps}))

    def scorer(
        arm: Arm, model: Model, held_out: Sequence[LabelledImage], cancel: CancelToken | None
    ) -> dict[str, float]:
        return score_ways(
            model,
            held_out,
            ways_of(arm, model.ndim),
            trained=settings.updated(**arm.settings).objective.neighborhood,
            given_foreground=benchmark.given_foreground,
            cancel=cancel,
        )

    reports: list[Report] = []

    def tell(outcomes: Sequence[Outcome]) -> None:
        reports[:] = [_report(table, benchmark, outcomes, arms, settings, length)]
        name = f"table-{table.name}-{benchmark.name}"
        reports[0].save(request.folder, name)
        if table.panels:
            picture = request.folder / f"{table.name}-{benchmark.name}.png"
            draw(reports[0], table.panels, picture)

    compare(
        arms,
        benchmark.training,
        benchmark.held_out,
        benchmark.model,
        settings,
        runs,
        seeds=request.seeds,
        device=request.device,
        progress=request.progress,
        cancel=request.cancel,
        scorer=scorer,
        tell=tell,
    )
    return reports


def _tiny(arm: Arm) -> Arm:
    """Return an arm with a network of next to nothing."""
    return replace(arm, arguments={**arm.arguments, **QUICK_ARGUMENTS.get(arm.architecture, {})})


def wider(arm: Arm, widths: Sequence[int]) -> Arm:
    """Return an arm whose network has other widths, if there are any.

    Parameters
    ----------
    arm : Arm
        Any.
    widths : sequence of five int
        Feature channels of the U-Nets at 1/1 to 1/16. A ResNet becomes as much narrower or wider;
        with the paper's widths of the U-Net it has those of the paper too.
    """
    if not widths:
        return arm
    if arm.architecture == "resnet2d":
        finest, half, quarter, _, coarsest = widths
        wide = {"width": 4 * finest, "decoder_widths": (coarsest, quarter, quarter, half)}
    else:
        wide = {"widths": tuple(widths)}
    return replace(arm, arguments={**arm.arguments, **wide})


def trainer_of(
    arm: Arm, benchmark: Benchmark, settings: TrainingSettings, request: Request
) -> Callable[[int, Path, Progress], object]:
    """Return what trains an arm for some steps: see `Budget.steps`.

    Parameters
    ----------
    arm : Arm
        What is trained.
    benchmark : Benchmark
        Tells the images, and what arms have in common.
    settings : TrainingSettings
        Those that arms change.
    request : Request
        Tells the device.
    """

    def train(steps: int, run: Path, progress: Progress) -> object:
        return train_model(
            benchmark.training,
            (),
            arm.of(benchmark.model),
            settings.updated(**{**arm.settings, "iterations": steps}),
            run,
            device=request.device,
            progress=progress,
            cancel=request.cancel,
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
            f"{length} of {settings.batch_size} crops of {_crop(settings, benchmark)} "
            f"for every run, seeds {', '.join(map(str, seeds))}, last version of each; the paper "
            "has 200,000 steps of larger crops. Several runs are told as mean ± standard "
            "deviation. Times are processor time.",
            *([table.note] if table.note else []),
        ],
        [*table.metrics, *second],
        lines,
    )


def _crop(settings: TrainingSettings, benchmark: Benchmark) -> str:
    """Return the size of a crop in words."""
    sides = settings.for_ndim(benchmark.model.ndim).crop_shape
    return f"{'×'.join(map(str, sides))} {'pixels' if len(sides) == 2 else 'voxels'}"


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
        "parameters": f"{n_parameters(model.architecture, model.arguments) / 1e6:.1f} M",
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


def n_parameters(architecture: str, arguments: dict[str, Any]) -> int:
    """Return how many parameters a network has, without making it.

    Parameters
    ----------
    architecture, arguments
        See `napari_pea.core.networks.build_network`.
    """
    import torch

    with torch.device("meta"):
        return count_parameters(build_network(architecture, arguments))
