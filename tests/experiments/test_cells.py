from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.draw import disk
from skimage.io import imsave

from napari_pea.experiments import benchmark_sparse, cells
from napari_pea.experiments.benchmark_sparse import JSON_NAME, MARKDOWN_NAME, measure_sparse
from napari_pea.experiments.sparse_arms import Arm, Outcome, painted_images
from napari_pea.models.catalogue import load_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training images and a validation image with large discs."""
    root = tmp_path_factory.mktemp("data")
    save_nuclei(root / "bbbc039")
    folder = root / "usiigaci"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        labels = np.zeros((192, 224), np.uint16)
        for number in range(12):
            y, x = divmod(number, 4)
            labels[disk((32 + 62 * y, 30 + 54 * x), rng.integers(24, 27))] = number + 1
        image = (3000 + 9000 * (labels > 0) + rng.normal(0, 600, labels.shape)).astype(np.uint16)
        for part, array in (("images", image), ("labels", labels)):
            imsave(folder / part / f"{seed}.png", array, check_contrast=False)
    (folder / "training.txt").write_text("0.png\n1.png\n")
    (folder / "validation.txt").write_text("2.png\n")
    return root


def save_nuclei(folder: Path) -> None:
    """Write a validation image with nuclei of usual size."""
    labels = np.zeros((96, 128), np.uint16)
    for number in range(6):
        y, x = divmod(number, 3)
        labels[disk((24 + 45 * y, 22 + 40 * x), 12)] = number + 1
    for part, array in (("images", 300 + 2000 * (labels > 0)), ("labels", labels)):
        (folder / part).mkdir(parents=True)
        imsave(folder / part / "0.png", array.astype(np.uint16), check_contrast=False)
    (folder / "validation.txt").write_text("0.png\n")


def test_the_recipe_makes_a_model_with_settings_and_scores(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = cells.SETTINGS.updated(iterations=2, batch_size=1, crop=32, validate_every=2)
    monkeypatch.setattr(cells, "SETTINGS", short)
    monkeypatch.setattr(cells, "CHOICES", {"min_size": (50, 5000)})
    recipe = cells.recipe(data)
    path = recipe.train(tmp_path / "run", device="cpu")
    trial = recipe.tune(tmp_path / "run", device="cpu")
    metadata = load_model(path, "cpu").metadata
    assert (metadata.name, metadata.parent, metadata.scale) == ("cells", "nuclei", 0.5)
    assert metadata.recommended == trial.settings
    assert metadata.scores["usiigaci, validation"]["aji"] == pytest.approx(trial.value, abs=1e-3)
    # In pixels of the images, not of what the network sees.
    assert metadata.object_diameter == pytest.approx(50, abs=3)
    assert path.stat().st_size < 10e6


ARMS = (
    Arm("untrained", "no training", trained=False),
    Arm("dense", "all"),
    Arm("painted-6", "six", 6),
    Arm("painted-6-kept", "six, keeping", 6, keep=True),
    Arm("new-6", "six, from nothing", 6, None),
)


def measure(data: Path, folder: Path, **changes: int) -> list[Outcome]:
    shared = {"batch_size": 1, "crop": 32, **changes}
    return measure_sparse(data, folder, minutes=1e-3, arms=ARMS, **shared)


def test_the_sparse_benchmark_compares_its_arms_and_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = measure(data, tmp_path)
    assert [outcome.arm for outcome in outcomes] == [arm.name for arm in ARMS]
    first, *others = [outcome.iterations for outcome in outcomes]
    assert first == 0
    assert len(set(others)) == 1
    assert others[0] >= 1
    assert len({outcome.scores["ap50"] for outcome in outcomes}) > 1
    # What the start can do is asked of those that have one.
    assert [bool(outcome.known) for outcome in outcomes] == [True] * 4 + [False]
    assert outcomes[0].known["aji"] > 0.9
    # Large objects are shrunk to the size of those of `nuclei`.
    assert all(outcome.scale == pytest.approx(0.53, abs=0.1) for outcome in outcomes)
    table = (tmp_path / MARKDOWN_NAME).read_text()
    assert all(f"| {arm.title} |" in table for arm in ARMS)
    assert "100%" in table
    written = (tmp_path / JSON_NAME).read_text()

    monkeypatch.setattr(benchmark_sparse, "train_model", None)  # nothing is trained again
    assert measure(data, tmp_path) == outcomes
    assert (tmp_path / JSON_NAME).read_text() == written
    with pytest.raises(ValueError, match="holds a run with other settings"):
        measure(data, tmp_path, crop=48)
    with pytest.raises(ValueError, match=r"holds a benchmark with 0\.001 minutes"):
        measure_sparse(data, tmp_path, minutes=5)


def test_paint_of_an_arm_is_sparse(data: Path) -> None:
    images = cells.usiigaci_images(data, "training")
    assert painted_images(images, None, 1) == images
    painted = painted_images(images, 5, 1)
    assert sum(len(np.unique(item.labels)) - 1 for item in painted) == 5
    assert all(item.zero == "not-annotated" for item in painted)
