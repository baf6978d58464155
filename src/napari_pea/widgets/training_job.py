"""The work of training behind the dock. Runs in another thread and knows no window."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.models.package import read_metadata
from napari_pea.training.runs import KeptRun, RunPlan
from napari_pea.widgets.memory import memory_reported
from napari_pea.widgets.training_preview import Viewpoint
from napari_pea.widgets.work import Report

if TYPE_CHECKING:
    from napari_pea.training.control import TrainingControl, TrainingStatus
    from napari_pea.widgets.training_state import TrainingRequest

#: The window hears of the run at most so often, in seconds.
TELL_SECONDS = 0.25
#: What helps if the memory does not suffice.
MEMORY_ADVICE = "train again with a smaller crop or batch, under Expert, or on the device cpu"
#: Time between two previews, in seconds.
PREVIEW_SECONDS = 15.0


@dataclass(frozen=True)
class Update:
    """What is new about a run.

    Attributes
    ----------
    status : TrainingStatus
        Where it stands.
    losses : tuple of (int, float)
        Iterations and their losses.
    rows : tuple of dict
        New rows of the log.
    """

    status: TrainingStatus
    losses: tuple[tuple[int, float], ...] = ()
    rows: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class Said:
    """A sentence about the annotation that the user should read."""

    text: str


@dataclass(frozen=True)
class Resumed:
    """What was read of a run that goes on."""

    plan: RunPlan


@dataclass(frozen=True)
class Trained:
    """A model that was trained.

    Attributes
    ----------
    run : KeptRun
        Its run.
    metadata : ModelMetadata
        What its file says.
    """

    run: KeptRun
    metadata: ModelMetadata


class Teller:
    """Gathers what happens in a run, and tells the window of it now and then.

    Parameters
    ----------
    tell : callable
        Called with an `Update`, in the thread of the run.
    progress : callable
        Told the iterations done and in all.
    """

    def __init__(self, tell: Callable[[Update], object], progress: Progress) -> None:
        self._tell = tell
        self._progress = progress
        self._losses: list[tuple[int, float]] = []
        self._rows: list[dict[str, float]] = []
        self._phase = ""
        self._told = -float("inf")

    def on_status(self, status: TrainingStatus) -> None:
        """Take note of where the run stands."""
        if status.phase == "training" and status.loss is not None:
            self._losses.append((status.iteration, status.loss))
        now = time.monotonic()
        if status.phase != self._phase or now - self._told >= TELL_SECONDS:
            self._phase, self._told = status.phase, now
            self._tell(Update(status, tuple(self._losses), tuple(self._rows)))
            self._progress(status.iteration, status.iterations)
            self._losses.clear()
            self._rows.clear()

    def on_row(self, row: dict[str, float]) -> None:
        """Take note of a row of the log."""
        self._rows.append(row)


def begin_run(
    request: TrainingRequest,
    root: Path,
    from_layers: bool,
    control: TrainingControl,
    viewpoint: Viewpoint,
    report: Report,
    cancel: CancelToken,
) -> Trained:
    """Write down what is to be learned, and train.

    Parameters
    ----------
    request : TrainingRequest
        What to train.
    root : Path
        The folder of all runs.
    from_layers : bool
        Whether it was painted in a viewer, and may be nowhere else.
    control : TrainingControl
        Pauses and stops the run.
    viewpoint : Viewpoint
        What the user looks at.
    report, cancel
        Told and checked all the time.

    Raises
    ------
    InputError
        If it cannot be trained, or written down.
    Cancelled
        If `cancel` was set; the run can be resumed.
    """
    from napari_pea.training.files import pictures

    report("Reading what was painted …")

    def reading(done: int, total: int, /) -> None:
        report("Reading what was painted …", done, total)

    images = request.read(reading, cancel)
    plan = RunPlan(
        images=images,
        metadata=_with_data(request),
        settings=request.settings,
        start=request.start,
        keep=tuple(pictures(request.keep)),
        device=request.device,
        description=request.description,
        layers=tuple(item.name for item in images) if from_layers else (),
        layouts=request.layouts,
    )
    run = KeptRun.begin(root, plan)
    with run.held():
        return _train(run, plan, control, viewpoint, report, cancel)


def resume_run(
    run: KeptRun,
    control: TrainingControl,
    viewpoint: Viewpoint,
    report: Report,
    cancel: CancelToken,
) -> Trained:
    """Go on with a run of which only the folder is left; see `begin_run`."""
    report("Reading the run …")
    plan = run.plan()
    with run.held():
        report.hand_over(Resumed(plan))
        plan = _on_present_device(plan, report)
        return _train(run, plan, control, viewpoint, report, cancel)


def _on_present_device(plan: RunPlan, report: Report) -> RunPlan:
    """Return a plan for a device that is there: the one it was begun on, or the processor."""
    from napari_pea.core.device import choose_device

    try:
        choose_device(plan.device)
    except InputError:
        report.hand_over(
            Said(f"The device {plan.device!r} is not there any more: it goes on with the cpu.")
        )
        return replace(plan, device="cpu")
    return plan


def _train(
    run: KeptRun,
    plan: RunPlan,
    control: TrainingControl,
    viewpoint: Viewpoint,
    report: Report,
    cancel: CancelToken,
) -> Trained:
    from napari_pea.training.checkpoint import CHECKPOINT_NAME, Checkpoint
    from napari_pea.training.control import TrainingHooks
    from napari_pea.training.session import train_model

    resume = (run.folder / CHECKPOINT_NAME).exists()

    def iterations(done: int, total: int, /) -> None:
        report("Training …", done, total)

    teller = Teller(report.hand_over, iterations)
    if resume:
        for row in Checkpoint.load(run.folder).rows:
            teller.on_row(row)

    def preview(model: Any, iteration: int) -> None:
        seen = viewpoint.segment(model, iteration, cancel)
        if seen is not None:
            report.hand_over(seen)

    with memory_reported(MEMORY_ADVICE):
        path = train_model(
            plan.images,
            (),
            plan.metadata,
            plan.settings,
            run.folder,
            start=plan.start,
            resume=resume,
            keep=plan.keep,
            device=plan.device,
            cancel=cancel,
            control=control,
            hooks=TrainingHooks(
                on_status=teller.on_status,
                on_row=teller.on_row,
                preview_seconds=PREVIEW_SECONDS,
            ),
            preview=preview,
            notify=lambda notice: report.hand_over(Said(notice.text)),
        )
    run.end(path)
    _show_kept(path, viewpoint, plan.device, report, cancel)
    return Trained(run, read_metadata(path))


def _show_kept(
    path: Path, viewpoint: Viewpoint, device: str, report: Report, cancel: CancelToken
) -> None:
    """Let the preview show the version that was kept."""
    if viewpoint.view is not None:
        from napari_pea.models.catalogue import load_model

        seen = viewpoint.segment(load_model(path, device), None, cancel)
        if seen is not None:
            report.hand_over(seen)


def _with_data(request: TrainingRequest) -> ModelMetadata:
    """Return the metadata with what the model learns from, besides what its start did."""
    known = () if request.start is None else read_metadata(request.start).data
    own = DataSource(name=request.description or "own annotation")
    told = {"data": (*known, own), "description": request.description}
    return request.metadata.model_copy(update=told)
