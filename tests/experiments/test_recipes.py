"""The recipes of the shipped models for volumes, made quick."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_pea.experiments import neurons_em, nuclei_3d
from napari_pea.models.catalogue import load_model


def save_volume(path: Path, labels: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    image = 100 + 900 * (labels > 0) * (1 + labels % 3) + rng.normal(0, 50, labels.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, image=image.astype(np.uint16), label=labels.astype(np.uint16))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    blocks = np.zeros((16, 32, 32), int)
    for number, corner in enumerate(np.ndindex(2, 2, 2), start=1):
        z, y, x = np.multiply(corner, (8, 16, 16))
        blocks[z : z + 6, y : y + 12, x : x + 12] = number
    dense = np.ones((16, 32, 32), int)
    dense[:, 16:], dense[:3, :5, :5] = 2, 3
    for split in ("training", "validation"):
        save_volume(tmp_path / "bbbc050" / split / "Emb.npz", blocks)
        save_volume(tmp_path / "flyem" / f"{split}.npz", dense)
    return tmp_path


@pytest.mark.parametrize(
    ("made", "metric"), [(nuclei_3d, "aji"), (neurons_em, "cremi")], ids=["nuclei", "neurons"]
)
def test_the_recipe_makes_a_model_with_settings_and_scores(
    made, metric: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {**made.MODEL.arguments, "widths": (4, 4, 4, 4, 4)}
    monkeypatch.setattr(made, "MODEL", made.MODEL.model_copy(update={"arguments": arguments}))
    short = made.SETTINGS.updated(
        iterations=1, batch_size=1, crop=32, crop_depth=16, validate_every=1
    )
    monkeypatch.setattr(made, "SETTINGS", short)
    monkeypatch.setattr(made, "CHOICES", {"min_size": (5, 50_000)})
    recipe = made.recipe(data)
    path = recipe.train(tmp_path / "run", device="cpu")
    trial = recipe.tune(tmp_path / "run", device="cpu")
    metadata = load_model(path, "cpu").metadata
    assert metadata.recommended == trial.settings
    (scores,) = metadata.scores.values()
    assert scores[metric] == pytest.approx(abs(trial.value), abs=1e-3)
    assert {"ap50", "sbd", "voi_split", "voi_merge", "arand"} <= scores.keys()
    assert metadata.data[0].licence == "CC-BY-3.0"


def test_crumbs_are_neither_learned_from_nor_scored(data: Path) -> None:
    for split in ("training", "validation"):
        assert set(np.unique(neurons_em.volume(data, split).labels)) == {0, 1, 2}
    assert neurons_em.SETTINGS.objective.background_pairs == "ignored"


def test_crowded_volumes_are_drawn_more_often(data: Path) -> None:
    save_volume(data / "bbbc050" / "training" / "one.npz", np.ones((16, 32, 32), int))
    crowd, one = nuclei_3d.volumes(data, "training")
    assert crowd.weight > 2 * one.weight
    assert replace(crowd, weight=1.0).group == one.group == "bbbc050"
