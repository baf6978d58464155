"""Comparing ways to train under an equal budget, run by run, as far as was not done before."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.core.image import as_array
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.experiments.tuning import score
from napari_pea.io.session import checksum
from napari_pea.models.catalogue import load_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.model import Model
from napari_pea.models.package import SUFFIX
from napari_pea.training.checkpoint import CHECKPOINT_NAME, changed_settings, plain_settings
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.session import train_model
from napari_pea.training.settings import TrainingSettings
from napari_pea.training.validation import SCORES

#: The record that each run leaves in its folder.
RECORD_NAME = "outcome.json"
#: Arguments that every architecture has.
KEPT_ARGUMENTS = ("in_channels", "embedding_dim")


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
    architecture : str
        Another network than that of the model. Of the model's arguments it has only the number
        of channels and of dimensions.
    recommended : mapping
        Changed values of the settings by which it is segmented.
    """

    name: str
    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    architecture: str = ""
    recommended: Mapping[str, Any] = field(default_factory=dict)

    def of(self, model: ModelMetadata) -> ModelMetadata:
        """Return what is trained where `model` is what the arms have in common."""
        shared: Mapping[str, Any] = model.arguments
        update: dict[str, Any] = {}
        if self.architecture:
            shared = {name: value for name, value in shared.items() if name in KEPT_ARGUMENTS}
            update["architecture"] = self.architecture
        if self.recommended:
            update["recommended"] = model.recommended.updated(**self.recommended)
        return model.model_copy(update={**update, "arguments": {**shared, **self.arguments}})


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


#: How a trained arm is scored: see `compare`.
Scorer = Callable[[Arm, Model, Sequence[LabelledImage], CancelToken | None], dict[str, float]]


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
    scorer: Scorer | None = None,
    tell: Callable[[Sequence[Outcome]], None] = lambda outcomes: None,
) -> list[Outcome]:
    """Train every arm on the same crops for the same number of steps and score the last version.

    All arms are run with one seed before the next seed begins. Started again on the same
    folder, the comparison goes on where it stopped.

    Parameters
    ----------
    arms : sequence of Arm
        What is compared; differences are told from the first.
    training, held_out : sequence of LabelledImage
        Images to learn from and images of one group to score on.
    model, settings
        What the arms change. Every arm is segmented with the recommended settings of `model` and
        its own changes of these.
    folder : Path
        Receives a folder for each run.
    seeds : int
        How many runs each arm has; their seeds count up from that of the settings.
    device : str
        "auto", "cuda", "mps" or "cpu".
    progress : callable
        Told the iterations done and the iterations in all.
    cancel : CancelToken, optional
        Stops the comparison when set.
    scorer : callable, optional
        Given an arm, its trained model, the held-out images and `cancel`, returns the scores;
        by default those of `SCORES` by the recommended settings.
    tell : callable, optional
        Given all outcomes after each run.

    Returns
    -------
    list of Outcome
        In the order of the runs.

    Raises
    ------
    InputError
        If the folder holds runs of another comparison, or of other images.
    Cancelled
        If `cancel` was set.
    """
    if seeds < 1:
        raise InputError(f"A comparison needs at least one seed, not {seeds}.")
    runs = [(seed, arm) for seed in range(settings.seed, settings.seed + seeds) for arm in arms]
    chosen = [settings.updated(**arm.settings, seed=seed) for seed, arm in runs]
    images = {
        name: [fingerprint(item) for item in items]
        for name, items in (("training", training), ("held_out", held_out))
    }
    total = sum(run.iterations for run in chosen)
    before = 0
    outcomes: list[Outcome] = []
    for (seed, arm), own in zip(runs, chosen, strict=True):

        def advance(done: int, _: int, /, before: int = before) -> None:
            progress(before + done, total)

        run = _Run(
            arm,
            arm.of(model),
            # The last version is scored: one validation at the end, of which nothing is chosen.
            own.updated(validate_every=own.iterations),
            folder / f"{arm.name}-{seed}",
            scorer or score_recommended,
            images,
        )
        outcomes.append(run.outcome(training, held_out, device, advance, cancel))
        before += own.iterations
        tell(outcomes)
    return outcomes


def fingerprint(item: LabelledImage) -> str:
    """Return name and size of an image, and what tells its pixels and objects from others."""
    image, labels = as_array(item.image), as_array(item.labels)
    size = "×".join(map(str, image.shape))
    return f"{item.name} {size} {checksum(image)} {checksum(labels)}"


def score_recommended(
    arm: Arm, model: Model, held_out: Sequence[LabelledImage], cancel: CancelToken | None
) -> dict[str, float]:
    """Return the scores of images of one group by the settings that a model recommends."""
    (scores,) = score(model, held_out, model.recommended, SCORES, cancel=cancel).values()
    return scores


@dataclass(frozen=True)
class _Run:
    """One run of a comparison, and the record of it in its folder."""

    arm: Arm
    model: ModelMetadata
    settings: TrainingSettings
    folder: Path
    scorer: Scorer
    images: Mapping[str, Sequence[str]]

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
            # Before the first step, so that a run that stops tells what it has learned from.
            self._save(record)
            record["seconds"] = self._train(training, device, progress, cancel)
            self._save(record)
        if "scores" not in record:
            model = load_model(self._model_path, device)
            record["scores"] = self.scorer(self.arm, model, held_out, cancel)
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
            "architecture": self.model.architecture,
            "arguments": json.loads(json.dumps(self.model.arguments)),
            "recommended": json.loads(json.dumps(self.model.recommended.as_dict())),
            **self.images,
        }
        path = self.folder / RECORD_NAME
        if not path.exists():
            return fresh
        try:
            record: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"The record {path} cannot be read: delete it.") from error
        changed = changed_settings(record.get("settings", {}), self.settings)
        # What records of old do not tell counts as the same.
        for name in ("architecture", "recommended", *self.images):
            record.setdefault(name, fresh[name])
        record["recommended"] = fresh["recommended"] | record["recommended"]
        decisive = ("architecture", "arguments", "recommended")
        differs = ""
        if changed or any(record.get(name) != fresh[name] for name in decisive):
            differs = "with other settings"
        elif any(record[name] != fresh[name] for name in self.images):
            differs = "of other images"
        if differs:
            raise InputError(
                f"The folder {self.folder} holds a run {differs}: choose another folder for this "
                "comparison."
            )
        return record

    def _save(self, record: Mapping[str, Any]) -> None:
        """Write what is known about the run into its folder."""
        write_text(self.folder / RECORD_NAME, json.dumps(record, indent=1))


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    with atomic_write(path) as temporary:
        temporary.write_text(text)
