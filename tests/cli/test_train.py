from __future__ import annotations

import json
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

import napari_pea
from napari_pea.cli.train_files import split
from napari_pea.cli.train_settings import SETTINGS, Setting
from napari_pea.core.errors import InputError
from napari_pea.io import write_labels
from napari_pea.models.package import read_metadata
from napari_pea.training import session
from napari_pea.training.settings import TrainingSettings

if TYPE_CHECKING:
    from typer.testing import Result

Run = Callable[..., "Result"]
Fails = Callable[..., str]

#: A run that is over in a moment.
SHORT = ["--widths", "4,4,4,4,4", "--iterations", 2, "--batch-size", 1, "--crop", 32]
SHORT += ["--cross-weight", 0, "--ranges", "1,3", "--validate-every", 2, "--device", "cpu"]

PAIRS = [(Path(f"images/{letter}.png"), Path(f"labels/{letter}.tif")) for letter in "abcdefghij"]


def test_two_folders_become_a_model(run: Run, disks: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run("train", *disks, "-o", folder, "--name", "disks", "--hold-out", 0.25, *SHORT)
    assert result.exit_code == 0, result.output
    path = folder / "disks.pea.safetensors"
    assert f"{path}: trained in" in result.stdout
    assert "on 3 images" in result.stdout
    metadata = read_metadata(path)
    assert metadata.name == "disks"
    assert metadata.training_ranges == (1, 3)
    assert metadata.recommended.ranges == (1, 3)
    assert metadata.training["iterations"] == 2
    assert f"aji {metadata.scores['validation']['aji']:.4f}" in result.stdout
    assert {"checkpoint.pt", "log.csv", "curves.png"} < {entry.name for entry in folder.iterdir()}
    image = np.load(disks[0] / "disks0.npy")
    assert napari_pea.segment(image, path).labels.shape == image.shape


def test_going_on_from_a_model(
    run: Run, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    short = SHORT[2:]
    command = ["train", *disks, "-o", tmp_path / "run", "--start", tiny_model_path, "--json"]
    result = run(*command, *short)
    assert result.exit_code == 0, result.output
    metadata = read_metadata(Path(json.loads(result.stdout)["model"]))
    assert metadata.parent == "tiny"
    assert metadata.recommended == read_metadata(tiny_model_path).recommended


#: A value other than the default for every setting that has an option.
OTHER_VALUES: dict[str, list[object]] = {
    "ranges": ["1,4"],
    "pyramid_ranges": ["2,1,1,1"],
    "scale": [0.5, 2.5],
    "optimizer": ["paper"],
    "schedule": ["constant"],
    "connectivity": [8],
    "crop": [64],
    "cross_weight": [0.5],
    "distant_pairs": [100],
    "background_pairs": ["apart"],
    "missing_probability": [0.2],
    "shift_probability": [0.2],
}


@pytest.mark.parametrize("known", SETTINGS, ids=lambda known: known.name)
def test_every_option_changes_its_setting(
    run: Run, disks: tuple[Path, Path], tmp_path: Path, monkeypatch: Any, known: Setting
) -> None:
    seen: list[TrainingSettings] = []

    def stop(*arguments: Any, **options: Any) -> None:
        seen.append(arguments[3])
        raise InputError("Enough.")

    monkeypatch.setattr(session, "train_model", stop)
    default = getattr(*home(TrainingSettings(), known.name))
    flag = known.flag
    if isinstance(default, bool):
        flag, typed = flag.replace("--", "--no-" if default else "--"), []
    elif known.name in OTHER_VALUES:
        typed = OTHER_VALUES[known.name]
    else:
        typed = [default / 2 if known.kind is float else default + 1]
    run("train", *disks, "-o", tmp_path / "run", flag, *typed)
    found = getattr(*home(seen[0], known.name))
    assert found != default
    assert type(found) is type(default)
    assert seen[0].updated(**{known.name: default}) == TrainingSettings()


def home(settings: TrainingSettings, name: str) -> tuple[object, str]:
    """Return the settings object that has a setting, and its name."""
    parts = (settings, settings.objective, settings.augmentation)
    return next(part for part in parts if hasattr(part, name)), name


def test_help_shows_defaults_below_their_headings(run: Run) -> None:
    basic, rest = run("train", "-h").stdout.split("Method:")
    method, augmentation = rest.split("Augmentation:")
    assert f"[default: {TrainingSettings().iterations}]" in " ".join(basic.split())
    assert "--ema-decay" not in basic
    assert f"[default: {TrainingSettings().ema_decay}]" in " ".join(method.split())
    assert "--balance-classes / --no-balance-classes" in method
    assert "[default: 0.8 1.25]" in " ".join(augmentation.split())


def test_the_network_can_be_that_of_the_paper(
    run: Run, disks: tuple[Path, Path], tmp_path: Path
) -> None:
    flags = ["--align-corners", "--no-full-resolution-skip"]
    result = run("train", *disks, "-o", tmp_path / "run", *SHORT, *flags)
    assert result.exit_code == 0, result.output
    arguments = read_metadata(tmp_path / "run" / "my-model.pea.safetensors").arguments
    assert arguments["align_corners"] is True
    assert arguments["full_resolution_skip"] is False


def test_interrupted_run_is_saved_and_goes_on(
    run: Run, fails: Fails, disks: tuple[Path, Path], tmp_path: Path, monkeypatch: Any
) -> None:
    from napari_pea.training.trainer import Trainer

    step = Trainer._step

    def interrupted(trainer: Trainer) -> dict[str, float]:
        signal.raise_signal(signal.SIGINT)
        return step(trainer)

    folder = tmp_path / "run"
    command = ["train", *disks, "-o", folder, *SHORT]
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", interrupted)
        result = run(*command)
    assert result.exit_code == 130
    assert f"the run is saved in {folder}" in result.stderr
    assert "--resume" in result.stderr
    assert not (folder / "my-model.pea.safetensors").exists()
    assert "already holds a training run" in fails(*command)
    result = run(*command, "--resume")
    assert result.exit_code == 0, result.output
    assert (folder / "my-model.pea.safetensors").exists()


def test_specks_can_be_left_out_and_a_channel_chosen(
    run: Run, fails: Fails, tmp_path: Path
) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    ids = np.zeros((32, 32), dtype=int)
    ids[4:8, 4:8] = 1
    plane = np.random.default_rng(0).normal(size=ids.shape)
    np.save(images / "a.npy", np.stack([plane, plane, plane], axis=-1))
    write_labels(labels / "a.tif", ids)
    command = ["train", images, labels, "-o", tmp_path / "run", "--hold-out", 0, *SHORT]
    assert "No object is labelled" in fails(*command, "--smallest", 17)
    assert "a.npy: The image has" in fails(*command, "--channel", 3)
    assert run(*command, "--smallest", 16).exit_code == 0


@pytest.mark.parametrize(
    ("shape", "axes", "options", "channels"),
    [
        ((2, 48, 48), "CYX", [], 2),
        ((2, 48, 48), "CYX", ["--channel", 1], 1),
        ((48, 48, 3), "YXS", [], 1),
        ((48, 48, 3), "YXS", ["--channels", "all"], 3),
    ],
)
def test_channels_are_those_of_the_file(
    run: Run,
    tmp_path: Path,
    shape: tuple[int, ...],
    axes: str,
    options: list[object],
    channels: int,
) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    ids = np.zeros((48, 48), dtype=np.uint8)
    ids[10:30, 10:30] = 1
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    tifffile.imwrite(
        images / "a.tif",
        pixels,
        photometric="rgb" if axes == "YXS" else "minisblack",
        metadata={"axes": axes},
        ome=axes == "CYX",
    )
    write_labels(labels / "a.tif", ids)
    result = run("train", images, labels, "-o", tmp_path / "run", "--hold-out", 0, *SHORT, *options)
    assert result.exit_code == 0, result.output
    metadata = read_metadata(tmp_path / "run" / "my-model.pea.safetensors")
    assert metadata.arguments["in_channels"] == channels


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--optimizer", "sgd"], "adamw"),
        (["--schedule", "none"], "one-cycle"),
        (["--precision", "half"], "--precision is one of auto, full, mixed, not 'half'"),
        (["--crop", 50], "crop must be a multiple of 16"),
        (["--iterations", 0], "iterations must be at least 1"),
        (["--ranges", "0"], "Every range is a whole number"),
        (["--ranges", "x"], "--ranges takes whole numbers"),
        (["--widths", "1,2"], "--widths are five numbers"),
        (["--widths", "4,4,4,4,4", "--start", "nuclei"], "leave --widths out"),
        (["--no-align-corners", "--start", "nuclei"], "leave --align-corners out"),
        (["--pyramid-ranges", "1;2"], "--pyramid-ranges takes whole numbers"),
        (["--noise-probability", 2], "noise_probability lies between 0 and 1"),
        (["--start", "elephants"], "There is no model 'elephants'"),
        (["--name", "a/b"], "cannot be called 'a/b'"),
        (["--channels", "some"], "--channels is one of all, not 'some'"),
        (["--channels", "all", "--channel", 0], "--channel and --channels cannot both be given"),
        (["--hold-out", 1], "--hold-out lies between 0 and 1"),
        (["--training", "no.txt"], "The list no.txt cannot be read"),
    ],
)
def test_wrong_options_are_refused_before_any_work(
    fails: Fails, disks: tuple[Path, Path], tmp_path: Path, options: list[object], sentence: str
) -> None:
    assert sentence in fails("train", *disks, "-o", tmp_path / "run", *options)
    assert not (tmp_path / "run").exists()


