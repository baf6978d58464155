"""Table 1 of LSIM: branches, the averaging of masks, and two ways to objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import graph_offsets
from napari_pea.core.progress import CancelToken
from napari_pea.experiments.arms import Arm, Outcome, compare
from napari_pea.experiments.papers import lsim_benchmarks
from napari_pea.experiments.papers.benchmark import Benchmark
from napari_pea.experiments.papers.budget import Budget
from napari_pea.experiments.papers.lsim_scoring import (
    METRICS,
    NETWORK_SECONDS,
    SECONDS,
    better,
    score_masks,
)
from napari_pea.experiments.papers.published import LSIM_TABLE_1
from napari_pea.experiments.papers.report import Line, Report
from napari_pea.experiments.papers.request import Request
from napari_pea.experiments.papers.trained import n_parameters, trainer_of
from napari_pea.experiments.uncertainty import middle_of
from napari_pea.models.mask_model import MaskModel
from napari_pea.models.model import Model
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.settings import TrainingSettings

#: As it is asked for.
NAME = "lsim-1"
SETTINGS = TrainingSettings(checkpoint_every=25, ema_decay=0.99)
QUICK = Budget(2)
#: How volumes are scored: see `scored`.
COMPONENTS = (
    "Scores are those of connected components, of objects as of the truth. In tables 4 and 7 of "
    "PEA objects are scored as their ids say, so that figures of the two cannot be compared."
)
#: The optimiser of the authors (methods B2).
PUBLISHED = {
    "optimizer": "paper",
    "schedule": "constant",
    "learning_rate": 1e-4,
    "weight_decay": 5e-4,
    "ema_decay": 0.0,
    "checkpoint_every": 1000,
}

SNB = Arm("snb", "SNB", arguments={"dense": (), "sparse": (1, 2, 3)})
ENB = Arm("enb", "ENB", arguments={"dense": (1, 2, 3, 4), "sparse": ()})
BOTH = Arm("snb-enb", "SNB + ENB", arguments={"dense": (1, 2, 3, 4), "sparse": (1, 2, 3)})
#: How affinities are got from each: the first one is the paper's without MaskAggr.
SOURCES: dict[str, tuple[str, ...]] = {
    SNB.name: ("sparse",),
    ENB.name: ("head", "entries", "averaged"),
    BOTH.name: ("sparse", "averaged"),
}
SOURCE_TITLES = {
    "averaged": "MaskAggr",
    "entries": "single entries of masks",
    "head": "head on codes",
    "sparse": "SNB1",
}
ROUTE_TITLES = {"mutex": "MWS", "average": "WSDT + GaspAvg"}


@dataclass(frozen=True)
class Row:
    """A row of the table: an arm, where its affinities come from, and how they are used."""

    arm: Arm
    source: str
    route: str

    @property
    def way(self) -> str:
        """As in the scores of `score_masks`."""
        return f"{self.source}/{self.route}"

    @property
    def title(self) -> str:
        """In words."""
        return f"{self.arm.title}, {SOURCE_TITLES[self.source]}, {ROUTE_TITLES[self.route]}"


ROWS = tuple(
    Row(arm, source, route)
    for arm in (SNB, ENB, BOTH)
    for source in SOURCES[arm.name]
    for route in ROUTE_TITLES
)


@dataclass(frozen=True)
class Claim:
    """Something that the paper found, as one row being better than another.

    Attributes
    ----------
    text : str
        In words.
    winner, loser : Row
        By the decisive metric.
    """

    text: str
    winner: Row
    loser: Row


def _claims() -> tuple[Claim, ...]:
    masks_win = "by {} and without MaskAggr, ENB beats SNB"
    mutex_wins = "with MaskAggr, MWS beats the superpixels of {}"
    superpixels_win = "without MaskAggr, the superpixels of {} beat MWS"
    first = {arm.name: SOURCES[arm.name][0] for arm in (SNB, ENB, BOTH)}
    return (
        *(
            Claim(masks_win.format(title), Row(ENB, first["enb"], route), Row(SNB, "sparse", route))
            for route, title in ROUTE_TITLES.items()
        ),
        Claim(
            "by MWS, ENB with MaskAggr beats SNB",
            Row(ENB, "averaged", "mutex"),
            Row(SNB, "sparse", "mutex"),
        ),
        *(
            Claim(
                mutex_wins.format(arm.title),
                Row(arm, "averaged", "mutex"),
                Row(arm, "averaged", "average"),
            )
            for arm in (ENB, BOTH)
        ),
        *(
            Claim(
                superpixels_win.format(arm.title),
                Row(arm, first[arm.name], "average"),
                Row(arm, first[arm.name], "mutex"),
            )
            for arm in (SNB, ENB, BOTH)
        ),
    )


CLAIMS = _claims()


def make_lsim(request: Request) -> list[Report]:
    """Train the arms of the table, score them in every way, and write it anew after each run.

    Raises
    ------
    InputError
        If the data are not as they should be, a budget is missing, or the folder holds other
        runs.
    Cancelled
        If the request was cancelled.
    """
    data = request.data_folder()
    if request.budget is None and not request.quick:
        raise InputError("A table that needs training needs a budget, such as 400 or 20m.")
    if request.widths:
        raise InputError("This table has one width for all arms: leave widths out.")
    benchmark = lsim_benchmarks.choose(data, request.on)
    if request.side is not None:
        benchmark = _middle_of(benchmark, request.side)
    changes: dict[str, Any] = {**benchmark.settings}
    if request.as_published:
        changes |= {**PUBLISHED, **benchmark.published_crops}
    settings = replace(SETTINGS, objective=benchmark.objective)
    settings = settings.updated(**{**changes, **request.changes})
    runs = request.folder / benchmark.name
    length = request.budget or QUICK
    # The head on codes learns the pairs that are partitioned, and no others.
    offsets = graph_offsets(benchmark.objective.ndim, preset=True)
    arms = []
    for arm in (SNB, ENB, BOTH):
        own = arm
        if "head" in SOURCES[arm.name]:
            own = replace(arm, arguments={**arm.arguments, "offsets": offsets})
        steps = length.steps(own.name, runs, trainer_of(own, benchmark, settings, request))
        arms.append(replace(own, settings={**own.settings, "iterations": steps}))

    def scorer(
        arm: Arm, model: Model, held_out: Sequence[LabelledImage], cancel: CancelToken | None
    ) -> dict[str, float]:
        return score_masks(cast("MaskModel", model), held_out, SOURCES[arm.name], cancel=cancel)

    reports: list[Report] = []

    def tell(outcomes: Sequence[Outcome]) -> None:
        reports[:] = [_report(benchmark, outcomes, arms, settings, length)]
        reports[0].save(request.folder, f"table-{benchmark.name.replace('lsim', NAME)}")

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


def verdict(differences: Sequence[float]) -> str:
    """Return whether one thing is better than another, from by how much it is in every run.

    It holds, or does not, if all runs agree and the mean is larger than the standard deviation
    between runs. One run alone tells no spread.
    """
    known = [value for value in differences if not np.isnan(value)]
    if not known:
        return "not measured"
    mean = float(np.mean(known))
    told = f"{mean:+.3f}"
    if len(known) == 1:
        return (
            f"**{'yes' if mean > 0 else 'no'}** in the only run ({told}), whose spread is unknown"
        )
    spread = float(np.std(known, ddof=1))
    told = (
        f"{told} ± {spread:.3f}, better in {sum(value > 0 for value in known)} of {len(known)} runs"
    )
    if abs(mean) <= spread or len({value > 0 for value in known}) > 1:
        return f"**not clear** ({told})"
    return f"**{'yes' if mean > 0 else 'no'}** ({told})"


def findings(outcomes: Sequence[Outcome], metric: str) -> str:
    """Return what became of the paper's findings, in words, from the scores of the runs.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of all arms; runs of one seed are compared with each other.
    metric : str
        The one that decides.
    """
    found = {(outcome.arm, outcome.seed): outcome.scores for outcome in outcomes}
    seeds = sorted({seed for _, seed in found})

    def value(row: Row, seed: int) -> float:
        return found.get((row.arm.name, seed), {}).get(f"{row.way}/{metric}", float("nan"))

    lines = []
    for claim in CLAIMS:
        gains = [better(metric, value(claim.winner, s), value(claim.loser, s)) for s in seeds]
        lines.append(f"- {claim.text}: {verdict(gains)}")
    return "\n".join(lines)


def _middle_of(benchmark: Benchmark, side: int) -> Benchmark:
    """Return a benchmark that is scored in the middle of its images."""
    held_out = [middle_of(item, side) for item in benchmark.held_out]
    sides = "×".join(map(str, held_out[0].labels.shape))
    return replace(
        benchmark,
        name=f"{benchmark.name}-{side}",  # scores of other parts are other figures
        note=f"{benchmark.note} **Scored is only the middle, {sides}.**",
        held_out=held_out,
    )


def _report(
    benchmark: Benchmark,
    outcomes: Sequence[Outcome],
    arms: Sequence[Arm],
    settings: TrainingSettings,
    budget: Budget,
) -> Report:
    """Return the table as far as its runs are done."""
    ndim = benchmark.objective.ndim
    metrics = METRICS[ndim]
    used = {arm.name: arm for arm in arms}
    steps = {name: {o.iterations for o in outcomes if o.arm == name} for name in used}
    counted = ", ".join(f"{name} {min(known)}" for name, known in steps.items() if known)
    sides = settings.for_ndim(ndim).crop_shape
    seeds = sorted({outcome.seed for outcome in outcomes})
    return Report(
        "LSIM, table 1: branches, MaskAggr and partitions",
        [
            benchmark.note,
            f"{budget} of {settings.batch_size} crops of {'×'.join(map(str, sides))} for every "
            f"run (steps: {counted}), seeds {', '.join(map(str, seeds))}, last version of each. "
            f"All arms have the same backbone of widths "
            f"{', '.join(map(str, benchmark.model.arguments['widths']))}, and the same "
            f"{len(graph_offsets(ndim, preset=True))} pixel pairs are partitioned. Several runs "
            "are told as mean ± standard deviation. Times are processor time.",
            *([COMPONENTS] if ndim == 3 else []),
            f"The paper's findings, by {metrics[0].upper()}, seed by seed:\n\n"
            f"{findings(outcomes, metrics[0])}",
        ],
        metrics,
        [_line(row, benchmark, used[row.arm.name], outcomes, metrics) for row in ROWS],
    )


def _line(
    row: Row,
    benchmark: Benchmark,
    arm: Arm,
    outcomes: Sequence[Outcome],
    metrics: Sequence[str],
) -> Line:
    """Return a row of the table from the runs of its arm."""
    runs = [outcome for outcome in outcomes if outcome.arm == arm.name]
    found = {metric: [run.scores[f"{row.way}/{metric}"] for run in runs] for metric in metrics}
    model = arm.of(benchmark.model)

    def seconds(name: str) -> str:
        return f"{np.mean([run.scores[name] for run in runs]):.3g} s" if runs else ""

    times = [run.seconds for run in runs if run.seconds is not None]
    extra = {
        "parameters": f"{n_parameters(model.architecture, model.arguments) / 1e6:.2f} M",
        "runs": str(len(runs)),
        "training": f"{np.mean(times):.0f} s" if times else "",
        "network, an image": seconds(NETWORK_SECONDS),
        "affinities, an image": seconds(SECONDS),
    }
    return Line(row.title, found, LSIM_TABLE_1.get(f"{arm.name}/{row.way}", {}), extra)
