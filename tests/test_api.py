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
from napari_pea.core.settings import SegmentationSettings
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.training.control import TrainingHooks
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
    assert model.metadata.arguments == {**TINY.arguments, "in_channels": 1}


def test_a_new_model_takes_over_what_is_known_of_its_start(tmp_path: Path) -> None:
    image, labels = discs(0)
    parent = TINY.model_copy(
        update={
            "recommended": SegmentationSettings(ranges=(1, 4), min_size=7),
            "data": (DataSource(name="stars"),),
            "licence": "CC0",
        }
    )
    few = {"iterations": 1, "batch_size": 1, "crop": 32}
    first = train([image], [labels], folder=tmp_path / "a", model=parent, ranges=(1, 4), **few)
    assert first.metadata.training_ranges == (1, 4)
    start = tmp_path / "a" / "discs.pea.safetensors"
    child = train([image], [labels], start, folder=tmp_path / "b", name="child", **few).metadata
    for name in ("recommended", "data", "licence", "training_ranges"):
        assert getattr(child, name) == getattr(first.metadata, name)
    said = ModelMetadata(name="said", architecture="resunet2d", licence="MIT")
    other = train(
        [image], [labels], start, folder=tmp_path / "c", model=said, ranges=(1, 2), **few
    ).metadata
    assert (other.licence, other.training_ranges) == ("MIT", (1, 2))


def test_from_nothing_the_trained_ranges_are_recommended(tmp_path: Path) -> None:
    image, labels = discs(0)
    model = train(
        [image], [labels], folder=tmp_path, model=TINY, settings=QUICK, iterations=1, ranges=[1, 2]
    )
    assert model.metadata.recommended.ranges == (1, 2)


def test_images_with_channels_are_trained_and_segmented(tmp_path: Path) -> None:
    image, labels = discs(0)
    pair = np.stack([image, image[::-1]])
    model = train(
        [pair],
        [labels],
        folder=tmp_path,
        model=TINY,
        settings=QUICK,
        iterations=1,
        channel_axis=0,
        validation=([pair], [labels]),
    )
    assert model.network.in_channels == 2
    assert model.metadata.arguments["in_channels"] == 2
    assert segment(pair, model, channel_axis=0).labels.shape == labels.shape


@pytest.mark.parametrize(("axis", "channels"), [(None, 1), (-1, 3)])
def test_colours_are_kept_only_if_asked_for(
    tmp_path: Path, axis: int | None, channels: int
) -> None:
    image, labels = discs(0)
    colours = np.stack([image, image // 2, image], axis=-1)
    model = train(
        [colours],
        [labels],
        folder=tmp_path,
        model=TINY,
        settings=QUICK,
        iterations=1,
        channel_axis=axis,
    )
    assert model.network.in_channels == channels


def test_lists_and_large_ids_can_be_trained_on(tmp_path: Path) -> None:
    image, labels = discs(0)
    # Multiples of 2^32 are 0 in 32 bits.
    large = labels.astype(np.int64) * 2**32
    model = train(
        [image.tolist()],
        [large.tolist()],
        folder=tmp_path,
        model=TINY,
        settings=QUICK,
        iterations=1,
    )
    assert model.metadata.object_diameter == pytest.approx(22, abs=1.5)


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
        ([discs(0)[0]], [-discs(0)[1].astype(int)], "image 1: Labels cannot be negative"),
        ([[[1, 2], [3]]], [discs(0)[1]], "image 1: An image needs rows of the same length"),
    ],
)
def test_unusable_training_data_get_one_sentence(images, labels, sentence, tmp_path) -> None:
    with pytest.raises(InputError, match=sentence):
        train(images, labels, folder=tmp_path, model=TINY, settings=QUICK)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"iteration": 5}, "no setting 'iteration'; the settings are iterations, .*cross_weight"),
        ({"iterations": "many"}, "iterations must be a whole number, not 'many'"),
        ({"iterations": True}, "iterations must be a whole number, not True"),
        ({"learning_rate": None}, "learning_rate must be a number, not None"),
        ({"cross_weight": "0"}, "cross_weight must be a number, not '0'"),
        ({"detach_cross": 2}, "detach_cross must be True or False, not 2"),
        ({"ranges": 3}, "ranges must be a list of whole numbers"),
        ({"objective": {}}, "objective must be ObjectiveSettings"),
        ({"channel_axis": 5}, "there is no axis 5|has 3 axes"),
        ({"name": "a/b"}, "cannot be called 'a/b'"),
        ({"name": " "}, "cannot be called ' '"),
    ],
)
def test_unusable_arguments_get_one_sentence(tmp_path: Path, changes, sentence: str) -> None:
    image, labels = discs(0)
    with pytest.raises(InputError, match=sentence):
        train([image], [labels], folder=tmp_path, **changes)
    assert not list(tmp_path.iterdir())


