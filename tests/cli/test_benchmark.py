from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from napari_pea.experiments import (
    benchmark_codes,
    benchmark_fields,
    benchmark_inference,
    benchmark_live,
    benchmark_masks,
    benchmark_training,
    kills,
    live_session,
    nuclei_lsim,
    training_window,
)
from napari_pea.experiments.uncertainty import SIGNS, Uncertainty

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


SPREAD = {"median": 0.05, "p95": 0.08, "changes": 3}
LIVE = {
    "model": "nuclei",
    "images": [
        {
            "shape": [512, 512],
            "ours": SPREAD,
            "elf": {**SPREAD, "median": 1.25},
            "redraw": {**SPREAD, "median": 0.03},
            "factor": 61.0,
            "own_code": 0.004,
        }
    ],
}
SESSION = {
    "actions": 7,
    "longest_stall": 0.123,
    "longest_stall_action": "drag",
    "longest_stall_alone": 0.111,
    "longest_stall_alone_action": "paint",
    "longest_busy": 0.098,
    "longest_busy_action": "drag",
    "longest_busy_alone": 0.095,
    "longest_busy_alone_action": "paint",
    "first_use_stall": 0.5,
    "own_code": 0.009,
    "own_code_where": "",
    "errors": [],
    "leaked_threads": ["lost"],
    "memory_before": 700.0,
    "memory_after": 710.0,
}


