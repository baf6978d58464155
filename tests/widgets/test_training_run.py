"""Training in a real window: real runs of a small network, short ones."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.qt.threading import WorkerBase
from qtpy.QtWidgets import QMessageBox

from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import SUFFIX, load_network, read_metadata
from napari_pea.training.checkpoint import Checkpoint
from napari_pea.training.runs import PLAN_NAME, kept_runs
from napari_pea.widgets import training_job, training_offer
from napari_pea.widgets.training_run import kept_text
from napari_pea.widgets.training_state import TrainingPhase, training_state_of

OpenTraining = Callable[..., Any]
SHORT = {
    "iterations": 12,
    "batch_size": 1,
    "crop": 32,
    "validate_every": 6,
    "checkpoint_every": 2,
    "ranges": (1, 3),
    "distant_pairs": 100,
}
ENDLESS = SHORT | {"iterations": 100_000, "validate_every": 100_000}
PATIENCE = 60_000


class RunHand:
    """Does what a user does with a run."""

    def __init__(self, hand: Any, qtbot: Any, changes: dict[str, Any]) -> None:
        self.hand, self.viewer, self._qtbot = hand, hand.viewer, qtbot
        self.state = training_state_of(hand.viewer)
        self.state.changes = changes
        self.find = hand.find

    def train(self, **changes: Any) -> None:
        self.state.changes = dict(self.state.changes) | changes
        self.hand.click("train_button")

    def click(self, name: str) -> None:
        self.hand.click(name)

    def until(self, condition: Callable[[], Any]) -> None:
        self._qtbot.waitUntil(lambda: bool(condition()), timeout=PATIENCE)

    def until_steps(self, more: int = 3) -> None:
        wanted = self.steps + more
        self.until(lambda: self.steps >= wanted)

    def until_over(self) -> None:
        self.until(lambda: not self.state.phase.is_busy and not WorkerBase._worker_set)

    @property
    def steps(self) -> int:
        """The last iteration that the window has heard of."""
        losses = self.hand.dock.run_group.curves.losses
        return int(losses[-1][0]) if losses else 0

    @property
    def message(self) -> str:
        return self.find("training_message_label").text()


@pytest.fixture
def models(
    models: Path, tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder of models for each test, with the tiny model in it."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / tiny_model_path.name).write_bytes(tiny_model_path.read_bytes())
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(folder))
    monkeypatch.setattr(training_job, "PREVIEW_SECONDS", 0.2)
    monkeypatch.setattr(training_job, "TELL_SECONDS", 0.05)
    monkeypatch.setattr("napari_pea.training.history.History.save_picture", lambda *_: None)
    return folder


@pytest.fixture
def open_run(
    open_training: OpenTraining,
    qtbot: Any,
    models: Path,
    squares: np.ndarray,
    painted: np.ndarray,
) -> Iterator[Callable[..., RunHand]]:
    """Opens a window with an image, some paint and the dock."""

    def open_(changes: dict[str, Any] = ENDLESS, *, empty: bool = False) -> RunHand:
        hand = open_training()
        if not empty:
            hand.viewer.add_image(squares, name="cells")
            hand.viewer.add_labels(painted, name="paint")
        return RunHand(hand, qtbot, changes)

    return open_


def test_train_watch_save_and_use(open_run: Callable[..., RunHand], models: Path) -> None:
    run = open_run(SHORT)
    _, segment = run.viewer.window.add_plugin_dock_widget("napari-pea", "Segment")
    paint = run.viewer.layers["paint"]
    run.viewer.layers.selection.active = paint
    assert not run.find("save_model_button").isEnabled()
    run.train()
    run.until(lambda: run.state.phase is TrainingPhase.RUNNING)
    assert not run.find("train_button").isEnabled()
    run.until_over()

    assert run.state.phase is TrainingPhase.DONE
    assert run.steps == 12
    curves = run.find("training_curves")
    assert [at for at, _ in curves.scores["aji"]] == [0, 6, 12]
    assert [at for at, _ in curves.scores["ap50"]] == [0, 6, 12]
    assert not curves.grab().toImage().isNull()
    assert "12 of 12" in run.find("pace_label").text()
    assert "was kept (AJI" in run.message
    preview = run.viewer.layers["cells training"]
    assert preview.data.shape == (96, 128)
    assert run.viewer.layers.index(preview) < run.viewer.layers.index(paint)
    assert run.viewer.layers.selection.active is paint, "the brush stays in the hand"

    run.find("model_name_edit").setText("tiny")
    run.click("save_model_button")
    run.until(lambda: "There is a model 'tiny' already" in run.message)
    run.find("model_name_edit").setText("squares")
    run.find("model_description_edit").setText("Bright squares.")
    run.click("save_model_button")
    run.until(lambda: "Saved: the model 'squares'" in run.message)
    path = models / f"squares{SUFFIX}"
    load_network(path)
    metadata = read_metadata(path)
    assert (metadata.name, metadata.parent, metadata.description) == (
        "squares",
        "tiny",
        "Bright squares.",
    )
    assert "painted on 'cells'" in metadata.data[-1].name
    assert metadata.training["iterations"] == 12
    assert {"aji", "ap50"} <= set(metadata.scores["validation"])
    assert segment.model_combo.findText("squares") >= 0
    assert not run.find("save_model_button").isEnabled()
    assert not run.find("offer_label").isVisibleTo(run.hand.dock)

    run.hand.choose("start_model_combo", "squares")
    run.train(iterations=2, validate_every=2)
    run.until_over()
    assert run.state.phase is TrainingPhase.DONE
    (again,) = kept_runs(models / "runs")
    assert again.model_path is not None
    assert read_metadata(again.model_path).parent == "squares"


def test_pause_go_on_and_stop(open_run: Callable[..., RunHand]) -> None:
    run = open_run()
    run.train()
    run.until_steps()
    run.click("pause_button")
    assert run.state.phase is TrainingPhase.PAUSED
    run.until(lambda: "Paused" in run.find("pace_label").text())
    paused_at = run.steps
    assert run.find("pause_button").text() == "Go on"
    run.click("pause_button")
    run.until(lambda: run.steps > paused_at)
    run.click("stop_button")
    assert run.state.phase is TrainingPhase.STOPPING
    run.until_over()
    assert run.state.phase is TrainingPhase.DONE
    assert "was kept" in run.message
    assert run.find("save_model_button").isEnabled()


def test_layers_removed_while_it_runs(open_run: Callable[..., RunHand]) -> None:
    run = open_run()
    run.train()
    run.until(lambda: "cells training" in run.viewer.layers)
    run.viewer.layers.remove("cells training")
    assert not run.find("training_preview_check").isChecked()
    run.until_steps()
    assert "cells training" not in run.viewer.layers, "nobody wants it"
    run.find("training_preview_check").setChecked(True)
    run.until(lambda: "cells training" in run.viewer.layers)
    run.viewer.layers.remove("paint")
    run.viewer.layers.remove("cells")
    assert "'cells' was removed: training goes on" in run.message
    run.until_steps()
    run.click("stop_button")
    run.until_over()
    assert run.state.phase is TrainingPhase.DONE


def test_closing_asks_and_the_run_can_be_resumed(
    open_run: Callable[..., RunHand], models: Path, qtbot: Any, painted: np.ndarray
) -> None:
    run = open_run()
    for name in ("cells", "paint"):
        run.viewer.layers[name].scale = (0.5, 0.25)
        run.viewer.layers[name].translate = (3, 4)
    run.click("draw_region_button")
    outline = np.array([[3.0, 4.0], [3.0, 34.0], [43.0, 34.0], [43.0, 4.0]])
    run.viewer.layers["cells regions"].add_rectangles(
        [run.viewer.layers["cells regions"].world_to_data(corner) for corner in outline]
    )
    run.train()
    run.until_steps(4)
    # napari asks with these words before it closes.
    assert any("Training" in line for line in run.viewer.window._task_status_manager.get_status())
    run.viewer.close()
    qtbot.waitUntil(lambda: not WorkerBase._worker_set, timeout=PATIENCE)
    (kept,) = kept_runs(models / "runs")
    reached = Checkpoint.load(kept.folder).iteration
    assert reached >= 4
    plan = json.loads((kept.folder / PLAN_NAME).read_text())
    (kept.folder / PLAN_NAME).write_text(json.dumps(plan | {"device": "cuda:7"}))

    run = open_run(empty=True)
    run.until(lambda: run.find("offer_label").isVisibleTo(run.hand.dock))
    assert "was not finished" in run.find("offer_label").text()
    run.click("resume_button")
    run.until(lambda: run.steps > reached)
    assert min(at for at, _ in run.hand.dock.run_group.curves.losses) > 0
    assert "'cuda:7' is not there any more: it goes on with the cpu" in run.message
    annotation = run.viewer.layers["cells annotation"]
    np.testing.assert_array_equal(annotation.data, painted)
    for layer in (run.viewer.layers["cells"], annotation):
        np.testing.assert_allclose(layer.scale, (0.5, 0.25))
        np.testing.assert_allclose(layer.translate, (3, 4))
    regions = run.viewer.layers["cells regions"]
    found = [regions.data_to_world(corner) for corner in regions.data[0]]
    np.testing.assert_allclose(found, outline)
    run.until(lambda: "cells training" in run.viewer.layers)
    assert not run.find("offer_label").isVisibleTo(run.hand.dock)
    # The next run can learn from what was painted for this one.
    assert run.find("train_image_combo").currentText() == "cells"
    assert run.find("train_labels_combo").currentText() == "cells annotation"
    assert run.find("train_region_combo").currentText() == "cells regions"
    run.click("stop_button")
    run.until_over()
    assert run.state.phase is TrainingPhase.DONE


def test_closing_the_dock_leaves_the_run(
    open_run: Callable[..., RunHand], models: Path, qtbot: Any
) -> None:
    run = open_run()
    run.train()
    run.until_steps()
    run.viewer.window.remove_dock_widget(run.hand.frame)
    run.until(lambda: not WorkerBase._worker_set)
    assert len(kept_runs(models / "runs")) == 1
    again = type(run.hand)(run.viewer, qtbot)
    assert again.find("offer_label").isVisibleTo(again.dock)
    assert again.find("train_button").isEnabled()


def test_a_model_that_was_not_saved_is_offered_and_a_run_can_be_discarded(
    open_run: Callable[..., RunHand], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run(SHORT | {"iterations": 2, "validate_every": 2})
    run.train()
    run.until_over()
    run.viewer.close()
    run = open_run(empty=True)
    run.until(lambda: run.find("offer_label").isVisibleTo(run.hand.dock))
    assert "not saved" in run.find("offer_label").text()
    run.click("resume_button")
    assert run.state.phase is TrainingPhase.DONE
    run.click("save_model_button")
    run.until(lambda: (models / f"my-tiny{SUFFIX}").exists() and "Saved" in run.message)
    assert kept_runs(models / "runs") == []

    run.viewer.close()
    run = open_run(ENDLESS)
    run.train()
    run.until_steps()
    run.hand.dock.run_group._runner.cancel()
    run.until_over()
    assert "can be resumed" in run.message
    run.until(lambda: run.find("offer_label").isVisibleTo(run.hand.dock))
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    run.click("discard_button")
    assert len(kept_runs(models / "runs")) == 1
    run.click("discard_button")
    assert kept_runs(models / "runs") == []
    assert not run.find("offer_label").isVisibleTo(run.hand.dock)


def test_a_full_disk_is_told_and_loses_nothing(
    open_run: Callable[..., RunHand], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run()
    run.train()
    run.until_steps(4)
    with monkeypatch.context() as patched:

        def full(*_: object) -> None:
            raise OSError(28, os.strerror(28))

        patched.setattr(Checkpoint, "save", full)
        run.until_over()
    assert "could not be saved" in run.message
    assert "No space left on device" in run.message
    assert run.state.phase is TrainingPhase.IDLE
    run.until(lambda: run.find("offer_label").isVisibleTo(run.hand.dock))
    reached = run.steps
    run.click("resume_button")
    run.until(lambda: run.steps > reached)
    run.click("stop_button")
    run.until_over()
    assert run.state.phase is TrainingPhase.DONE


def test_what_cannot_be_trained_on_is_said(open_run: Callable[..., RunHand]) -> None:
    run = open_run(empty=True)
    run.click("train_button")
    assert run.message
    assert run.state.phase is TrainingPhase.IDLE


def test_layers_removed_before_it_runs_stay_removed(open_run: Callable[..., RunHand]) -> None:
    run = open_run(SHORT)
    run.train()
    run.viewer.layers.clear()
    run.until_over()
    assert run.state.phase is TrainingPhase.DONE
    assert not run.viewer.layers


def test_runs_of_other_windows_are_looked_at_now_and_then(
    open_run: Callable[..., RunHand], models: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    class Held:
        is_held = True

    looks: list[Path] = []

    def all_runs(root: Path) -> list[Held]:
        looks.append(root)
        return [Held(), Held()]

    monkeypatch.setattr(training_offer, "HELD_MS", 20)
    monkeypatch.setattr(training_offer, "all_runs", all_runs)
    run = open_run(empty=True)
    before = len(looks)
    qtbot.wait(300)
    assert before < len(looks) <= before + 40
    assert not run.find("offer_label").isVisibleTo(run.hand.dock)


@pytest.mark.parametrize(
    ("start", "is_worse"), [(None, False), (0.4, False), (0.5, False), (0.9, True)]
)
def test_a_model_that_got_worse_is_told(start: float | None, is_worse: bool) -> None:
    training = {"best_iteration": 1200} | ({} if start is None else {"start_score": start})
    metadata = ModelMetadata(
        name="mine",
        architecture="resunet2d",
        scores={"validation": {"aji": 0.5, "ap50": 0.25}},
        training=training,
    )
    text = kept_text(metadata)
    assert text.startswith("The version of iteration 1,200 was kept (AJI 0.50, AP50 0.25)")
    assert ("finds what is held out better (AJI 0.90)" in text) is is_worse


def test_a_model_for_volumes_learns_from_a_painted_volume(
    open_training: OpenTraining, volume_model: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_pea.training.history.History.save_picture", lambda *_: None)
    changes = SHORT | {"iterations": 1, "validate_every": 1, "crop": 16, "crop_depth": 4}
    hand = open_training()
    ids = np.zeros((10, 48, 48), np.uint16)
    for number in range(8):
        row, column = 4 + 24 * (number % 2), 2 + 12 * (number // 2)
        ids[2:8, row : row + 9, column : column + 9] = number + 1
    run = RunHand(hand, qtbot, changes)
    image = (ids > 0) * 300 + np.random.default_rng(0).integers(0, 99, ids.shape)
    hand.viewer.add_image(image.astype(np.uint16), name="stack", scale=(2, 0.5, 0.5))
    hand.viewer.add_labels(ids, name="paint", scale=(2, 0.5, 0.5))
    hand.choose("start_model_combo", "solid")
    assert "8 painted objects" in hand.outlook
    run.train()
    run.until_over()
    assert run.state.phase is TrainingPhase.DONE, run.message
    preview = hand.viewer.layers["stack training"]
    assert preview.data.shape == ids.shape
    np.testing.assert_allclose(preview.scale, (2, 0.5, 0.5))
    labels = hand.viewer.layers["paint"]
    labels.data = np.where(np.arange(10)[:, None, None] == 4, labels.data, 0)
    assert "painted in one section each" in hand.outlook
    hand.find("whole_objects_check").click()
    assert "painted in one section each" not in hand.outlook
    hand.choose("start_model_combo", "tiny")
    assert "8 painted objects" in hand.outlook  # of a single plane
    hand.viewer.layers.remove("stack")
    hand.viewer.layers.remove("paint")
    hand.viewer.add_image(image[4], name="plane")
    hand.viewer.add_labels(ids[4], name="dabs")
    hand.choose("start_model_combo", "solid")
    assert "learns from volumes and 'dabs' is a single plane" in hand.outlook
