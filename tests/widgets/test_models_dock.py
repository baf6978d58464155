"""The Models dock in a real window, and model files that are opened in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.qt.threading import WorkerBase
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_pea import list_models
from napari_pea.models.package import copy_model, read_metadata
from napari_pea.models.picture import stored_picture
from napari_pea.widgets.models_card import decoded
from tests.widgets.conftest import PATIENCE, Hand


class ModelsHand(Hand):
    """Does with the Models dock what a user does."""

    title = "Models"

    def wait(self) -> None:
        """Wait until the dock is idle."""
        self._qtbot.waitUntil(lambda: self.dock.idle, timeout=PATIENCE)

    def listed(self) -> list[str]:
        """The models that the list shows, headings left out."""
        items = [self.find("models_list").item(n) for n in range(self.find("models_list").count())]
        return [item.text() for item in items if not item.font().bold()]

    def choose(self, text: str) -> None:
        found = self.find("models_list")
        (row,) = [n for n in range(found.count()) if found.item(n).text() == text]
        found.setCurrentRow(row)

    def unfold(self, name: str) -> None:
        """Unfold a part of the dock and wait until its controls have their place."""
        fold = self.find(name)
        fold.expand(animate=False)
        self._qtbot.waitUntil(
            lambda: fold.content().height() >= fold.content().minimumSizeHint().height(),
            timeout=PATIENCE,
        )

    def rename(self, new: str) -> None:
        self.find("models_name_edit").setText(new)
        self.click("models_rename_button")
        self.wait()

    @property
    def card(self) -> str:
        return self.find("models_card").text().replace("\u200b", "")

    @property
    def status(self) -> str:
        return self.find("models_status").text().replace("\u200b", "")


@pytest.fixture
def folder(tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models: `tiny`, and a damaged one."""
    home = tmp_path / "own"
    home.mkdir()
    shutil.copy(tiny_model_path, home)
    (home / "broken.pea.safetensors").write_bytes(b"no model")
    built_in = tmp_path / "built in"
    built_in.mkdir()
    copy_model(
        tiny_model_path,
        built_in / "shipped.pea.safetensors",
        name="shipped",
        description="Cells & <b>nuclei</b>.",
    )
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(home))
    monkeypatch.setattr("napari_pea.models.catalogue.BUILT_IN_FOLDER", built_in)
    return home


@pytest.fixture
def open_models(
    make_napari_viewer: Callable[..., Any], qtbot: Any, folder: Path
) -> Iterator[Callable[..., ModelsHand]]:
    """Opens a window with the Models dock in it."""
    yield lambda **kwargs: ModelsHand(make_napari_viewer(**kwargs), qtbot)
    qtbot.waitUntil(lambda: not WorkerBase._worker_set, timeout=PATIENCE)


@pytest.fixture
def hand(open_models: Callable[..., ModelsHand]) -> ModelsHand:
    return open_models(show=True)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], list[str]]:
    """What the user answers when asked; returns the questions."""
    asked: list[str] = []
    buttons = QMessageBox.StandardButton

    def answer(yes: bool) -> list[str]:
        def question(_: Any, __: str, text: str) -> Any:
            asked.append(text)
            return buttons.Yes if yes else buttons.No

        monkeypatch.setattr(QMessageBox, "question", question)
        return asked

    return answer


def test_every_model_is_listed_with_its_card(hand: ModelsHand) -> None:
    assert hand.listed() == ["shipped", "broken (damaged)", "tiny"]
    # What a model says is never taken for markup.
    assert "Cells &amp; &lt;b&gt;nuclei&lt;/b&gt;." in hand.card
    hand.choose("tiny")
    for text in ("A small untrained network.", "pixel embedding (PEA), 2D", "your folder"):
        assert text in hand.card
    hand.choose("broken (damaged)")
    assert "is damaged: get it again." in hand.card


def test_models_are_searched_by_name_and_card(hand: ModelsHand) -> None:
    hand.find("models_search").setText("untrained")
    assert hand.listed() == ["tiny"]
    assert "A small untrained network." in hand.card
    hand.find("models_search").setText("elephant")
    assert hand.listed() == []
    assert hand.card == "No model is chosen."
    hand.find("models_search").clear()
    assert len(hand.listed()) == 3


