from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.draw import disk
from typer.testing import CliRunner

from napari_pea.cli import app
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.experiments import ablation, nuclei
from napari_pea.experiments.ablation import NUCLEI_ARMS, markdown, write_tables
from napari_pea.experiments.arms import Arm, Outcome, compare
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import read_metadata
from napari_pea.training.history import History
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.settings import TrainingSettings

MODEL = ModelMetadata(name="small", architecture="resunet2d", arguments={"widths": (4, 4, 4, 4, 4)})
SETTINGS = TrainingSettings(iterations=3, batch_size=1, crop=32).updated(
    ranges=(1, 3), cross_weight=0
)
ARMS = (
    Arm("plain", "as it is"),
    Arm("cross", "with CCM", {"cross_weight": 1.0, "detach_cross": False}),
    Arm("skip", "with a skip", arguments={"full_resolution_skip": True}),
)


def labelled(seed: int, group: str = "") -> LabelledImage:
    rng = np.random.default_rng(seed)
    labels = np.zeros((48, 48), dtype=np.uint8)
    for number, centre in enumerate([(12, 12), (12, 35), (35, 20)], start=1):
        labels[disk(centre, 8)] = number
    return LabelledImage(100 * (labels > 0) + rng.normal(size=labels.shape), labels, group=group)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than training here."""
    monkeypatch.setattr(History, "save_picture", lambda self, path: None)


def run(folder: Path, **options: Any) -> list[Outcome]:
    options = {
        "arms": ARMS,
        "settings": SETTINGS,
        "training": [labelled(0)],
        "held_out": [labelled(1)],
        **options,
    }
    return compare(
        tell=lambda outcomes: write_tables(outcomes, options["settings"], folder),
        model=MODEL,
        folder=folder,
        device="cpu",
        **options,
    )


def test_every_arm_differs_in_what_it_names(tmp_path: Path) -> None:
    outcomes = run(tmp_path)
    assert [outcome.arm for outcome in outcomes] == ["plain", "cross", "skip"]
    assert {outcome.seed for outcome in outcomes} == {SETTINGS.seed}
    plain, cross, skip = (
        read_metadata(tmp_path / f"{arm.name}-{SETTINGS.seed}" / "small.pea.safetensors")
        for arm in ARMS
    )
    objective = plain.training["objective"]
    assert cross.training["objective"] == objective | {"cross_weight": 1.0, "detach_cross": False}
    assert skip.training["objective"] == objective
    assert skip.arguments == plain.arguments | {"full_resolution_skip": True}
    # What is scored is the last version, of which nothing was chosen.
    assert plain.training["best_iteration"] == SETTINGS.iterations
    assert all(outcome.seconds is not None and outcome.seconds > 0 for outcome in outcomes)


def test_the_tables_tell_the_outcomes(tmp_path: Path) -> None:
    outcomes = run(tmp_path, arms=ARMS[:2], seeds=2)
    stored = json.loads((tmp_path / "ablation.json").read_text())
    assert [Outcome(**entry) for entry in stored] == outcomes
    assert [entry["seed"] for entry in stored] == [555, 555, 556, 556]
    text = (tmp_path / "ablation.md").read_text()
    assert "3 steps of 1 crops of 32×32 pixels" in text
    assert "| with CCM | 2 |" in text


def outcome(arm: str, seed: int, aji: float) -> Outcome:
    scores = {"aji": aji, "pq": 0.5, "dice": 0.75, "ap50": 0.25}
    counts = {"n_images": 5.0, "n_empty_truth": 1.0}
    return Outcome(arm, f"title of {arm}", seed, 3, 10.0 * seed, scores | counts)


def test_differences_are_taken_between_runs_of_one_seed() -> None:
    outcomes = [outcome("a", 1, 0.5), outcome("b", 1, 0.6), outcome("a", 2, 0.9)]
    text = markdown([*outcomes, replace(outcome("c", 2, 0.1), seconds=None)], SETTINGS)
    assert "scored on 5 images" in text
    assert "| title of a | 2 | 0.7000 |  | 0.5000 | 0.7500 | 0.2500 | 15 s |" in text
    assert "| title of b | 1 | 0.6000 | +0.1000 | 0.5000 | 0.7500 | 0.2500 | 10 s |" in text
    assert "| title of c | 1 | 0.1000 | -0.8000 | 0.5000 | 0.7500 | 0.2500 | not known |" in text


@pytest.mark.parametrize("stop", [1, 4])
def test_a_comparison_goes_on_where_it_stopped(tmp_path: Path, stop: int) -> None:
    token = CancelToken()

    def interrupt(done: int, total: int) -> None:
        assert total == 9
        if done == stop:
            token.cancel()

    with pytest.raises(Cancelled):
        run(tmp_path / "cut", progress=interrupt, cancel=token)
    seen: list[int] = []
    resumed = run(tmp_path / "cut", progress=lambda done, total: seen.append(done))
    # What was trained is not trained again; a run that is finished counts at once.
    assert seen[0] == {1: 2, 4: 3}[stop]
    assert seen[-1] == 9
    for found, expected in zip(resumed, run(tmp_path / "whole"), strict=True):
        assert found.scores == pytest.approx(expected.scores, abs=1e-3)
    assert run(tmp_path / "cut") == resumed


def test_runs_of_another_comparison_are_not_mixed_in(tmp_path: Path) -> None:
    run(tmp_path, arms=ARMS[:1])
    with pytest.raises(InputError, match=r"plain-555 holds a run with other settings"):
        run(tmp_path, arms=ARMS[:1], settings=SETTINGS.updated(iterations=4))
    wider = replace(ARMS[0], recommended={"min_size": 7})
    with pytest.raises(InputError, match=r"plain-555 holds a run with other settings"):
        run(tmp_path, arms=[wider])
    for changed in ({"training": [labelled(0), labelled(2)]}, {"held_out": [labelled(2)]}):
        with pytest.raises(InputError, match=r"plain-555 holds a run of other images"):
            run(tmp_path, arms=ARMS[:1], **changed)
    record = tmp_path / "plain-555" / "outcome.json"
    record.write_text("{")
    with pytest.raises(InputError, match=r"outcome\.json cannot be read: delete it"):
        run(tmp_path, arms=ARMS[:1])
    with pytest.raises(InputError, match="at least one seed, not 0"):
        run(tmp_path, seeds=0)


def test_records_of_old_tell_less_and_can_be_read(tmp_path: Path) -> None:
    outcomes = run(tmp_path, arms=ARMS[:1])
    path = tmp_path / "plain-555" / "outcome.json"
    record = json.loads(path.read_text())
    for name in ("architecture", "recommended", "training", "held_out"):
        del record[name]
    path.write_text(json.dumps(record))
    assert run(tmp_path, arms=ARMS[:1]) == outcomes


def test_a_run_that_was_stopped_knows_its_images(tmp_path: Path) -> None:
    token = CancelToken()
    with pytest.raises(Cancelled):
        run(tmp_path, progress=lambda done, _: done and token.cancel(), cancel=token)
    with pytest.raises(InputError, match="holds a run of other images"):
        run(tmp_path, training=[labelled(2)])


def test_arms_of_nuclei_change_the_recipe_and_have_names_of_their_own() -> None:
    assert len({arm.name for arm in NUCLEI_ARMS}) == len(NUCLEI_ARMS)
    assert not NUCLEI_ARMS[0].settings
    assert not NUCLEI_ARMS[0].arguments
    for arm in NUCLEI_ARMS[1:]:
        changed = nuclei.SETTINGS.updated(**arm.settings) != nuclei.SETTINGS
        arguments = {**nuclei.MODEL.arguments, **arm.arguments} != nuclei.MODEL.arguments
        assert changed != arguments, arm.name


def test_the_command_prints_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nuclei, "MODEL", MODEL)
    monkeypatch.setattr(nuclei, "SETTINGS", SETTINGS)
    monkeypatch.setattr(nuclei, "training_images", lambda data: [labelled(0)])
    held_out = [labelled(1, "bbbc039"), replace(labelled(2, "dsb2018"), image=np.zeros(1))]
    monkeypatch.setattr(nuclei, "validation_images", lambda data: held_out)
    monkeypatch.setattr(ablation, "NUCLEI_ARMS", ARMS[:1])
    options = ["--data", "data", "-o", str(tmp_path), "--iterations", "2", "--crop", "16"]
    result = CliRunner().invoke(app, ["recipe", "ablation", *options, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert "2 steps of 1 crops of 16×16 pixels for each run" in result.stdout
    assert "scored on 1 images" in result.stdout
