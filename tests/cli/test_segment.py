from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import Result

import napari_pea
from napari_pea.io import read_image, read_labels
from napari_pea.models import model as model_module

Run = Callable[..., Result]
Fails = Callable[..., str]


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, (48, 64)).astype(np.uint16)


def test_each_image_becomes_a_label_file(
    run: Run, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    images, _ = disks
    out = tmp_path / "out"
    result = run("segment", images, "-o", out, "--model", tiny_model_path)
    assert result.exit_code == 0, result.output
    names = [*(f"disks{n}.tif" for n in range(4)), "summary.csv"]
    assert sorted(path.name for path in out.iterdir()) == names
    for number in range(4):
        image = np.load(images / f"disks{number}.npy")
        expected = napari_pea.segment(image, tiny_model_path)
        labels = read_labels(out / f"disks{number}.tif")
        np.testing.assert_array_equal(labels, expected.labels)
        assert f"disks{number}.tif: {expected.labels.max()} objects" in result.stdout


def test_report_as_json(
    run: Run, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    image = disks[0] / "disks0.npy"
    options = ["--ranges", "1,3", "--connectivity", 8, "--strides", "2,3", "--min-size", 7]
    options += ["--partitioner", "average"]
    options += ["--foreground-threshold", 0, "--no-merge-fragments", "--no-fill-holes"]
    options += ["--average-masks"]  # other models do without
    result = run(
        "segment", image, "-o", tmp_path / "out", "-m", tiny_model_path, "--json", *options
    )
    report = json.loads(result.stdout)
    assert report["model"] == "tiny"
    assert report["settings"] == {
        "ranges": [1, 3],
        "connectivity": 8,
        "z_ranges": None,
        "strides": [2, 3],
        "partitioner": "average",
        "foreground_threshold": 0.0,
        "min_size": 7,
        "merge_fragments": False,
        "fill_holes": False,
        "average_masks": True,
        "bias": 0.0,
    }
    (entry,) = report["images"]
    labels = read_labels(tmp_path / "out" / "disks0.tif")
    assert entry["objects"] == len(np.unique(labels[labels > 0])) > 0
    assert entry["seconds"] > 0


def test_settings_that_are_not_given_are_those_of_the_model(
    run: Run, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    image = disks[0] / "disks0.npy"
    result = run("segment", image, "-o", tmp_path, "-m", tiny_model_path, "--json")
    recommended = napari_pea.load_model(tiny_model_path).recommended
    assert json.loads(result.stdout)["settings"] == recommended.as_dict()


def test_table_beside_the_labels(
    run: Run, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    out = tmp_path / "out"
    image = disks[0] / "disks0.npy"
    run("segment", image, "-o", out, "-m", tiny_model_path, "--table", "--foreground-threshold", 0)
    table = pd.read_csv(out / "disks0.csv")
    sizes = np.bincount(read_labels(out / "disks0.tif").ravel())
    np.testing.assert_array_equal(table["area"], sizes[table["label"]])
    assert len(table) == len(sizes) - 1 > 0


@pytest.mark.parametrize(
    "kind", ["bool", "uint8", "int32", "float32", "rgb", "rgba", "cyx", "tzyx"]
)
def test_images_of_all_kinds(
    run: Run, tmp_path: Path, tiny_model_path: Path, image: np.ndarray, kind: str
) -> None:
    path = tmp_path / "image.tif"
    arrays: dict[str, Any] = {
        "bool": image > 2000,
        "rgb": np.stack([image] * 3, axis=-1),
        "rgba": np.stack([image] * 4, axis=-1),
        "cyx": image[None],
        "tzyx": image[None, None],
    }
    array = arrays[kind] if kind in arrays else image.astype(kind)
    axes = {"tifffile": {"axes": kind.upper()}} if kind in ("cyx", "tzyx") else {}
    tifffile.imwrite(path, array, metadata=axes.get("tifffile"), ome=bool(axes))
    result = run("segment", path, "-o", tmp_path / "out", "-m", tiny_model_path)
    assert result.exit_code == 0, result.stderr
    assert read_labels(tmp_path / "out" / "image.tif").shape == image.shape


def test_channel_axis_comes_from_the_file(
    run: Run, tmp_path: Path, tiny_model_path: Path, image: np.ndarray
) -> None:
    path = tmp_path / "image.ome.tif"
    channels = np.stack([np.zeros_like(image), image])
    metadata = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(path, channels, metadata=metadata)
    out = tmp_path / "out"
    result = run("segment", path, "-o", out, "-m", tiny_model_path, "--channel", 1)
    assert result.exit_code == 0, result.stderr
    expected = napari_pea.segment(image, tiny_model_path).labels
    np.testing.assert_array_equal(read_labels(out / "image.ome.tif"), expected)
    assert read_image(out / "image.ome.tif").pixel_size == (0.5, 0.5)


def test_channel_axis_can_be_given(
    run: Run, tmp_path: Path, tiny_model_path: Path, image: np.ndarray
) -> None:
    np.save(tmp_path / "image.npy", np.stack([image, image // 2], axis=1))
    options = ["--channel", 0, "--channel-axis", 1]
    result = run("segment", tmp_path / "image.npy", "-o", tmp_path, "-m", tiny_model_path, *options)
    assert result.exit_code == 0, result.stderr
    expected = napari_pea.segment(image, tiny_model_path).labels
    np.testing.assert_array_equal(read_labels(tmp_path / "image.tif"), expected)


def test_tiles_are_as_large_as_asked(run: Run, tmp_path: Path, tiny_model_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.random.default_rng(0).normal(size=(48, 400)))
    command = ["segment", tmp_path / "image.npy", "-o", tmp_path, "-m", tiny_model_path, "--tile"]
    result = run(*command, 64)
    assert result.exit_code == 1
    assert "A tile of 64 pixels is too small" in result.stderr
    assert run(*command, 256).exit_code == 0


def test_one_bad_image_does_not_stop_the_others(
    run: Run, tmp_path: Path, tiny_model_path: Path, image: np.ndarray
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    bad = {
        "a_constant": (np.full((48, 64), 7), "The image is constant"),
        "b_empty": (np.zeros((0, 64)), "The image is empty"),
        "c_infinite": (np.where(image > 3000, np.inf, image), "NaN or infinite"),
        "d_thin": (image[:1], "1 pixel wide"),
        "e_stack": (np.stack([image] * 5), "has 3 axes"),
        "f_complex": (image * 1j, "complex128"),
    }
    for name, (array, _) in bad.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "g_damaged.png").write_bytes(imagecodecs.png_encode(image)[:500])
    np.save(folder / "h_good.npy", image)
    out = tmp_path / "out"
    result = run("segment", folder, "-o", out, "-m", tiny_model_path)
    assert result.exit_code == 1
    assert sorted(path.name for path in out.iterdir()) == ["h_good.tif", "summary.csv"]
    lines = result.stderr.splitlines()
    sentences = [sentence for _, sentence in bad.values()] + ["is damaged"]
    names = [*bad, "g_damaged"]
    assert len(lines) == len(names)
    for line, name, sentence in zip(lines, names, sentences, strict=True):
        assert line.startswith("Error: ")
        assert name in line
        assert sentence in line
    assert "h_good" in result.stdout


def test_failures_stand_in_the_json_too(run: Run, tmp_path: Path, tiny_model_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((32, 32)))
    result = run("segment", tmp_path / "flat.npy", "-o", tmp_path, "-m", tiny_model_path, "--json")
    assert result.exit_code == 1
    assert "constant" in json.loads(result.stdout)["images"][0]["error"]


def test_two_images_of_one_name_are_refused_before_any_work(
    fails: Fails, tmp_path: Path, image: np.ndarray
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "image.npy", image)
    out = tmp_path / "out"
    sentence = fails("segment", tmp_path / "one", tmp_path / "two", "-o", out, "-m", "none")
    assert "would both become image.tif" in sentence
    assert not out.exists()


def test_results_are_replaced_only_if_asked(
    run: Run, fails: Fails, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "disks3.tif").write_text("mine")
    command = ["segment", disks[0], "-o", out, "-m", tiny_model_path]
    sentence = fails(*command)
    assert "disks3.tif exists already" in sentence
    assert "--overwrite" in sentence
    assert "--skip-existing" in sentence
    assert [path.read_text() for path in out.iterdir()] == ["mine"]
    assert run(*command, "--overwrite").exit_code == 0
    assert read_labels(out / "disks3.tif").shape == (64, 80)


def test_images_are_never_replaced_by_their_results(
    fails: Fails, tmp_path: Path, tiny_model_path: Path, image: np.ndarray
) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, image)
    command = ["segment", path, "-o", tmp_path, "-m", tiny_model_path, "--overwrite"]
    assert "would replace an image" in fails(*command)
    np.testing.assert_array_equal(tifffile.imread(path), image)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--ranges", "1,x"], "--ranges takes whole numbers"),
        (["--ranges", "0,3"], "Every range is a whole number of at least 1"),
        (["--connectivity", 5], "Connectivity 5 does not exist"),
        (["--connectivity", 6], "Connectivity 6 does not exist in 2D"),
        (["--strides", 0], "Every stride is a whole number of at least 1"),
        (["--strides", "1,2,3"], "2D images need 2 strides, not 3"),
        (["--foreground-threshold", 2], "The foreground threshold lies between 0 and 1"),
        (["--min-size", -1], "The minimum size cannot be negative"),
        (["--device", "abacus"], "The device 'abacus' is not available here"),
        (["--model", "elephants"], "There is no model 'elephants'"),
    ],
)
def test_wrong_options_are_refused_before_any_work(
    fails: Fails,
    tmp_path: Path,
    tiny_model_path: Path,
    image: np.ndarray,
    options: list[object],
    sentence: str,
) -> None:
    np.save(tmp_path / "image.npy", image)
    out = tmp_path / "out"
    command = ["segment", tmp_path / "image.npy", "-o", out, "-m", tiny_model_path, *options]
    assert sentence in fails(*command)
    assert not out.exists()


def test_missing_images_and_models_are_named(fails: Fails, tmp_path: Path) -> None:
    assert "There is no file or folder" in fails("segment", tmp_path / "no.tif", "-o", tmp_path)
    np.save(tmp_path / "image.npy", np.eye(32))
    damaged = tmp_path / "broken.pea.safetensors"
    damaged.write_bytes(b"no model")
    command = ["segment", tmp_path / "image.npy", "-o", tmp_path / "out", "-m", damaged]
    assert "broken.pea.safetensors is damaged" in fails(*command)
    (tmp_path / "file").touch()
    command = ["segment", tmp_path / "image.npy", "-o", tmp_path / "file"]
    assert "is a file: results go to a folder" in fails(*command)


def test_interrupt_stops_cleanly(
    run: Run,
    disks: tuple[Path, Path],
    tmp_path: Path,
    tiny_model_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predict = model_module.predict
    calls = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return predict(*arguments, **options)

    monkeypatch.setattr(model_module, "predict", interrupted)
    before = signal.getsignal(signal.SIGINT)
    out = tmp_path / "out"
    result = run("segment", disks[0], "-o", out, "-m", tiny_model_path)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "Stopped."
    assert sorted(path.name for path in out.iterdir()) == ["disks0.tif", "summary.csv"]
    assert signal.getsignal(signal.SIGINT) is before


def test_too_little_memory_names_the_tiles(
    run: Run,
    disks: tuple[Path, Path],
    tmp_path: Path,
    tiny_model_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(model_module, "predict", full)
    image = disks[0] / "disks0.npy"
    result = run("segment", image, "-o", tmp_path / "out", "-m", tiny_model_path)
    assert result.exit_code == 1
    assert "not enough memory; try a smaller --tile" in result.stderr


def test_a_batch_that_was_stopped_goes_on(
    run: Run, fails: Fails, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "disks1.tif").write_text("mine")
    # Stopped between the table and the labels.
    (out / "disks2.csv").write_text("half")
    command = ["segment", disks[0], "-o", out, "-m", tiny_model_path, "--table", "--skip-existing"]
    assert "exclude each other" in fails(*command, "--overwrite")
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert (out / "disks1.tif").read_text() == "mine"
    assert not (out / "disks1.csv").exists()
    for number in (0, 2, 3):
        assert read_labels(out / f"disks{number}.tif").shape == (64, 80)
        assert (out / f"disks{number}.csv").read_text() != "half"
    skipped = [line for line in result.stdout.splitlines() if "skipped" in line]
    assert len(skipped) == 1
    assert "disks1.npy skipped: " in skipped[0]

    report = json.loads(run(*command, "--json").stdout)
    assert [Path(entry["skipped"]).name for entry in report["images"]] == [
        f"disks{number}.tif" for number in range(4)
    ]


def test_all_objects_of_all_images_stand_in_one_table(
    run: Run, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["segment", disks[0], "-o", out, "-m", tiny_model_path, "--foreground-threshold", 0]
    result = run(*command, "--table")
    assert f"All objects: {out / 'summary.csv'}" in result.stdout
    summary = pd.read_csv(out / "summary.csv")
    tables = {f"disks{n}.npy": pd.read_csv(out / f"disks{n}.csv") for n in range(4)}
    assert list(summary["image"].unique()) == list(tables)
    for name, table in tables.items():
        rows = summary[summary["image"] == name].drop(columns="image").reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, table)
    # A single image has none unless it is asked for.
    run("segment", disks[0] / "disks0.npy", "-o", tmp_path / "one", "-m", tiny_model_path)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["disks0.tif"]
    one = tmp_path / "one"
    run("segment", disks[0] / "disks1.npy", "-o", one, "-m", tiny_model_path, "--summary")
    assert set(pd.read_csv(one / "summary.csv")["image"]) == {"disks1.npy"}


def test_resuming_makes_only_what_is_missing_or_differs(
    run: Run, fails: Fails, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    images, out = disks[0], tmp_path / "out"
    command = ["segment", images, "-o", out, "-m", tiny_model_path, "--foreground-threshold", 0]
    assert run(*command).exit_code == 0
    whole = pd.read_csv(out / "summary.csv")
    (out / "disks2.tif").unlink()
    np.save(images / "disks3.npy", np.load(images / "disks0.npy"))
    assert "--resume and --overwrite exclude each other" in fails(
        *command, "--overwrite", "--resume"
    ).replace("--overwrite and --resume", "--resume and --overwrite")

    def made(*options: object) -> list[str]:
        result = run(*command, "--resume", "--json", *options)
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)["images"]
        return [Path(entry["image"]).stem for entry in told if "labels" in entry]

    assert made() == ["disks2", "disks3"]
    assert made() == []
    again = pd.read_csv(out / "summary.csv")
    for number in range(3):
        name = f"disks{number}.npy"
        expected = whole[whole["image"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            again[again["image"] == name].reset_index(drop=True), expected
        )
    # With other settings everything is made again.
    assert made("--min-size", 3) == [f"disks{number}" for number in range(4)]


def test_a_table_of_something_else_is_not_replaced(
    fails: Fails, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "summary.csv").write_text("name,value\nmine,1\n")
    sentence = fails("segment", disks[0], "-o", out, "-m", tiny_model_path)
    assert "summary.csv is no table of objects" in sentence
    assert (out / "summary.csv").read_text() == "name,value\nmine,1\n"
    assert len(list(out.iterdir())) == 1