def test_a_model_is_renamed_copied_deleted_and_brought_back(
    hand: ModelsHand, folder: Path, answer: Callable[[bool], list[str]]
) -> None:
    hand.choose("tiny")
    assert not hand.find("models_rename_button").isEnabled()
    hand.rename("cells of Ann")
    assert hand.listed() == ["shipped", "broken (damaged)", "cells of Ann"]
    assert read_metadata(folder / "cells of Ann.pea.safetensors").name == "cells of Ann"
    assert hand.find("models_name_edit").text() == "cells of Ann"
    hand.click("models_duplicate_button")
    hand.wait()
    assert hand.listed()[-2:] == ["cells of Ann", "cells of Ann copy"]

    asked = answer(False)
    hand.click("models_delete_button")
    hand.wait()
    assert asked == ["Delete the model “cells of Ann copy”? It can be undone."]
    assert "cells of Ann copy" in hand.listed()
    answer(True)
    hand.click("models_delete_button")
    hand.wait()
    assert "cells of Ann copy" not in hand.listed()
    hand.click("models_undo_button")
    hand.wait()
    assert "cells of Ann copy" in hand.listed()
    assert hand.status == "The model 'cells of Ann copy' is back."
    assert not hand.find("models_undo_button").isEnabled()


def test_a_model_of_the_program_can_only_be_copied(hand: ModelsHand) -> None:
    hand.choose("shipped")
    for name in ("rename", "delete", "picture"):
        button = hand.find(f"models_{name}_button")
        assert not button.isEnabled()
        assert "duplicate this one first" in button.toolTip()
    hand.click("models_duplicate_button")
    hand.wait()
    assert hand.listed() == ["shipped", "broken (damaged)", "shipped copy", "tiny"]


def test_a_damaged_model_can_only_be_deleted(
    hand: ModelsHand, folder: Path, answer: Callable[[bool], list[str]]
) -> None:
    hand.choose("broken (damaged)")
    assert not hand.find("models_duplicate_button").isEnabled()
    assert not hand.find("models_name_edit").isEnabled()
    answer(True)
    hand.click("models_delete_button")
    hand.wait()
    assert hand.listed() == ["shipped", "tiny"]


def test_a_name_that_is_taken_is_refused_in_one_sentence(hand: ModelsHand) -> None:
    hand.choose("tiny")
    hand.rename("shipped")
    assert hand.status == "There is a model 'shipped' already: choose another name."
    assert "tiny" in hand.listed()


def test_new_files_appear_by_themselves_in_every_list(
    hand: ModelsHand, folder: Path, qtbot: Any
) -> None:
    _, segment = hand.viewer.window.add_plugin_dock_widget("napari-pea", "Segment")
    hand.choose("tiny")
    shutil.copy(folder / "tiny.pea.safetensors", folder / "from afar.pea.safetensors")
    qtbot.waitUntil(lambda: "from afar" in hand.listed(), timeout=PATIENCE)
    assert segment.model_combo.findText("from afar") >= 0
    assert hand.find("models_name_edit").text() == "tiny"
    (folder / "from afar.pea.safetensors").unlink()
    qtbot.waitUntil(lambda: "from afar" not in hand.listed(), timeout=PATIENCE)
    assert segment.model_combo.findText("from afar") < 0


def test_the_view_becomes_the_picture_of_a_model(hand: ModelsHand, folder: Path) -> None:
    hand.viewer.add_image(np.random.default_rng(0).random((64, 64)))
    hand.choose("tiny")
    assert not hand.find("models_picture").isVisible()
    size = (folder / "tiny.pea.safetensors").stat().st_size
    hand.click("models_picture_button")
    hand.wait()
    assert hand.find("models_picture").isVisible()
    entry = next(entry for entry in list_models() if entry.name == "tiny")
    picture = stored_picture(entry)
    assert picture is not None
    pixmap = decoded(picture)
    assert pixmap is not None
    assert max(pixmap.width(), pixmap.height()) == 256
    assert (folder / "tiny.pea.safetensors").stat().st_size - size < 60_000


