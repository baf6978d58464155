"""Runs that train masks, from labelled images to a model that segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.masks.lattice import MaskLattice
from napari_pea.core.masks.prediction import trained_offsets
from napari_pea.core.progress import CancelToken
from napari_pea.core.segmenter import Segmenter
from napari_pea.core.settings import SegmentationSettings
from napari_pea.models.catalogue import load_model
from napari_pea.models.mask_model import MaskModel
from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.mask_settings import MaskObjective
from napari_pea.training.session import train_model
from napari_pea.training.settings import TrainingSettings

OFFSETS = trained_offsets((MaskLattice((1, 1)), MaskLattice((4, 4))))
TINY = ModelMetadata(
    name="masks",
    architecture="maskunet2d",
    arguments={
        "widths": (8, 8, 8, 8),
        "decoder_widths": (8, 8, 8),
        "dense": (1, 2),
        "code_dim": 8,
        "foreground": True,
        "offsets": OFFSETS,
    },
    recommended=SegmentationSettings(ranges=(1, 4, 8), min_size=4),
)
SETTINGS = TrainingSettings().updated(
    kind="masks",
    iterations=12,
    batch_size=2,
    crop=32,
    validate_every=6,
    ema_decay=0.0,
    ranges=(1, 4, 8),
    masks=MaskObjective(samples=(20, 20, 20, 20), border=1, background="apart"),
)
#: Enough to tell whether a run goes on.
SHORT = SETTINGS.updated(iterations=4, validate_every=2)


@pytest.fixture
def images(make_discs) -> list[LabelledImage]:
    made = (make_discs(seed) for seed in range(3))
    return [LabelledImage(item.image[0], item.labels, f"discs {n}") for n, item in enumerate(made)]


def test_masks_are_learned_scored_and_loaded_again(images, tmp_path: Path) -> None:
    path = train_model(images[:2], images[2:], TINY, SETTINGS, tmp_path)
    rows = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    assert rows["validation_loss"][-1] < rows["validation_loss"][0]
    assert {"dense", "direct", "foreground", "aji"} <= set(rows.dtype.names)
    model = load_model(path)
    assert isinstance(model, MaskModel)
    assert model.metadata.scores["validation"]["aji"] >= 0
    field = model.field(images[2].image)
    assert field.offsets == OFFSETS
    assert field.variances is None
    assert model.field(images[2].image, average=True).variances.shape == field.values.shape
    found = Segmenter(model, images[2].image).segment(ranges=(1, 2, 12), strides=2)
    assert found.labels.shape == images[2].image.shape
    with pytest.raises(InputError, match="range"):
        Segmenter(model, images[2].image).segment(ranges=(1, 5))


def test_a_run_of_masks_goes_on_where_it_stopped(images, tmp_path: Path) -> None:
    whole = train_model(images[:2], (), TINY, SHORT, tmp_path / "whole")
    token = CancelToken()

    def stop(done: int, total: int) -> None:
        if done == 2:
            token.cancel()

    with pytest.raises(Cancelled):
        train_model(images[:2], (), TINY, SHORT, tmp_path / "cut", progress=stop, cancel=token)
    resumed = train_model(images[:2], (), TINY, SHORT, tmp_path / "cut", resume=True)
    fields = [load_model(path).field(images[2].image).values for path in (whole, resumed)]
    np.testing.assert_allclose(*fields, atol=2e-3)


def test_what_goes_on_from_masks_trains_masks_as_before(images, tmp_path: Path) -> None:
    start = train_model(images[:2], (), TINY, SHORT, tmp_path / "first")
    usual = TrainingSettings().updated(iterations=3, batch_size=2, crop=64)
    child = ModelMetadata(name="child", architecture="resunet2d", scale=1.0)
    path = train_model(images[:2], (), child, usual, tmp_path / "second", start=start)
    said = load_model(path).metadata
    assert said.parent == "masks"
    assert said.recommended == TINY.recommended  # masks do not know the usual ranges
    assert said.architecture == "maskunet2d"
    assert said.training["objective"]["kind"] == "masks"
    assert said.training["masks"]["background"] == "apart"


def test_decoders_may_know_masks_beforehand(images, tmp_path: Path) -> None:
    settings = SETTINGS.updated(iterations=1, pretraining=6)
    path = train_model(images[:2], (), TINY, settings, tmp_path / "with")
    plain = train_model(images[:2], (), TINY, settings.updated(pretraining=0), tmp_path / "without")
    one, other = (load_model(file).masks.state_dict() for file in (path, plain))
    changed = {name.split(".")[0] for name in one if not one[name].equal(other[name])}
    assert "decoders" in changed
    assert one["stem.0.weight"].sub(other["stem.0.weight"]).abs().max() < 0.01


def test_networks_learn_what_they_are_made_for(images, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="learns masks, but the objective is 'correlation'"):
        train_model(images, (), TINY, SETTINGS.updated(kind="correlation"), tmp_path)
    plain = ModelMetadata(name="plain", architecture="resunet2d")
    with pytest.raises(InputError, match="learns embeddings, but the objective is 'masks'"):
        train_model(images, (), plain, SETTINGS, tmp_path)


def test_masks_are_of_images_as_they_are(images, tmp_path: Path) -> None:
    resized = TINY.model_copy(update={"scale": 0.5})
    with pytest.raises(InputError, match="image scale of 1"):
        train_model(images, (), resized, SETTINGS, tmp_path)
