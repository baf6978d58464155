"""How far a few painted objects go: from `nuclei` to phase contrast in a given time."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.scaling import scaled_settings
from napari_pea.experiments.cells import usiigaci_images
from napari_pea.experiments.nuclei import bbbc039_images
from napari_pea.experiments.sparse_arms import (
    ARMS,
    SCORES,
    START,
    Arm,
    Outcome,
    arm_settings,
    markdown,
    painted_images,
)
from napari_pea.experiments.tuning import score
from napari_pea.models.catalogue import load_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import SUFFIX
from napari_pea.training.annotation import annotated_labels, scale_offer, survey
from napari_pea.training.checkpoint import CHECKPOINT_NAME, plain_settings
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.session import train_model
from napari_pea.training.settings import TrainingSettings

#: The files that the benchmark leaves in its folder.
MARKDOWN_NAME, JSON_NAME, BUDGET_NAME, RECORD_NAME = (
    "sparse.md", "sparse.json", "budget.json", "outcome.json",
)  # fmt: skip
#: So many iterations are timed to learn how many fit into the budget, the first ones left out.
TIMED, WARM_UP = 12, 4


def measure_sparse(
    data: Path,
    folder: Path,
    *,
    minutes: float = 10.0,
    seed: int = 1,
    arms: Sequence[Arm] = ARMS,
    device: str = "cpu",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
    **changes: Any,
) -> list[Outcome]:
    """Train every arm for the same number of iterations and score it on validation images.

    How many iterations fit into the time is measured once. Started again on the same folder,
    the benchmark goes on where it stopped. After each arm the tables are written anew.

    Parameters
    ----------
    data : Path
        Holds the folders `usiigaci` and `bbbc039`.
    folder : Path
        Receives a folder for each arm and the tables `sparse.md` and `sparse.json`.
    minutes : float
        Time for the training of each arm on this machine.
    seed : int
        Decides what is painted, and every random draw of the training.
    arms : sequence of Arm
        What is compared.
    device : str
        "auto", "cuda", "mps" or "cpu".
    progress : callable
        Told the iterations done and the iterations in all.
    cancel : CancelToken, optional
        Stops the benchmark when set.
    **changes
        Values of `TrainingSettings` that all arms share, such as ``batch_size=2``.

    Returns
    -------
    list of Outcome
        In the order of the arms.

    Raises
    ------
    InputError
        If the folder holds runs of another benchmark.
    Cancelled
        If `cancel` was set.
    """
    if not minutes > 0:
        raise InputError(f"The time for each arm must be above 0 minutes, not {minutes}.")
    shown, held_out = (usiigaci_images(data, split) for split in ("training", "validation"))
    nuclei = bbbc039_images(data, "validation")
    timed = Arm("timed", "", count=max((arm.count or 0 for arm in arms), default=0) or None)
    iterations = _iterations(timed, shown, folder, minutes, seed, device, cancel, changes)
    total = len(arms) * iterations
    outcomes: list[Outcome] = []
    for number, arm in enumerate(arms):

        def advance(done: int, _: int, /, before: int = number * iterations) -> None:
            progress(before + done, total)

        settings = arm_settings(arm, iterations, seed, changes)
        run = folder / arm.name
        outcome = _recorded(run, arm, settings)
        if outcome is None:
            outcome = _outcome(
                arm, shown, held_out, nuclei, settings, run, seed, device, advance, cancel
            )
            _write(
                run / RECORD_NAME,
                json.dumps({"settings": plain_settings(settings), **asdict(outcome)}, indent=1),
            )
        advance(iterations, iterations)
        outcomes.append(outcome)
        _write(folder / JSON_NAME, json.dumps([asdict(known) for known in outcomes], indent=1))
        _write(folder / MARKDOWN_NAME, markdown(outcomes, minutes, seed))
    return outcomes


def _model(arm: Arm, images: Sequence[LabelledImage]) -> ModelMetadata:
    """Return the model of an arm, with the scale that a user would be offered."""
    known = load_model(START, "cpu").metadata
    found = survey(
        [annotated_labels(item.labels, item.zero, background=item.background) for item in images]
    )
    scale = scale_offer(found.diameter, 1.0, known) or 1.0
    model = ModelMetadata(name=arm.name, architecture=known.architecture, scale=scale)
    if arm.start is None:
        update = {"arguments": known.arguments, "normalization": known.normalization}
        return model.model_copy(update=update)
    return model


def _iterations(
    arm: Arm,
    images: Sequence[LabelledImage],
    folder: Path,
    minutes: float,
    seed: int,
    device: str,
    cancel: CancelToken | None,
    changes: Mapping[str, Any],
) -> int:
    """Return how many iterations fit into the time, as it was measured first."""
    path = folder / BUDGET_NAME
    if path.exists():
        budget = json.loads(path.read_text())
        if budget["minutes"] != minutes:
            raise InputError(
                f"The folder {folder} holds a benchmark with {budget['minutes']:g} minutes: give "
                "the same, or choose another folder."
            )
        return int(budget["iterations"])
    ticks: list[float] = []
    with tempfile.TemporaryDirectory() as run:
        shown = painted_images(images, arm.count, seed)
        settings = arm_settings(arm, TIMED, seed, changes).updated(hold_out=0.0)
        train_model(
            shown,
            (),
            _model(arm, shown),
            settings,
            Path(run),
            start=arm.start,
            device=device,
            cancel=cancel,
            progress=lambda done, total, /: ticks.append(time.perf_counter()),
        )
    # The last iteration also wrote the model.
    seconds = (ticks[-2] - ticks[WARM_UP]) / (len(ticks) - 2 - WARM_UP)
    iterations = max(1, round(minutes * 60 / seconds))
    _write(path, json.dumps({"minutes": minutes, "iterations": iterations}))
    return iterations


def _outcome(
    arm: Arm,
    images: Sequence[LabelledImage],
    held_out: Sequence[LabelledImage],
    nuclei: Sequence[LabelledImage],
    settings: TrainingSettings,
    run: Path,
    seed: int,
    device: str,
    progress: Progress,
    cancel: CancelToken | None,
) -> Outcome:
    """Train and score an arm."""
    shown = painted_images(images, arm.count, seed)
    model = _model(arm, shown)
    seconds = 0.0
    if arm.trained:
        started = time.perf_counter()
        train_model(
            shown,
            (),
            model,
            settings,
            run,
            start=arm.start,
            resume=(run / CHECKPOINT_NAME).exists(),
            device=device,
            progress=progress,
            cancel=cancel,
        )
        seconds = time.perf_counter() - started
        trained = load_model(run / f"{model.name}{SUFFIX}", device)
        recommended = trained.recommended
    else:
        trained = load_model(START, device).with_scale(model.scale)
        recommended = scaled_settings(trained.recommended, 1 / model.scale)
    (scores,) = score(trained, held_out, recommended, SCORES, cancel=cancel).values()
    kept: dict[str, float] = {}
    if arm.start is not None:
        # Nuclei have their own size, and are segmented as the start recommends.
        old = load_model(arm.start, device).recommended
        (kept,) = score(trained.with_scale(1.0), nuclei, old, SCORES, cancel=cancel).values()
    return Outcome(
        arm.name,
        arm.title,
        settings.iterations if arm.trained else 0,
        round(seconds, 1),
        model.scale,
        scores,
        kept,
    )


def _recorded(run: Path, arm: Arm, settings: TrainingSettings) -> Outcome | None:
    """Return the outcome of an arm if it was found before."""
    path = run / RECORD_NAME
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text())
        known = record.pop("settings")
        outcome = Outcome(**record)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The record {path} cannot be read: delete it.") from error
    if known != plain_settings(settings) or outcome.arm != arm.name:
        raise InputError(
            f"The folder {run} holds a run with other settings: choose another folder."
        )
    return outcome


def _write(path: Path, text: str) -> None:
    """Write a text file."""
    with atomic_write(path) as temporary:
        temporary.write_text(text)
