from __future__ import annotations

import random
from pathlib import Path

import pytest

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.experiments.fuzz import fuzz, fuzz_chunk, mutated, seed_files
from napari_pea.models.zoo.state_dict import MAX_WEIGHTS


def test_damaged_and_malicious_files_are_refused_in_peace() -> None:
    found = fuzz(250, seed=7)
    assert found.failures == []
    assert found.files == found.accepted + found.refused == 250
    assert found.refused > 200
    # They get past the outer checks to many different ones.
    assert len(found.sentences) > 15
    # 300 names of 16 MB would take 5 GB; PyTorch itself takes most of the rest.
    assert found.peak_mb < MAX_WEIGHTS / 1e6 + 600


def test_files_are_the_same_for_a_seed() -> None:
    seeds = seed_files()
    assert set(seeds) == {".pea.safetensors", ".zip"}
    first, again, other = (mutated(seeds, random.Random(number)) for number in (1, 1, 2))  # noqa: S311
    assert first == again != other


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (KeyError("x"), "KeyError"),
        (InputError("two\nlines."), "no sentence"),
        (InputError("no end"), "no sentence"),
    ],
)
def test_anything_but_a_sentence_is_a_failure(
    wrong: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_model(path: Path, **_: object) -> Path:
        raise wrong

    monkeypatch.setattr("napari_pea.models.zoo.import_model", import_model)
    found = fuzz_chunk(0, 2, seed=0)
    assert [failure.split(": ")[1] for failure in found.failures] == [told] * 2


def test_what_is_left_behind_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_model(path: Path, **_: object) -> Path:
        (path.parent.parent / "left").touch()
        raise InputError("Refused.")

    monkeypatch.setattr("napari_pea.models.zoo.import_model", import_model)
    found = fuzz_chunk(3, 4, seed=0)
    assert "file 3: left" in found.failures[0]


def test_it_can_be_stopped() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        fuzz(10, cancel=token)
