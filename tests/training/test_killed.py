"""A run that is killed at any moment goes on, and never leaves a model that does not load."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from napari_pea.models.package import SUFFIX, load_network
from napari_pea.training.checkpoint import CHECKPOINT_NAME, Checkpoint

PROGRAM = """
import sys
from pathlib import Path

import numpy as np

from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.checkpoint import CHECKPOINT_NAME
from napari_pea.training.history import History
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.session import train_model
from napari_pea.training.settings import ObjectiveSettings, TrainingSettings

History.save_picture = lambda self, path: None
folder = Path(sys.argv[1])
labels = np.zeros((64, 64), int)
labels[8:24, 8:24], labels[8:24, 30:50], labels[34:60, 8:30] = 1, 2, 3
image = np.random.default_rng(0).normal(0, 1, labels.shape) + 9 * (labels > 0)
settings = TrainingSettings(
    iterations=int(sys.argv[2]),
    batch_size=1,
    crop=16,
    validate_every=2,
    checkpoint_every=1,
    objective=ObjectiveSettings(ranges=(1,), cross_weight=0, pyramid_weight=0),
)
model = ModelMetadata(name="m", architecture="resunet2d", arguments={"widths": (4,) * 5})
print("ready", flush=True)
train_model(
    [LabelledImage(image, labels, zero="not-annotated")],
    (),
    model,
    settings,
    folder,
    resume=(folder / CHECKPOINT_NAME).exists(),
    device="cpu",
)
print("done", flush=True)
"""
KILLS = 4


def test_a_run_that_is_killed_goes_on_and_leaves_no_broken_file(tmp_path: Path) -> None:
    program, folder = tmp_path / "program.py", tmp_path / "run"
    program.write_text(PROGRAM)
    draw = random.Random(3)  # noqa: S311 - moments, not secrets
    reached = [0]
    for _ in range(KILLS):
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, program, folder, "1000000"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        # Killed while it trains, validates and writes: every step saves something.
        while not (folder / CHECKPOINT_NAME).exists() or (
            Checkpoint.load(folder).iteration <= reached[-1]
        ):
            assert process.poll() is None, "the run did not go on"
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.3))
        process.kill()
        process.communicate()
        checkpoint = Checkpoint.load(folder)
        assert checkpoint.iteration > reached[-1]
        reached.append(checkpoint.iteration)
        for path in folder.glob(f"*{SUFFIX}"):
            if not path.name.startswith("."):
                network, _ = load_network(path)
                assert all(
                    np.isfinite(value.numpy()).all() for value in network.state_dict().values()
                )
    assert (folder / f"m{SUFFIX}").exists() or reached[-1] < 2
