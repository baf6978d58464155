from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_pea.experiments import benchmark_training
from napari_pea.experiments.benchmark_training import cases, measure_training
from napari_pea.training.settings import TrainingSettings

if TYPE_CHECKING:
    import pytest

SMALL = TrainingSettings().updated(batch_size=1, crop=32, ranges=(1, 3))


def test_every_iteration_is_compared_with_the_bare_passes_after_it(
    tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_training, "WARM_UP", 1)
    seen: list[tuple[int, int]] = []
    runs = {
        "two passes": SMALL.updated(cross_weight=1.0),
        "painted": SMALL.updated(distant_pairs=50),
    }
    found = measure_training(
        str(tiny_model_path),
        iterations=2,
        runs=runs,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert list(found["cases"]) == list(runs)
    for case in found["cases"].values():
        assert min(case.values()) > 0
    assert seen == [(done, 6) for done in range(1, 7)]


def test_the_paper_and_the_dock_are_measured() -> None:
    paper, painted, dock = cases().values()
    assert (paper.objective.cross_weight, paper.crop) == (1, 256)
    assert (painted.objective.cross_weight, dock.objective.cross_weight) == (1, 0)
    assert painted.objective.distant_pairs > 0
