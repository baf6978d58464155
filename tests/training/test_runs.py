from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import load_network
from napari_pea.training import runs
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.runs import KeptRun, RunPlan, kept_runs
from napari_pea.training.settings import TrainingSettings

HOLD = """
import sys, time
from pathlib import Path
from napari_pea.training.runs import KeptRun

with KeptRun(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def plan(tiny_model_path: Path) -> RunPlan:
    rng = np.random.default_rng(0)
    labels = np.zeros((12, 14), np.uint16)
    labels[2:5, 3:7] = 3
    return RunPlan(
        images=(
            LabelledImage(rng.integers(0, 99, (2, 12, 14)), labels, "a", channel_axis=0),
            LabelledImage(
                rng.random((9, 8)), labels[:9, :8], "b", zero="auto", background=labels[:9, :8] > 0
            ),
        ),
        metadata=ModelMetadata(name="new", architecture="resunet2d", scale=0.5),
        settings=TrainingSettings().updated(iterations=7, ranges=(1, 4), scale=(0.5, 2.0)),
        start=tiny_model_path,
        keep=(rng.random((5, 6)),),
        device="cpu",
        description="Trained on a and b.",
        layers=("a",),
    )


def test_the_folder_alone_is_enough_to_go_on(tmp_path: Path, plan: RunPlan) -> None:
    run = KeptRun.begin(tmp_path, plan)
    read = KeptRun(run.folder).plan()
    for before, after in zip(plan.images, read.images, strict=True):
        np.testing.assert_array_equal(before.image, after.image)
        np.testing.assert_array_equal(before.labels, after.labels)
        assert before.labels.dtype == after.labels.dtype
        assert (before.background is None) == (after.background is None)
        assert (before.name, before.zero, before.channel_axis) == (
            after.name,
            after.zero,
            after.channel_axis,
        )
    assert read.settings == plan.settings
    assert read.metadata == plan.metadata
    # Whether something was given decides what is taken over from the start.
    assert read.metadata.model_fields_set == plan.metadata.model_fields_set
    np.testing.assert_array_equal(read.keep[0], plan.keep[0])
    assert (read.device, read.description, read.layers) == ("cpu", plan.description, ("a",))
    assert read.start is not None
    assert read.start.parent == run.folder
    load_network(read.start)


def test_only_runs_that_are_not_over_are_offered_the_newest_first(
    tmp_path: Path, plan: RunPlan
) -> None:
    assert kept_runs(tmp_path / "nowhere") == []
    first, second, third = (KeptRun.begin(tmp_path, replace(plan, start=None)) for _ in range(3))
    (tmp_path / "not a run").mkdir()
    first.discard()
    assert not first.folder.exists()
    assert kept_runs(tmp_path) == [third, second]
    third.end(third.folder / "new.pea.safetensors")
    assert third.model_path == third.folder / "new.pea.safetensors"
    assert kept_runs(tmp_path) == [third, second], "its model was not saved yet"
    third.put_away()
    assert kept_runs(tmp_path) == [second]
    assert second.model_path is None


def test_a_run_under_way_is_not_gone_on_with(tmp_path: Path, plan: RunPlan) -> None:
    run = KeptRun.begin(tmp_path, plan)
    with run.held():
        assert kept_runs(tmp_path) == []
        with pytest.raises(InputError, match="under way elsewhere"), run.held():
            pass
    assert kept_runs(tmp_path) == [run]
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HOLD, run.folder], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert kept_runs(tmp_path) == []
    process.kill()
    process.communicate()
    assert kept_runs(tmp_path) == [run], "a killed program holds nothing"


def test_a_full_disk_is_told_and_leaves_no_half_of_a_run(
    tmp_path: Path, plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(runs.shutil, "copyfile", full)
    with pytest.raises(InputError, match=r"No space left on device.*make room"):
        KeptRun.begin(tmp_path, plan)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_is_told(tmp_path: Path, plan: RunPlan) -> None:
    run = KeptRun.begin(tmp_path, plan)
    (run.folder / runs.IMAGES_NAME).write_bytes(b"PK no archive")
    with pytest.raises(InputError, match="damaged"):
        run.plan()
    (run.folder / runs.PLAN_NAME).write_text("{")
    with pytest.raises(InputError, match="damaged"):
        run.plan()