def test_a_few_painted_objects_are_enough(tmp_path: Path) -> None:
    image, labels = discs(0)
    painted = np.where(labels <= 3, labels, 0)
    background = np.zeros(labels.shape, bool)
    background[:, :3] = labels[:, :3] == 0
    notes, rows, seen, phases = [], [], [], []

    def preview(model: napari_pea.Model, iteration: int) -> None:
        seen.append((iteration, model.embed(image).shape))

    settings = replace(QUICK, iterations=2, validate_every=2, hold_out=0.2)
    model = train(
        [image, image],
        [painted, painted],
        folder=tmp_path,
        model=TINY,
        settings=settings,
        sparse=True,
        background=[background, None],
        image_scale=0.5,
        hooks=TrainingHooks(
            on_status=lambda status: phases.append(status.phase),
            on_row=rows.append,
            preview_seconds=0,
        ),
        preview=preview,
        notify=notes.append,
    )
    assert model.metadata.scale == 0.5
    assert model.embed(image).shape == image.shape
    assert set(model.metadata.scores["validation"]) == {"aji", "aji_error", "ap50"}
    assert rows[-1]["aji"] == pytest.approx(model.metadata.scores["validation"]["aji"], abs=1e-4)
    assert not notes
    assert seen == [(1, image.shape), (2, image.shape)]
    assert list(dict.fromkeys(phases)) == ["preparing", "training", "validating", "finished"]
    with pytest.raises(InputError, match="got 1 images and 2 masks of background"):
        train([image], [painted], folder=tmp_path, background=[None, None])
    with pytest.raises(InputError, match="nothing to keep"):
        train([image], [painted], folder=tmp_path / "new", keep=True)


def test_a_single_stroke_is_told_of_and_trains(tmp_path: Path) -> None:
    image, labels = discs(0)
    painted = np.zeros_like(labels)
    painted[40:45, 40:44] = 1
    notes = []
    train(
        [image],
        [painted],
        folder=tmp_path,
        model=TINY,
        settings=replace(QUICK, iterations=2, hold_out=0.2),
        sparse=True,
        whole_objects=False,
        notify=notes.append,
    )
    codes = [notice.code for notice in notes]
    assert codes == ["no-differing-pairs", "no-background", "no-validation"]


def test_a_single_pixel_is_too_little(tmp_path: Path) -> None:
    image, labels = discs(0)
    painted = np.zeros_like(labels)
    painted[40, 40] = 1
    with pytest.raises(InputError, match="largest painted object has 1 pixel"):
        train([image], [painted], folder=tmp_path, model=TINY, settings=QUICK, sparse=True)


def test_settings_of_the_objective_are_put_in_their_place() -> None:
    settings = QUICK.updated(cross_weight=0, crop=np.int64(32))
    assert settings.objective == replace(QUICK.objective, cross_weight=0.0)
    assert (type(settings.crop), settings.crop) == (int, 32)
    assert settings.seed == QUICK.seed


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [("file", "is a file: choose a folder"), ("file/run", "cannot be written to")],
)
def test_a_folder_that_cannot_be_used_is_told_before_training(
    tmp_path: Path, folder: str, sentence: str
) -> None:
    (tmp_path / "file").write_text("precious")
    image, labels = discs(0)
    done = []
    with pytest.raises(InputError, match=sentence):
        train(
            [image],
            [labels],
            folder=tmp_path / folder,
            model=TINY,
            settings=QUICK,
            progress=lambda *step: done.append(step),
        )
    assert not done
    assert (tmp_path / "file").read_text() == "precious"


def test_a_finished_run_whose_model_is_gone_gives_it_again(tmp_path: Path) -> None:
    image, labels = discs(0)
    settings = replace(QUICK, iterations=2)

    def go(*, resume: bool) -> napari_pea.Model:
        return train(
            [image], [labels], folder=tmp_path, model=TINY, settings=settings, resume=resume
        )

    before = go(resume=False).network.state_dict()
    (tmp_path / "discs.pea.safetensors").unlink()
    after = go(resume=True).network.state_dict()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name].cpu(), value.cpu())


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
