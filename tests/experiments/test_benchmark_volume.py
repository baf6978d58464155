from __future__ import annotations

import pytest

from napari_pea.core.errors import InputError
from napari_pea.experiments import benchmark_volume
from napari_pea.experiments.benchmark_volume import measure_size, measure_volume


def test_figures_are_those_of_the_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_volume, "SIDE", 48)
    told = []
    row = measure_size(
        4 * 40 * 48 * 48 / 1e9, (24, 32, 48), progress=lambda *step: told.append(step)
    )
    assert row["shape"] == [40, 48, 48]
    assert row["blocks"] == 4
    assert row["seconds_per_voxel"] == pytest.approx(row["seconds"] / (40 * 48 * 48))
    assert row["overhead"] > 1
    assert 3 < row["objects"] < 60
    assert told[-1][0] == told[-1][1]


def test_sizes_must_be_above_zero() -> None:
    for sizes in ((), (0.0,)):
        with pytest.raises(InputError, match="above 0"):
            measure_volume(sizes)
