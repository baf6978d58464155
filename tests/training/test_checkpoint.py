from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_pea.core.errors import InputError
from napari_pea.training.checkpoint import CHECKPOINT_NAME, Checkpoint, plain_settings
from napari_pea.training.settings import (
    AugmentationSettings,
    ObjectiveSettings,
    TrainingSettings,
)

SETTINGS = TrainingSettings(iterations=7, crop=64, objective=ObjectiveSettings(ranges=(1, 5)))


@pytest.fixture
def checkpoint() -> Checkpoint:
    return Checkpoint(
        iteration=5,
        settings=plain_settings(SETTINGS),
        network={"weight": torch.arange(6.0).reshape(2, 3)},
        average={"weight": torch.ones(2, 3)},
        optimizer={"state": {0: {"step": torch.tensor(5.0)}}, "param_groups": [{"lr": 0.1}]},
        schedule={"last_epoch": 5},
        best_score=-float("inf"),
        rows=[{"iteration": 4.0, "loss": 2.5}],
        pending=[{"loss": 1.25}],
    )


def test_a_checkpoint_survives_the_disk(tmp_path: Path, checkpoint: Checkpoint) -> None:
    checkpoint.save(tmp_path / "run")
    again = Checkpoint.load(tmp_path / "run")
    torch.testing.assert_close(again.network["weight"], checkpoint.network["weight"])
    for name in ("iteration", "settings", "schedule", "best_score", "rows", "pending"):
        assert getattr(again, name) == getattr(checkpoint, name)
    assert again.optimizer == checkpoint.optimizer
    again.check_settings(SETTINGS)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [CHECKPOINT_NAME]


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no training run to resume in .*nowhere"):
        Checkpoint.load(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["empty", "cut", "garbled", "text", "other"])
def test_a_damaged_checkpoint_is_refused(
    tmp_path: Path, checkpoint: Checkpoint, damage: str
) -> None:
    checkpoint.save(tmp_path)
    path = tmp_path / CHECKPOINT_NAME
    content = path.read_bytes()
    if damage == "other":
        torch.save({"something": "else"}, path)
    else:
        path.write_bytes(
            {
                "empty": b"",
                "cut": content[: len(content) // 2],
                "garbled": content[:200] + bytes(len(content) - 200),
                "text": b"iteration,loss\n1,2\n",
            }[damage]
        )
    with pytest.raises(InputError, match="is damaged; start the run again"):
        Checkpoint.load(tmp_path)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_nothing_in_the_file_is_executed(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    torch.save({"iteration": Trap(sprung)}, tmp_path / CHECKPOINT_NAME)
    with pytest.raises(InputError, match="is damaged"):
        Checkpoint.load(tmp_path)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"learning_rate": 1e-3}, "learning_rate"),
        ({"seed": 1, "crop": 128}, "crop, seed"),
        ({"objective": ObjectiveSettings(ranges=(1, 7))}, "ranges"),
        ({"augmentation": AugmentationSettings(blur=2.0)}, "blur"),
    ],
)
def test_other_settings_are_refused_by_name(
    checkpoint: Checkpoint, changes: dict[str, object], names: str
) -> None:
    with pytest.raises(InputError, match=f"but these differ: {names}."):
        checkpoint.check_settings(replace(SETTINGS, **changes))


def test_a_run_from_before_a_setting_existed_goes_on(checkpoint: Checkpoint) -> None:
    del checkpoint.settings["warmup"]
    del checkpoint.settings["objective"]["symmetric_cross"]
    checkpoint.check_settings(SETTINGS)
    with pytest.raises(InputError, match="but these differ: symmetric_cross"):
        checkpoint.check_settings(SETTINGS.updated(symmetric_cross=True))


def test_another_network_is_refused(checkpoint: Checkpoint) -> None:
    checkpoint.check_network(torch.nn.Linear(3, 2, bias=False))
    with pytest.raises(InputError, match="another architecture"):
        checkpoint.check_network(torch.nn.Linear(3, 3, bias=False))
    with pytest.raises(InputError, match="another architecture"):
        checkpoint.check_network(torch.nn.Linear(3, 2))


def test_settings_become_plain_values() -> None:
    plain = plain_settings(SETTINGS)
    assert plain["objective"]["ranges"] == [1, 5]
    assert plain["augmentation"]["scale"] == [0.8, 1.25]
    assert plain["crop"] == 64
