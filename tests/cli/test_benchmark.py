from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from napari_pea.experiments import benchmark_inference

if TYPE_CHECKING:
    from typer.testing import Result

FIGURES = {
    "model": "nuclei",
    "device": "cpu",
    "threads": 2,
    "overhead": {
        "forward_seconds": 0.5,
        "predict_seconds": 0.52,
        "ratio": 1.04,
        "repeats": 3,
    },
    "images": [
        {
            "shape": [520, 696],
            "embed_seconds": 0.6,
            "segment_seconds": 1.25,
            "objects": 190,
            "peak_mb": None,
            "program_mb": None,
        }
    ],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is asked of the measurement, which itself is left out here."""
    seen: dict[str, Any] = {}

    def measure(model: str, device: str, **options: Any) -> dict[str, Any]:
        seen.update(options, model=model, device=device)
        return FIGURES

    monkeypatch.setattr(benchmark_inference, "measure", measure)
    return seen


def test_figures_as_table(run: Callable[..., Result], asked: dict[str, Any]) -> None:
    result = run("benchmark", "inference", "--no-large", "--repeats", 3)
    assert asked["shapes"] == ((520, 696),)
    assert asked["repeats"] == 3
    assert "520 × 696" in result.stdout
    assert "1.25 s" in result.stdout
    assert "not known" in result.stdout
    assert "Prediction takes 1.040 times the bare network" in result.stdout


def test_figures_as_json(run: Callable[..., Result], asked: dict[str, Any]) -> None:
    result = run("benchmark", "inference", "--json", "--device", "cpu")
    assert json.loads(result.stdout) == FIGURES
    assert asked["shapes"] == ((520, 696), (4096, 4096))


def test_unknown_models_are_named(fails: Callable[..., str]) -> None:
    assert "There is no model 'elephants'" in fails("benchmark", "inference", "-m", "elephants")
