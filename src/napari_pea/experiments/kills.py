"""Killing a run at random moments: it goes on, and its files are whole."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.experiments.processes import PATIENCE, killed
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import SUFFIX, load_network
from napari_pea.training.checkpoint import CHECKPOINT_NAME, Checkpoint
from napari_pea.training.control import Phase, TrainingControl, TrainingHooks, TrainingStatus
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.runs import KeptRun, RunPlan, kept_runs
from napari_pea.training.session import train_model
from napari_pea.training.settings import TrainingSettings

#: A run is killed within this time, in seconds,
LONGEST = 1.0
#: counted from its first new iteration, but every so many times from its very beginning.
EARLY = 4
Reached = Callable[[], None]
#: More than any run reaches before it is killed.
ENDLESS = 1_000_000


def measure_kills(
    folder: Path,
    kills: int = 10,
    *,
    seed: int = 0,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Kill a run, look at what is left, and go on, again and again; then let it end.

    The run writes a checkpoint after every iteration and validates after every third, so
    that most moments are ones of writing.

    Parameters
    ----------
    folder : Path
        An empty folder for the run.
    kills : int
        How often it is killed.
    seed : int
        Of the moments.
    progress : callable
        Told the kills done and in all.
    cancel : CancelToken, optional
        Checked between kills.

    Returns
    -------
    dict
        ``kills``; ``iterations``, where the run stood after each; and ``models``, how often a
        model file lay there, and was loaded.

    Raises
    ------
    InputError
        If the run does not go on, or a file that it has left is broken.
    """
    run = KeptRun.begin(folder, _plan())
    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    reached, models = [0], 0
    for number in range(kills):
        progress(number, kills)
        check_cancel(cancel)
        # It dies while it reads the checkpoint, trains, validates or writes.
        phase: Phase = "preparing" if number % EARLY == EARLY - 1 else "training"
        _killed(run, phase, draw.uniform(0, LONGEST))
        if kept_runs(folder) != [run]:
            raise InputError("The run that was killed is not offered any more.")
        at = 0
        if (run.folder / CHECKPOINT_NAME).exists():
            at = Checkpoint.load(run.folder).iteration
        if at < reached[-1]:
            raise InputError(f"The run went back from iteration {reached[-1]} to {at}.")
        reached.append(at)
        models += _check_models(run)
    train(run, stop=True)
    if not _check_models(run):
        raise InputError("The run that was resumed has left no model.")
    progress(kills, kills)
    return {"kills": kills, "iterations": reached[1:], "models": models}


def train(
    run: KeptRun, *, stop: bool = False, phase: Phase = "training", reached: Reached | None = None
) -> None:
    """Begin a run or go on with it.

    Parameters
    ----------
    run : KeptRun
        The run.
    stop : bool
        Whether it ends after its next iteration.
    phase : str
        When `reached` is called.
    reached : callable, optional
        Called when the run does that.
    """
    plan = run.plan()
    control = TrainingControl()

    def on_status(status: TrainingStatus) -> None:
        if reached is not None and status.phase == phase:
            reached()
        if stop and status.phase == "training":
            control.stop()

    with run.held():
        path = train_model(
            plan.images,
            (),
            plan.metadata,
            plan.settings,
            run.folder,
            resume=(run.folder / CHECKPOINT_NAME).exists(),
            device="cpu",
            control=control,
            hooks=TrainingHooks(on_status=on_status),
        )
        run.end(path)


def _killed(run: KeptRun, phase: Phase, after: float) -> None:
    """Train in another process and kill it some time after it has come to a phase."""
    if not killed(_train_in_child, run.folder, phase, after=after):
        raise InputError("The run ended by itself: it could not go on.")
    # A killed process gives its lock back when the system has cleared it away.
    end = time.monotonic() + PATIENCE
    while run.is_held and time.monotonic() < end:
        time.sleep(0.01)


def _train_in_child(begun: Reached, folder: Path, phase: Phase) -> None:
    train(KeptRun(folder), phase=phase, reached=begun)


def _check_models(run: KeptRun) -> int:
    """Load every model file of a run; return how many there are."""
    paths = [path for path in run.folder.glob(f"*{SUFFIX}") if not path.name.startswith(".")]
    for path in paths:
        load_network(path)
    return len(paths)


def _plan() -> RunPlan:
    """Return a run of a tiny network whose iterations take milliseconds."""
    labels = np.zeros((64, 64), np.int32)
    labels[8:24, 8:24], labels[8:24, 30:50], labels[34:60, 8:30] = 1, 2, 3
    image = np.random.default_rng(0).normal(0, 1, labels.shape) + 9 * (labels > 0)
    settings = TrainingSettings().updated(
        iterations=ENDLESS,
        batch_size=1,
        crop=16,
        validate_every=3,
        checkpoint_every=1,
        ranges=(1,),
        pyramid_weight=0.0,
    )
    return RunPlan(
        images=(LabelledImage(image, labels, "squares", zero="not-annotated"),),
        metadata=ModelMetadata(
            name="killed", architecture="resunet2d", arguments={"widths": (4,) * 5}
        ),
        settings=settings,
    )
