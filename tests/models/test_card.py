from __future__ import annotations

from pathlib import Path

from napari_pea import list_models
from napari_pea.models.card import card_of, matches
from napari_pea.models.catalogue import entry_of


def test_the_card_of_a_model_tells_what_it_is_for(tmp_path: Path) -> None:
    entries = {entry.name: entry for entry in list_models(tmp_path)}
    card = card_of(entries["nuclei"])
    assert card["Finds"] == "Nuclei in fluorescence images, touching ones included."
    assert card["Kind"] == "pixel embedding (PEA), 2D"
    assert card["Size"] == "5.4 MB"
    assert "BBBC039v1, training list (CC0-1.0)" in card["Trained on"]
    assert "bbbc039, validation: AJI 0.919" in card["Scores"]
    assert "Started from" not in card
    assert card_of(entries["cells"])["Started from"] == "nuclei"
    assert card_of(entries["neurons-em"])["Pixel size"] == "0.01 µm"


def test_the_card_of_a_damaged_model_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "bad.pea.safetensors"
    path.write_bytes(b"nothing")
    card = card_of(entry_of(path))
    assert "is damaged" in card["Problem"]
    assert card["File"] == str(path)


def test_models_are_found_by_words_of_name_and_card(tmp_path: Path) -> None:
    def found(wanted: str) -> list[str]:
        return [entry.name for entry in list_models(tmp_path) if matches(entry, wanted)]

    assert found("phase CONTRAST") == ["cells"]
    assert found("contrast whole phase") == ["cells"]
    assert {"neurons-em", "nuclei-3d"} <= set(found("3d"))
    assert "nuclei" not in found("3d")
    assert found("elephant") == []
    assert found("") == [entry.name for entry in list_models(tmp_path)]
