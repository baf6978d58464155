"""Training on volumes, from crops to the kept network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.core.settings import SegmentationSettings
from napari_pea.models.catalogue import load_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.history import History
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.session import train_model
from napari_pea.training.settings import (
    AugmentationSettings,
    ObjectiveSettings,
    TrainingSettings,
)
from napari_pea.training.step import batch_losses
from napari_pea.training.trainer import Trainer

SETTINGS = TrainingSettings(
    iterations=6,
    batch_size=1,
    crop=16,
    crop_depth=8,
    learning_rate=1e-2,
    validate_every=3,
    checkpoint_every=2,
    objective=ObjectiveSettings(
        ranges=(1, 3),
        connectivity=6,
        pyramid_ranges=(1, 1, 1, 1),
        background_pairs="ignored",
        widened=True,
    ),
    augmentation=AugmentationSettings(missing_probability=0.5, shift_probability=0.5),
)
#: A network whose sections lie apart, and one whose axes are alike.
KINDS = {"sections": {}, "like axes": {"isotropic": True, "foreground": True}}
LARGER = replace(SETTINGS, crop=32, crop_depth=16)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(History, "save_picture", lambda self, path: None)


@pytest.fixture
def make_trainer(make_tiny_volume_network, make_balls):
    """Return trainers of the same run, each with a network of its own."""

    def make(settings=SETTINGS, *, seed: int = 0, kind: str = "sections", **options) -> Trainer:
        network = make_tiny_volume_network(seed, **KINDS[kind])
        options.setdefault("validation", [make_balls(10)])
        return Trainer(network, [make_balls(0)], settings, precision="full", **options)

    return make


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        ("sections", replace(SETTINGS, iterations=40, validate_every=10)),
        ("like axes", replace(LARGER, iterations=12, validate_every=6)),
    ],
)
def test_a_short_run_on_volumes_reduces_the_validation_loss(
    make_trainer, kind: str, base: TrainingSettings
) -> None:
    trainer = make_trainer(replace(base, ema_decay=0.5), kind=kind)
    _, losses = trainer.run().column("validation_loss")
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("stop", [1, 4])
def test_a_resumed_run_equals_an_uninterrupted_one(make_trainer, tmp_path: Path, stop: int) -> None:
    whole = make_trainer(folder=tmp_path / "whole")
    whole.run()
    token = CancelToken()

    def interrupt(done: int, total: int) -> None:
        if done == stop:
            token.cancel()

    with pytest.raises(Cancelled):
        make_trainer(folder=tmp_path / "cut").run(progress=interrupt, cancel=token)
    resumed = make_trainer(folder=tmp_path / "cut", seed=99)
    resumed.resume()
    resumed.run()
    expected, found = (trainer.averaged_network.state_dict() for trainer in (whole, resumed))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5, msg=name)


def test_statistics_are_of_use_after_a_short_run(make_trainer) -> None:
    """Outside of training the network finds what it found in it."""
    trainer = make_trainer(replace(SETTINGS, iterations=30, validate_every=30, ema_decay=0.5))
    trainer.run()
    network = trainer.averaged_network
    batch = trainer.loader.batch(3)
    losses = []
    with torch.inference_mode():
        for mode in (network.train, network.eval):
            mode()
            losses.append(batch_losses(network, batch, SETTINGS.objective)["self"].item())
    assert losses[1] < 1.5 * losses[0]


def test_levels_of_volumes_count_the_same(make_trainer) -> None:
    """As the authors' normaliser has it; those of images count less, the coarser they are."""
    trainer = make_trainer()
    batch = trainer.loader.batch(0)
    network = trainer.averaged_network.eval()

    def pyramid(kept: int) -> float:
        """The loss if only one level has pairs that count."""
        levels = tuple(
            level if number == kept else replace(level, weights=torch.zeros_like(level.weights))
            for number, level in enumerate(batch.pyramid)
        )
        with torch.inference_mode():
            losses = batch_losses(network, replace(batch, pyramid=levels), SETTINGS.objective)
        return losses["pyramid"].item()

    whole = batch_losses(network, batch, SETTINGS.objective)["pyramid"].item()
    assert sum(map(pyramid, range(4))) == pytest.approx(whole, rel=1e-4)
    doubled = tuple(replace(level, weights=2 * level.weights) for level in batch.pyramid[3:])
    more = replace(batch, pyramid=(*batch.pyramid[:3], *doubled))
    again = batch_losses(network, more, SETTINGS.objective)["pyramid"].item()
    assert again - whole == pytest.approx(pyramid(3), rel=1e-3)


def test_the_cross_term_trains_on_volumes(make_trainer) -> None:
    objective = replace(SETTINGS.objective, cross_weight=1.0)
    trainer = make_trainer(replace(SETTINGS, iterations=2, objective=objective), validation=[])
    rows = trainer.run().rows
    assert rows[-1]["cross"] > 0


def test_a_model_of_volumes_is_trained_from_images_to_file(make_balls, tmp_path: Path) -> None:
    shown, held_out = (
        LabelledImage(1000 * item.image[0], item.labels) for item in (make_balls(0), make_balls(1))
    )
    model = ModelMetadata(
        name="balls",
        architecture="resunet3d",
        arguments={"widths": (4, 4, 4, 4, 4), "embedding_dim": 4, **KINDS["like axes"]},
        recommended=SegmentationSettings(ranges=(1, 3), min_size=5),
    )
    # What is meant for images holds for volumes too.
    settings = LARGER.updated(iterations=2, connectivity=4)
    path = train_model([shown], [held_out], model, settings, tmp_path, device="cpu")
    made = load_model(path, "cpu")
    assert made.metadata.training["objective"]["connectivity"] == 6
    # Of balls, not of discs as large.
    assert 9 < made.metadata.object_diameter < 17
    assert set(made.metadata.scores["validation"]) >= {"aji", "ap50"}
    assert made.embed(held_out.image).shape == held_out.labels.shape


def test_some_painted_balls_are_enough(make_balls, tmp_path: Path) -> None:
    item = make_balls(0, (24, 48, 48), 12)
    painted = np.where(item.labels % 2 == 1, item.labels, 0)
    image = LabelledImage(1000 * item.image[0], painted, zero="not-annotated")
    model = ModelMetadata(
        name="balls",
        architecture="resunet3d",
        arguments={"widths": (4, 4, 4, 4, 4), "embedding_dim": 4, **KINDS["like axes"]},
    )
    settings = LARGER.updated(iterations=2, hold_out=0.2, distant_pairs=50)
    path = train_model([image], [], model, settings, tmp_path, device="cpu")
    assert "aji" in load_model(path, "cpu").metadata.scores["validation"]


def test_crops_that_do_not_fit_the_network_are_named(make_trainer) -> None:
    with pytest.raises(InputError, match="crop_depth must be a multiple of 16"):
        make_trainer(kind="like axes")
    with pytest.raises(InputError, match="takes 3D images, but connectivity 4 is one of 2D"):
        make_trainer(replace(SETTINGS, objective=ObjectiveSettings()))
