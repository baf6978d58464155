from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from napari_pea import load_model
from napari_pea.batch.queue import Item, State, plan
from napari_pea.batch.recipe import Recipe, recipe_of
from napari_pea.batch.runner import run_batch, skip_done
from napari_pea.batch.summary import Summary
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.io import read_about, read_labels, write_labels
from napari_pea.models.model import Model
from napari_pea.models.package import copy_model


@pytest.fixture
def model(tiny_model_path: Path) -> Model:
    return load_model(tiny_model_path, "cpu")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Three images of noise."""
    paths = [tmp_path / f"{name}.npy" for name in "abc"]
    for number, path in enumerate(paths):
        np.save(path, np.random.default_rng(number).normal(size=(32, 48)))
    return paths


@pytest.fixture
def recipe(model: Model, tiny_model_path: Path) -> Recipe:
    return recipe_of(model, tiny_model_path, model.recommended.updated(foreground_threshold=0))


def states(items: list[Item]) -> list[str]:
    return [str(item.state) for item in items]


def test_an_error_does_not_stop_the_rest(
    model: Model, recipe: Recipe, images: list[Path], tmp_path: Path
) -> None:
    images[0].write_bytes(b"damaged")
    items = plan(images, tmp_path / "out")
    seen: list[tuple[str, str]] = []
    run_batch(
        items, model, recipe, changed=lambda item: seen.append((item.image.stem, str(item.state)))
    )
    assert states(items) == ["failed", "done", "done"]
    assert "is damaged" in items[0].message
    assert seen == [
        (name, state)
        for name, end in (("a", "failed"), ("b", "done"), ("c", "done"))
        for state in ("running", end)
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.tif", "c.tif"]


def test_a_network_that_fails_is_told_by_its_error(
    model: Model,
    recipe: Recipe,
    images: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: device-side assert")

    monkeypatch.setattr(Model, "embed", broken)
    items = plan(images[:1], tmp_path / "out")
    run_batch(items, model, recipe)
    assert items[0].message == "RuntimeError: CUDA error: device-side assert"


def test_cancelling_keeps_what_is_done(
    model: Model, recipe: Recipe, images: list[Path], tmp_path: Path
) -> None:
    token = CancelToken()
    items = plan(images, tmp_path / "out", tables=True)
    summary = Summary(tmp_path / "out" / "summary.csv")

    def stop(item: Item) -> None:
        if item.state is State.RUNNING and item.image.stem == "b":
            token.cancel()

    with pytest.raises(Cancelled):
        run_batch(items, model, recipe, summary=summary, changed=stop, cancel=token)
    assert states(items) == ["done", "waiting", "waiting"]
    again = plan(images, tmp_path / "out", tables=True, may_exist=True)
    whole = Summary(tmp_path / "out" / "summary.csv")
    skip_done(again, recipe, whole)
    assert states(again) == ["skipped", "waiting", "waiting"]
    assert again[0].objects == items[0].objects > 0
    run_batch(again, model, recipe, summary=whole)
    assert states(again) == ["skipped", "done", "done"]
    assert [whole.count(path) for path in images] == [item.objects for item in again]


def test_what_counts_as_done(
    model: Model, recipe: Recipe, images: list[Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    out = tmp_path / "out"
    run_batch(plan(images, out), model, recipe)

    def left(recipe: Recipe = recipe, summary: Summary | None = None, **options: bool) -> list[str]:
        items = plan(images, out, may_exist=True, **options)
        skip_done(items, recipe, summary)
        return [item.image.stem for item in items if item.state is State.WAITING]

    assert left() == []
    everything = ["a", "b", "c"]
    other = recipe_of(model, tiny_model_path, recipe.settings.updated(min_size=1))
    assert left(other) == everything
    assert left(recipe_of(model, tiny_model_path, recipe.settings, tile=256)) == everything
    # The same weights under another name are the same model.
    renamed = copy_model(tiny_model_path, tmp_path / "else.pea.safetensors", name="else")
    assert left(recipe_of(model, renamed, recipe.settings)) == []
    trained = copy_model(tiny_model_path, tmp_path / "more.pea.safetensors", scale=0.5)
    assert left(recipe_of(load_model(trained, "cpu"), trained, recipe.settings)) == everything
    # Tables that are asked for have to be there.
    assert left(tables=True) == everything
    assert left(summary=Summary(out / "summary.csv")) == everything
    # Other pixels, and no labels.
    os.utime(images[0], ns=(1, 1))
    (out / "b.tif").unlink()
    assert left() == ["a", "b"]


def test_somebodys_work_is_not_replaced(
    model: Model, recipe: Recipe, images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_batch(plan(images, out), model, recipe)
    made = read_about(out / "c.tif") or {}
    dock = {name: value for name, value in made.items() if name != "objects"}
    place = {"place": {"scale": [1, 1]}, "name": "c labels"}
    other = replace(recipe, settings=recipe.settings.updated(min_size=1))
    for about in (None, dock | place, dock | {"corrections": {}}, made | place):
        write_labels(out / "c.tif", np.ones((32, 48), dtype=int), about=about)
        with pytest.raises(InputError, match=r"c\.tif does not say that a batch made it"):
            skip_done(plan(images, out, may_exist=True), other)
        assert read_labels(out / "c.tif").all()
    # Saved again from a window, labels of this very batch are still done.
    items = plan(images, out, may_exist=True)
    skip_done(items, recipe)
    assert states(items) == ["skipped"] * 3


def test_what_nobody_expected_fails_one_image_only(
    model: Model,
    recipe: Recipe,
    images: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embed = Model.embed

    def broken(self: Model, image: Any, **options: Any) -> Any:
        if np.array_equal(image.squeeze(), np.load(images[0])):
            raise IndexError("axis 7 is out of bounds")
        return embed(self, image, **options)

    monkeypatch.setattr(Model, "embed", broken)
    items = plan(images, tmp_path / "out")
    run_batch(items, model, recipe)
    assert states(items) == ["failed", "done", "done"]
    assert items[0].message == "IndexError: axis 7 is out of bounds"


def test_objects_of_labels_that_could_not_be_written_are_forgotten(
    model: Model, recipe: Recipe, images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    items = plan(images, out)
    summary = Summary(out / "summary.csv")
    (out / "b.tif").mkdir(parents=True)
    run_batch(items, model, recipe, summary=summary)
    assert states(items) == ["done", "failed", "done"]
    assert "b.tif could not be saved" in items[1].message
    assert set(pd.read_csv(out / "summary.csv")["image"]) == {"a.npy", "c.npy"}


def test_labels_say_how_they_were_made(
    model: Model, recipe: Recipe, images: list[Path], tmp_path: Path
) -> None:
    run_batch(plan(images[:1], tmp_path / "out"), model, recipe)
    told = read_about(tmp_path / "out" / "a.tif")
    assert told is not None
    assert told["settings"] == recipe.settings.as_dict()
    assert (told["model"], told["model_hash"]) == ("tiny", recipe.model_hash)
    assert told["image_path"] == str(images[0])


def test_an_image_that_is_gone_by_now(
    model: Model, recipe: Recipe, images: list[Path], tmp_path: Path
) -> None:
    items = plan(images, tmp_path / "out")
    shutil.move(images[1], tmp_path / "elsewhere.npy")
    run_batch(items, model, recipe)
    assert states(items) == ["done", "failed", "done"]
    assert "cannot be read: No such file" in items[1].message