def test_live_figures(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def changes(model: str, **options: Any) -> dict[str, Any]:
        asked.update(options, model=model)
        return dict(LIVE)

    def session(model: str, **options: Any) -> dict[str, Any]:
        asked.update(actions=options["actions"])
        return SESSION

    case = {"channels": 12, "embedding": 0.012, "affinities": 0.018, "factor": 1.5}
    fields = {"model": "nuclei", "shape": [512, 512], "changes": 3, "cases": [case]}
    monkeypatch.setattr(benchmark_live, "measure_live", changes)
    monkeypatch.setattr(benchmark_fields, "measure_fields", lambda *_, **__: fields)
    monkeypatch.setattr(live_session, "measure_session", session)
    result = run("benchmark", "live", "--changes", 3, "--actions", 7)
    assert (asked["changes"], asked["actions"], asked["model"]) == (3, 7, "nuclei")
    stalls = ("123 ms (drag)", "98 ms (drag)")
    for text in (
        "512 × 512",
        "1250 / 80 ms",
        "61.0",
        *stalls,
        "lost",
        "710 MB after",
        "1.50 times",
    ):
        assert text in result.stdout
    as_json = json.loads(run("benchmark", "live", "--actions", 7, "--json").stdout)
    assert as_json == {**LIVE, "fields": fields, "session": SESSION}
    assert "session" not in json.loads(run("benchmark", "live", "--actions", 0, "--json").stdout)


@pytest.fixture
def uncertainty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measurement is left out: every figure is that of the sign's place in the list."""
    found = {
        group: Uncertainty(100, 7, {name: n / 10 for n, name in enumerate(SIGNS)})
        for group in ("bbbc039", "dsb2018")
    }
    monkeypatch.setattr(
        "napari_pea.experiments.uncertainty.measure_uncertainty", lambda *_, **__: found
    )
    monkeypatch.setattr("napari_pea.experiments.nuclei.validation_images", lambda _: [])


def test_uncertainty_as_table(run: Callable[..., Result], uncertainty: None) -> None:
    out = run("benchmark", "uncertainty", "--data", "data").stdout
    for text in ("bbbc039", "dsb2018", "7 of 100", "outside margin", "0.100", "0.500"):
        assert text in out


def test_uncertainty_as_json(run: Callable[..., Result], uncertainty: None) -> None:
    told = json.loads(run("benchmark", "uncertainty", "--data", "data", "--json").stdout)
    assert told["bbbc039"]["n_wrong"] == 7
    assert list(told["dsb2018"]["areas"]) == list(SIGNS)


@pytest.fixture
def mutex(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is asked of the measurement of the Mutex Watershed, which itself is left out."""
    seen: dict[str, Any] = {}
    ways = {
        "ours": {"seconds": 0.5, "bytes": 31.4, "same": 1.0},
        "bioimage-cpp": {"seconds": 16.0, "bytes": None, "same": 0.995},
        "mwatershed": {"why": "no memory"},
    }
    case = {"source": "field", "shape": [512, 512], "channels": 10, "ways": ways}

    def measure(**options: Any) -> dict[str, Any]:
        seen.update(options)
        return {"cases": [case]}

    monkeypatch.setattr("napari_pea.experiments.benchmark_mutex.measure", measure)
    return seen


def test_mutex_as_table(run: Callable[..., Result], mutex: dict[str, Any]) -> None:
    options = ["--sizes", "512,1024", "--channels", "10", "--sources", "field", "--no-volume"]
    out = run("benchmark", "mutex", *options).stdout
    for text in ("field 512×512, 10", "0.500", "32.0", "99.50 %", "not known", "no memory", "31"):
        assert text in out
    assert (mutex["sizes"], mutex["channels"]) == ((512, 1024), (10,))
    assert (mutex["sources"], mutex["volume"]) == (["field"], None)


def test_mutex_as_json(run: Callable[..., Result], mutex: dict[str, Any]) -> None:
    told = json.loads(run("benchmark", "mutex", "--quick", "--json").stdout)
    assert told["cases"][0]["ways"]["ours"]["seconds"] == 0.5
    assert mutex["repeats"] == 1
    assert max(mutex["sizes"]) <= 128


def test_mutex_sizes_are_checked(run: Callable[..., Result]) -> None:
    result = run("benchmark", "mutex", "--sizes", "large")
    assert result.exit_code != 0
    assert "--sizes takes whole numbers" in result.output


def test_training_tells_the_overhead_the_window_and_the_kills(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = {"trainer_seconds": 1.1, "bare_seconds": 1.0, "ratio": 1.1}
    figures = {"iterations": 5, "device": "cpu", "threads": 2, "cases": {"all labelled": case}}
    monkeypatch.setattr(benchmark_training, "measure_training", lambda *_, **__: dict(figures))
    seen = {"own_code": 0.012, "own_code_where": "here", "iterations": 40, "previews": 3}
    monkeypatch.setattr(training_window, "measure_window", lambda *_, **__: seen)
    killed = {"kills": 2, "iterations": [4, 9], "models": 2}
    monkeypatch.setattr(kills, "measure_kills", lambda *_, **__: killed)
    text = run("benchmark", "training").stdout
    assert "1100 ms" in text
    assert "1.100" in text
    assert "at most 12 ms" in text
    assert "Killed 2 times" in text
    found = json.loads(run("benchmark", "training", "--window", "0", "--json").stdout)
    assert "window" not in found
    assert found["killed"] == killed


def test_masks_as_table_and_as_json(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    figures = {
        "seconds": {"own": 0.5, "direct_pytorch": 2.5},
        "faster_than_loops": 150.2,
        "faster_than_pytorch": 5.0,
        "difference": 0.0,
        "memory": {"16": 110.8, "64": 110.9},
    }

    def measure(**options: Any) -> dict[str, Any]:
        asked.update(options)
        return figures

    monkeypatch.setattr(benchmark_masks, "measure", measure)
    table = run("benchmark", "masks", "--threads", 2).stdout
    assert asked["threads"] == 2
    for text in ("direct pytorch", "2.500 s", "150 times", "5.0 times", "64 sections", "111 MB"):
        assert text in table
    assert json.loads(run("benchmark", "masks", "--json").stdout) == figures


def test_codes_as_table_and_as_json(
    run: Callable[..., Result],
    fails: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    found = [{"branch": 2, "length": 32, "dice": 0.98, "right": 0.9955}]
    monkeypatch.setattr(benchmark_codes, "measure_recipe", lambda *_, **__: found)
    monkeypatch.setattr(nuclei_lsim, "recipe", lambda data: data)
    table = run("benchmark", "codes", "--data", tmp_path).stdout
    for text in ("ENB2", "32", "0.980", "0.9955"):
        assert text in table
    options = ("--data", tmp_path, "--json")
    assert json.loads(run("benchmark", "codes", *options).stdout) == found
    assert "no shipped model of masks" in fails("benchmark", "codes", *options, "-m", "nuclei")
