from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.draw import disk
from skimage.io import imsave

from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments import nuclei, tuning
from napari_pea.experiments.tuning import score, tune
from napari_pea.models.catalogue import load_model
from napari_pea.training.settings import ObjectiveSettings, TrainingSettings

CHOICES = {"ranges": ((1, 3), (1, 3, 5)), "min_size": (5, 400)}


def save_pair(folder: Path, name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros((64, 80), dtype=np.uint16)
    for number, centre in enumerate([(15, 15), (15, 38), (45, 30), (45, 60)], start=1):
        labels[disk(centre, 10)] = number
    labels[60:63, 76:79] = 9  # a speck
    image = (200 + 900 * (labels > 0) + rng.normal(0, 50, labels.shape)).astype(np.uint16)
    for part, data in (("images", image), ("labels", labels)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        imsave(folder / part / name, data, check_contrast=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    rows = ["id,height,width,kind,n_instances,split"]
    for seed, split in enumerate(("training", "validation")):
        save_pair(root / "bbbc039", f"{split}.png", seed)
        (root / "bbbc039" / f"{split}.txt").write_text(f"{split}.png\n")
        save_pair(root / "dsb2018", f"{split}.png", seed + 2)
        rows.append(f"{split},64,80,fluo,4,{split}")
    (root / "dsb2018" / "index.csv").write_text("\n".join(rows))
    return root


@pytest.fixture
def small_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {**nuclei.MODEL.arguments, "widths": (4, 4, 8, 8, 8)}
    monkeypatch.setattr(nuclei, "MODEL", nuclei.MODEL.model_copy(update={"arguments": arguments}))
    settings = TrainingSettings(
        iterations=4,
        batch_size=1,
        crop=64,
        validate_every=2,
        objective=ObjectiveSettings(ranges=(1, 3), cross_weight=0),
    )
    monkeypatch.setattr(nuclei, "SETTINGS", settings)
    monkeypatch.setattr(tuning, "CHOICES", CHOICES)


@pytest.mark.usefixtures("small_recipe")
def test_the_recipe_makes_a_model_with_settings_and_scores(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    recipe = nuclei.recipe(data)
    path = recipe.train(run, device="cpu")
    trial = recipe.tune(run, device="cpu")
    metadata = load_model(path, "cpu").metadata
    assert metadata.recommended == trial.settings
    assert set(metadata.scores) == {"bbbc039, validation", "dsb2018, validation"}
    for group in ("bbbc039", "dsb2018"):
        recorded = metadata.scores[f"{group}, validation"]["aji"]
        assert recorded == pytest.approx(trial.scores[group]["aji"], abs=1e-3)
    # Started again on a finished run, nothing is trained anew.
    assert recipe.train(run, device="cpu") == path


def test_specks_of_bbbc039_are_removed_and_those_of_dsb2018_kept(data: Path) -> None:
    by_group = {item.group: item for item in nuclei.validation_images(data)}
    assert 9 not in by_group["bbbc039"].labels
    assert 9 in by_group["dsb2018"].labels


def test_tuning_keeps_the_best_of_each_setting(data: Path) -> None:
    model = load_model("nuclei", "cpu")
    images = nuclei.validation_images(data)
    trials = tune(model, images, SegmentationSettings(), CHOICES)
    assert [trial.value for trial in trials] == sorted(
        (trial.value for trial in trials), reverse=True
    )
    # No object has 400 pixels.
    assert trials[0].settings.min_size < 400
    scores = score(model, images, trials[0].settings)
    assert scores["bbbc039"]["aji"] == pytest.approx(trials[0].scores["bbbc039"]["aji"])
    assert scores["bbbc039"]["aji"] > 0.8


def test_errors_are_tuned_towards_zero(data: Path) -> None:
    model = load_model("nuclei", "cpu")
    images = nuclei.validation_images(data)
    trials = tune(model, images, SegmentationSettings(), {"min_size": (5, 400)}, "cremi")
    means = [np.mean([group["cremi"] for group in trial.scores.values()]) for trial in trials]
    assert means == sorted(means)
    assert trials[0].settings.min_size == 5
