"""A run that is killed at any moment goes on, and never leaves a model that does not load."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_pea.core.errors import InputError
from napari_pea.experiments import kills
from napari_pea.models.package import SUFFIX
from napari_pea.training.runs import KeptRun


def test_a_run_that_is_killed_goes_on_and_leaves_no_broken_file(tmp_path: Path) -> None:
    found = kills.measure_kills(tmp_path, kills=2, seed=1)
    assert found["kills"] == 2
    assert found["iterations"] == sorted(found["iterations"])
    assert found["iterations"][0] > 0, "it was killed while it trained"


def test_a_broken_model_is_noticed(tmp_path: Path) -> None:
    (tmp_path / f"half{SUFFIX}").write_bytes(b"half of a file")
    with pytest.raises(InputError, match="damaged"):
        kills._check_models(KeptRun(tmp_path))