def test_pictures_that_are_none_are_left_out(hand: ModelsHand, folder: Path) -> None:
    path = folder / "tiny.pea.safetensors"
    for text in ("no base64 at all!", "AAAA", "A" * 300_000):
        copy_model(path, path, picture=text)
        hand.dock.refresh()
        hand.choose("tiny")
        assert not hand.find("models_picture").isVisible()
        assert "A small untrained network." in hand.card


def test_a_model_file_opens_its_card_and_no_layer(
    make_napari_viewer: Callable[..., Any], folder: Path, tmp_path: Path, qtbot: Any
) -> None:
    viewer = make_napari_viewer(show=True)
    path = copy_model(folder / "tiny.pea.safetensors", tmp_path / "sent.pea.safetensors")
    viewer.window._qt_viewer._qt_open([str(path)], stack=False)
    assert len(viewer.layers) == 0
    hand = ModelsHand(viewer, qtbot)
    assert hand.listed() == ["shipped", "broken (damaged)", "tiny", "sent"]
    assert str(path) in hand.card
    assert not hand.find("models_delete_button").isEnabled()
    hand.click("models_add_button")
    hand.wait()
    assert (folder / "sent.pea.safetensors").exists()
    assert hand.listed() == ["shipped", "broken (damaged)", "tiny", "sent"]
    assert "imported: " in hand.card
    assert not hand.find("models_add_button").isVisible()


def test_a_damaged_file_opens_a_card_that_says_so(
    make_napari_viewer: Callable[..., Any], folder: Path, tmp_path: Path, qtbot: Any
) -> None:
    viewer = make_napari_viewer(show=True)
    path = tmp_path / "cut.pea.safetensors"
    path.write_bytes((folder / "tiny.pea.safetensors").read_bytes()[:200])
    viewer.open(path, plugin="napari-pea")
    assert len(viewer.layers) == 0
    hand = ModelsHand(viewer, qtbot)
    assert hand.listed()[-1] == "cut (damaged)"
    assert "is damaged" in hand.card
    assert not hand.find("models_add_button").isEnabled()


def test_a_file_that_is_called_like_another_model_keeps_its_card(
    hand: ModelsHand, tmp_path: Path, folder: Path
) -> None:
    path = tmp_path / "shipped.pea.safetensors"
    copy_model(folder / "tiny.pea.safetensors", path, description="Of somebody else.")
    hand.dock.show_file(path)
    for _ in range(2):
        assert "Of somebody else." in hand.card
        assert f"the file {path}" in hand.card
        assert hand.find("models_add_button").isVisibleTo(hand.dock)
        hand.dock.refresh()


def test_the_form_says_what_a_package_tells(
    hand: ModelsHand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    path, written = tmp_path / "sent.zip", []

    def export(model: Path, path: Path, **told: Any) -> Path:
        told["progress"](1, 5)
        written.append((model, path, told))
        return path

    monkeypatch.setattr("napari_pea.models.zoo.export_model", export)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    image = hand.viewer.add_image(np.eye(8), name="cells")
    hand.unfold("models_export_fold")
    hand.choose("tiny")
    button = hand.find("models_export_button")
    assert not button.isEnabled()
    assert button.toolTip() == "Say who made the model first."
    hand.find("models_authors_edit").setText("Ada Lovelace; London | Ann")
    hand.find("models_licence_combo").setCurrentText("MIT")
    hand.find("models_sample_check").click()
    hand.click("models_export_button")
    hand.wait()
    assert hand.status == f"Exported 'tiny' to {path}; it was run again."
    ((model, target, told),) = written
    assert (model, target) == (folder / "tiny.pea.safetensors", path)
    assert told["authors"] == ("Ada Lovelace; London", "Ann")
    assert (told["licence"], told["citation"]) == ("MIT", None)
    assert told["sample"] is image.data
    hand.choose("broken (damaged)")
    assert not button.isEnabled()


def test_a_package_is_replaced_only_if_the_user_says_so(
    hand: ModelsHand,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[bool], list[str]],
) -> None:
    path, written = tmp_path / "sent.zip", []
    path.write_bytes(b"precious")

    def export(_: Path, path: Path, **__: Any) -> Path:
        written.append(path)
        return path

    monkeypatch.setattr("napari_pea.models.zoo.export_model", export)
    # The dialog asks nothing about this name: there is no such file.
    given = str(tmp_path / "sent")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (given, ""))
    hand.unfold("models_export_fold")
    hand.choose("tiny")
    hand.find("models_authors_edit").setText("Ann")
    for yes in (False, True):
        asked = answer(yes)
        asked.clear()
        hand.click("models_export_button")
        hand.wait()
        assert asked == ["Replace sent.zip?"]
        assert written == ([path] if yes else [])


