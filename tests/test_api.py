from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage.draw import disk

import napari_pea
from napari_pea import InputError, Neighborhood, list_models, load_model, segment, train
from napari_pea.core.errors import Cancelled
from napari_pea.core.progress import CancelToken
from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.settings import TrainingSettings

TINY = ModelMetadata(name="discs", architecture="resunet2d", arguments={"widths": [4, 4, 8, 8, 8]})
QUICK = TrainingSettings(
    iterations=12, batch_size=2, crop=64, validate_every=6, checkpoint_every=3, seed=3
)


def discs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.zeros((80, 96), dtype=np.uint16)
    for number, centre in enumerate([(20, 20), (20, 44), (55, 30), (60, 70)], start=1):
        labels[disk(centre, 11)] = number
    image = 100 + 900 * (labels > 0) + rng.normal(0, 60, labels.shape)
    return image.astype(np.uint16), labels


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "discs"
    image, labels = discs(0)
    held_out = discs(1)
    train(
        [image],
        [labels],
        folder=folder,
        model=TINY,
        settings=QUICK,
        validation=([held_out[0]], [held_out[1]]),
        device="cpu",
    )
    return folder


def test_a_run_leaves_a_model_a_log_and_curves(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names == {"checkpoint.pt", "curves.png", "discs.pea.safetensors", "log.csv"}
    metadata = load_model(run / "discs.pea.safetensors", "cpu").metadata
    assert metadata.object_diameter == pytest.approx(22, abs=1.5)
    assert metadata.training_ranges == QUICK.objective.ranges
    assert set(metadata.scores["validation"]) >= {"aji", "dice", "pq"}
    header = (run / "log.csv").read_text().splitlines()[0]
    assert {"iteration", "loss", "validation_loss", "aji"} <= set(header.split(","))


def test_segmenting_with_the_new_model(run: Path) -> None:
    image, _ = discs(2)
    path = run / "discs.pea.safetensors"
    result = segment(image, path, Neighborhood((1, 3)), device="cpu", min_size=3)
    assert result.labels.shape == image.shape
    assert result.settings.ranges == (1, 3)
    assert result.settings.min_size == 3
    assert len(result.table) == result.labels.max()


def test_a_3d_neighborhood_is_refused_by_a_2d_model(run: Path) -> None:
    with pytest.raises(InputError, match="segments 2D images"):
        segment(discs(2)[0], run / "discs.pea.safetensors", Neighborhood((1, 3), ndim=3))


def test_an_existing_run_is_not_overwritten(run: Path) -> None:
    image, labels = discs(0)
    with pytest.raises(InputError, match="already holds a training run"):
        train([image], [labels], folder=run, model=TINY, settings=QUICK)


def test_training_goes_on_from_a_model(run: Path, tmp_path: Path) -> None:
    image, labels = discs(0)
    start = run / "discs.pea.safetensors"
    model = train(
        [image], [labels], start, folder=tmp_path, name="more", iterations=2, batch_size=1, crop=64
    )
    assert model.metadata.parent == "discs"
    assert model.metadata.arguments == TINY.arguments


def test_an_interrupted_run_ends_like_an_uninterrupted_one(run: Path, tmp_path: Path) -> None:
    image, labels = discs(0)
    held_out = discs(1)
    token = CancelToken()

    def interrupt(done: int, _: int) -> None:
        if done == 7:
            token.cancel()

    def go(*, resume: bool) -> napari_pea.Model:
        return train(
            [image],
            [labels],
            folder=tmp_path,
            model=TINY,
            settings=QUICK,
            validation=([held_out[0]], [held_out[1]]),
            resume=resume,
            device="cpu",
            progress=interrupt,
            cancel=None if resume else token,
        )

    with pytest.raises(Cancelled):
        go(resume=False)
    resumed = go(resume=True).network.state_dict()
    whole = load_model(run / "discs.pea.safetensors", "cpu").network.state_dict()
    for name, value in whole.items():
        np.testing.assert_allclose(resumed[name], value, rtol=2e-2, atol=2e-3)
    assert (tmp_path / "log.csv").read_text() == (run / "log.csv").read_text()


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        ([discs(0)[0]], [np.zeros((80, 96), int)], "No object is labelled"),
        ([discs(0)[0]], [np.ones((80, 90), int)], "they must be the same"),
        ([discs(0)[0]], [], "Every image needs its labels"),
        ([], [], "no training images"),
        ([np.ones((80, 96))], [discs(0)[1]], "image 1: The image is constant"),
        ([discs(0)[0]], [np.ones((80, 96))], "whole numbers"),
    ],
)
def test_unusable_training_data_get_one_sentence(images, labels, sentence, tmp_path) -> None:
    with pytest.raises(InputError, match=sentence):
        train(images, labels, folder=tmp_path, model=TINY, settings=QUICK)
    assert not list(tmp_path.iterdir())


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="multiple of 16"):
        replace(QUICK, crop=50)


def test_public_names_are_complete() -> None:
    for name in napari_pea.__all__:
        assert getattr(napari_pea, name) is not None
    assert set(napari_pea.__all__) <= set(dir(napari_pea))
    assert isinstance(list_models(), list)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = napari_pea.nonsense