def test_images_without_labels_are_named(fails: Fails, disks: tuple[Path, Path]) -> None:
    images, labels = disks
    (labels / "disks2.tif").unlink()
    assert "as disks2.npy" in fails("train", images, labels, "-o", images / "run")


def test_lists_choose_the_images(tmp_path: Path) -> None:
    training, validation = tmp_path / "training.txt", tmp_path / "validation.txt"
    training.write_text("c.png\n\na\n")
    validation.write_text("b.png\n")
    assert split(PAIRS, training, validation, 0.5) == ([PAIRS[2], PAIRS[0]], [PAIRS[1]])
    assert split(PAIRS, training, None, 0.5) == ([PAIRS[2], PAIRS[0]], [])
    assert split(PAIRS, None, validation, 0.5) == ([PAIRS[0], *PAIRS[2:]], [PAIRS[1]])


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.04, 0), (0.2, 2), (0.5, 5), (0.9, 9)])
def test_share_to_hold_out_is_spread_evenly(share: float, count: int) -> None:
    shown, held_out = split(PAIRS, None, None, share)
    assert len(held_out) == count
    assert sorted(shown + held_out) == PAIRS
    where = [PAIRS.index(pair) for pair in held_out]
    assert all(after - before <= -(-10 // count) for before, after in pairwise(where))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("z.png", r"names z.png, which is not among the images"),
        ("\n", r"is empty: write one file name a line"),
        ("b.png", r"b.png stands in both lists"),
    ],
)
def test_lists_that_do_not_fit_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    training, validation = tmp_path / "training.txt", tmp_path / "validation.txt"
    training.write_text(text)
    validation.write_text("b.png")
    with pytest.raises(InputError, match=sentence):
        split(PAIRS, training, validation, 0)