def test_a_file_is_imported_if_its_hash_is_right(
    hand: ModelsHand, tmp_path: Path, folder: Path
) -> None:
    path = copy_model(folder / "tiny.pea.safetensors", tmp_path / "sent.pea.safetensors")
    digest = sha256(path.read_bytes()).hexdigest()
    hand.unfold("models_import_fold")
    hand.find("models_import_edit").setText(str(path))
    hand.click("models_import_button")
    hand.wait()
    # Its name is taken, so it gets a number.
    assert "Imported 'tiny 2'" in hand.status
    hand.choose("tiny 2")
    hand.rename("old")
    hand.find("models_hash_edit").setText("0" * 64)
    hand.click("models_import_button")
    hand.wait()
    assert "another hash" in hand.status
    hand.find("models_hash_edit").setText(digest)
    hand.click("models_import_button")
    hand.wait()
    assert hand.status == f"Imported 'tiny 2'; SHA-256 {digest[:16]}…, as it should be."
    assert hand.listed() == ["shipped", "broken (damaged)", "tiny", "old", "tiny 2"]
    assert "imported: sent.pea.safetensors" in hand.card


def test_code_of_others_runs_only_if_the_user_agrees(
    hand: ModelsHand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    imported: list[bool] = []
    told = SimpleNamespace(
        name="foreign", needs_consent=True, reasons=("It runs net.py.",), sha256="ab" * 32
    )

    def take(path: Path, *, trust_code: bool, folder: Path, **_: Any) -> Path:
        imported.append(trust_code)
        return copy_model(
            folder / "tiny.pea.safetensors", folder / "foreign.pea.safetensors", name="foreign"
        )

    monkeypatch.setattr("napari_pea.models.zoo.read_package", lambda _: told)
    monkeypatch.setattr("napari_pea.models.zoo.import_model", take)
    hand.unfold("models_import_fold")
    hand.find("models_import_edit").setText(str(tmp_path / "foreign.zip"))
    hand.click("models_import_button")
    hand.wait()
    assert imported == []
    assert "runs code of its authors (It runs net.py.)" in hand.status
    hand.find("models_trust_check").click()
    hand.click("models_import_button")
    hand.wait()
    assert imported == [True]
    assert "foreign" in hand.listed()
    # Agreed to for this file alone.
    hand.find("models_import_edit").setText(str(tmp_path / "another.zip"))
    assert not hand.find("models_trust_check").isChecked()


def test_fetching_a_model_can_be_cancelled(
    hand: ModelsHand, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    begun = Event()

    def fetch(url: str, *, progress: Any, cancel: Any, **_: Any) -> Path:
        progress(1_500_000, 3_000_000)
        begun.set()
        while True:
            cancel.check()

    monkeypatch.setattr("napari_pea.models.zoo.fetched", fetch)
    hand.unfold("models_import_fold")
    hand.find("models_import_edit").setText("https://example.org/model.zip")
    hand.click("models_import_button")
    qtbot.waitUntil(begun.is_set, timeout=PATIENCE)
    qtbot.waitUntil(lambda: "1.5 MB" in hand.status, timeout=PATIENCE)
    assert hand.find("models_progress").value() == 1_500_000
    hand.click("models_cancel_button")
    hand.wait()
    assert hand.status == "Cancelled; nothing was changed."
