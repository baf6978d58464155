"""Comparing choices of the method under an equal budget, one change at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.experiments import nuclei
from napari_pea.experiments.tuning import score
from napari_pea.models.catalogue import load_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import SUFFIX
from napari_pea.training.checkpoint import CHECKPOINT_NAME, changed_settings, plain_settings
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.session import train_model
from napari_pea.training.settings import TrainingSettings
from napari_pea.training.validation import SCORES

#: The files that a comparison leaves in its folder, and the record of each of its runs.
MARKDOWN_NAME, JSON_NAME, RECORD_NAME = "ablation.md", "ablation.json", "outcome.json"


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes
    ----------
    name : str
        Of its runs' folders.
    title : str
        What is different, for the reader of the table.
    settings : mapping
        Changed values of the training settings or of their parts.
    arguments : mapping
        Changed arguments of the network.
    """

    name: str
    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What one run of an arm came to.

    Attributes
    ----------
    arm, title : str
        Name and title of the arm.
    seed, iterations : int
        Of the run.
    seconds : float, optional
        Processor time of the training, which other programs change little.
    scores : dict of str to float
        Mean of each metric over the scored images, with the counts of `summarize`.
    """

    arm: str
    title: str
    seed: int
    iterations: int
    seconds: float | None
    scores: dict[str, float]


#: Each differs in one point from the recipe of the model `nuclei` (methods A12).
NUCLEI_ARMS: tuple[Arm, ...] = (
    Arm("recipe", "recipe of `nuclei`"),
    Arm("ccm", "CCM as in the code: one direction, detached", {"cross_weight": 1.0}),
    Arm(
        "ccm-symmetric",
        "CCM in both directions, with gradient in both branches",
        {"cross_weight": 1.0, "detach_cross": False, "symmetric_cross": True},
    ),
    Arm("no-epm", "no EPM", {"pyramid_weight": 0.0}),
    Arm("plain-mean", "no class balance", {"balance_classes": False}),
    Arm("balanced-foreground", "foreground weighted by class", {"balance_foreground": True}),
    Arm(
        "paper-optimizer",
        "optimiser of the code, constant rate (the mean rate of the recipe)",
        # The authors' 1e-4 is made for 200,000 steps and learns nothing in so few.
        {
            "optimizer": "paper",
            "schedule": "constant",
            "learning_rate": nuclei.SETTINGS.learning_rate / 2,
        },
    ),
    Arm("align-corners", "`align_corners=True`", arguments={"align_corners": True}),
    Arm("no-skip", "no skip at full resolution", arguments={"full_resolution_skip": False}),
    Arm("no-average", "no average of the weights", {"ema_decay": 0.0}),
    Arm("no-geometry", "no rotation, scaling and bending", {"geometric_probability": 0.0}),
    Arm(
        "constant-rate",
        "constant rate only (the mean rate of the recipe)",
        {"schedule": "constant", "learning_rate": nuclei.SETTINGS.learning_rate / 2},
    ),
)


def nuclei_ablation(
    data: Path,
    folder: Path,
    *,
    arms: Sequence[Arm] | None = None,
    seeds: int = 1,
    device: str = "auto",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
    **budget: Any,
) -> list[Outcome]:
    """Compare changes of the recipe of `nuclei` on the validation images of BBBC039.

    Parameters
    ----------
    data : Path
        See `napari_pea.experiments.nuclei.recipe`.
    arms : sequence of Arm, optional
        By default `NUCLEI_ARMS`.
    folder, seeds, device, progress, cancel
        See `compare`.
    **budget
        Values of `TrainingSettings` that all arms share, such as ``iterations=400``.
    """
    held_out = [item for item in nuclei.validation_images(data) if item.group == "bbbc039"]
    return compare(
        NUCLEI_ARMS if arms is None else arms,
        nuclei.training_images(data),
        held_out,
        nuclei.MODEL,
        nuclei.SETTINGS.updated(**budget),
        folder,
        seeds=seeds,
        device=device,
        progress=progress,
        cancel=cancel,
    )


def compare(
    arms: Sequence[Arm],
    training: Sequence[LabelledImage],
    held_out: Sequence[LabelledImage],
    model: ModelMetadata,
    settings: TrainingSettings,
    folder: Path,
    *,
    seeds: int = 1,
    device: str = "auto",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> list[Outcome]:
    """Train every arm on the same crops for the same number of steps and score the last version.

    All arms are run with one seed before the next seed begins. Started again on the same
    folder, the comparison goes on where it stopped. After each run the tables are written
    anew.

    Parameters
    ----------
    arms : sequence of Arm
        What is compared; differences are told from the first.
    training, held_out : sequence of LabelledImage
        Images to learn from and images of one group to score on.
    model, settings
        What the arms change. Every arm is segmented with the recommended settings of `model`.
    folder : Path
        Receives a folder for each run and the tables `ablation.md` and `ablation.json`.
    seeds : int
        How many runs each arm has; their seeds count up from that of the settings.
    device : str
        "auto", "cuda", "mps" or "cpu".
    progress : callable
        Told the iterations done and the iterations in all.
    cancel : CancelToken, optional
        Stops the comparison when set.

    Returns
    -------
    list of Outcome
        In the order of the runs.

    Raises
    ------
    InputError
        If the folder holds runs of another comparison.
    Cancelled
        If `cancel` was set.
    """
    if seeds < 1:
        raise InputError(f"A comparison needs at least one seed, not {seeds}.")
    runs = [(seed, arm) for seed in range(settings.seed, settings.seed + seeds) for arm in arms]
    total = len(runs) * settings.iterations
    outcomes: list[Outcome] = []
    for number, (seed, arm) in enumerate(runs):

        def advance(done: int, _: int, /, before: int = number * settings.iterations) -> None:
            progress(before + done, total)

        run = _Run(
            arm,
            model.model_copy(update={"arguments": {**model.arguments, **arm.arguments}}),
            # The last version is scored: one validation at the end, of which nothing is chosen.
            settings.updated(**arm.settings, seed=seed, validate_every=settings.iterations),
            folder / f"{arm.name}-{seed}",
        )
        outcomes.append(run.outcome(training, held_out, device, advance, cancel))
        write_tables(outcomes, settings, folder)
    return outcomes


@dataclass(frozen=True)
class _Run:
    """One run of a comparison, and the record of it in its folder."""

    arm: Arm
    model: ModelMetadata
    settings: TrainingSettings
    folder: Path

    def outcome(
        self,
        training: Sequence[LabelledImage],
        held_out: Sequence[LabelledImage],
        device: str,
        progress: Progress,
        cancel: CancelToken | None,
    ) -> Outcome:
        """Train and score, as far as that was not done before."""
        record = self._recorded()
        if "seconds" not in record:
            record["seconds"] = self._train(training, device, progress, cancel)
            self._save(record)
        if "scores" not in record:
            model = load_model(self._model_path, device)
            by_group = score(model, held_out, self.model.recommended, SCORES, cancel=cancel)
            (record["scores"],) = by_group.values()
            self._save(record)
        progress(self.settings.iterations, self.settings.iterations)
        return Outcome(
            self.arm.name,
            self.arm.title,
            self.settings.seed,
            self.settings.iterations,
            record["seconds"],
            record["scores"],
        )

    @property
    def _model_path(self) -> Path:
        """The model file that the training leaves."""
        return self.folder / f"{self.model.name}{SUFFIX}"

    def _train(
        self,
        training: Sequence[LabelledImage],
        device: str,
        progress: Progress,
        cancel: CancelToken | None,
    ) -> float | None:
        """Train to the end and return the processor time of all iterations, if it is known."""
        ticks: list[float] = []

        def tick(done: int, total: int, /) -> None:
            ticks.append(time.process_time())
            progress(done, total)

        train_model(
            training,
            (),
            self.model,
            self.settings,
            self.folder,
            resume=(self.folder / CHECKPOINT_NAME).exists(),
            device=device,
            progress=tick,
            cancel=cancel,
        )
        if len(ticks) < 2:
            return None
        # A run that went on where it had stopped was watched in part only.
        return (ticks[-1] - ticks[0]) / (len(ticks) - 1) * self.settings.iterations

    def _recorded(self) -> dict[str, Any]:
        """Return what is known about the run, at first only how it is done."""
        fresh = {
            "settings": plain_settings(self.settings),
            "arguments": json.loads(json.dumps(self.model.arguments)),
        }
        path = self.folder / RECORD_NAME
        if not path.exists():
            return fresh
        try:
            record: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"The record {path} cannot be read: delete it.") from error
        changed = changed_settings(record.get("settings", {}), self.settings)
        if changed or record.get("arguments") != fresh["arguments"]:
            raise InputError(
                f"The folder {self.folder} holds a run with other settings: choose another folder "
                "for this comparison."
            )
        return record

    def _save(self, record: Mapping[str, Any]) -> None:
        """Write what is known about the run into its folder."""
        _write(self.folder / RECORD_NAME, json.dumps(record, indent=1))


def write_tables(outcomes: Sequence[Outcome], settings: TrainingSettings, folder: Path) -> None:
    """Write the outcomes as `ablation.md` and `ablation.json`.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Those of the arm that the others are compared with first.
    settings : TrainingSettings
        What all arms share.
    folder : Path
        Where the files go.
    """
    _write(folder / JSON_NAME, json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    _write(folder / MARKDOWN_NAME, markdown(outcomes, settings))


def markdown(outcomes: Sequence[Outcome], settings: TrainingSettings) -> str:
    """Return the outcomes as a Markdown table with a sentence about the budget.

    Each row is an arm, averaged over its seeds; the difference to the first arm is taken over
    the seeds that both have.
    """
    scored = int(outcomes[0].scores["n_images"])
    lines = [
        f"{settings.iterations} steps of {settings.batch_size} crops of "
        f"{settings.crop}×{settings.crop} pixels for each run, seeds from {settings.seed} on, "
        f"scored on {scored} images.",
        "",
        "| what is different | runs | AJI | difference | PQ | Dice | AP50 | processor time |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    by_arm: dict[str, dict[int, Outcome]] = {}
    for outcome in outcomes:
        by_arm.setdefault(outcome.arm, {})[outcome.seed] = outcome
    first = by_arm[outcomes[0].arm]
    for arm in by_arm.values():
        means = {name: np.mean([run.scores[name] for run in arm.values()]) for name in SCORES}
        differences = [
            run.scores["aji"] - first[seed].scores["aji"]
            for seed, run in arm.items()
            if seed in first
        ]
        times = [run.seconds for run in arm.values() if run.seconds is not None]
        cells = [
            next(iter(arm.values())).title,
            str(len(arm)),
            f"{means['aji']:.4f}",
            "" if arm is first else f"{np.mean(differences):+.4f}",
            *(f"{means[name]:.4f}" for name in ("pq", "dice", "ap50")),
            f"{np.mean(times):.0f} s" if times else "not known",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    """Write a text file."""
    with atomic_write(path) as temporary:
        temporary.write_text(text)
