from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_pea.core.errors import InputError
from napari_pea.experiments import benchmark_volume
from napari_pea.experiments.benchmark_volume import Spent, measure_job, measure_size, measure_volume
from napari_pea.experiments.tissue import TissueSource
from napari_pea.volumes.job import VolumeOptions


def test_figures_are_those_of_the_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_volume, "SIDE", 48)
    told = []
    row = measure_size(
        4 * 40 * 48 * 48 / 1e9,
        (24, 32, 48),
        tmp_path,
        progress=lambda *step: told.append(step),
    )
    assert row["shape"] == [40, 48, 48]
    assert row["blocks"] == 4
    assert row["cpu_per_voxel"] == pytest.approx(row["cpu"] / (40 * 48 * 48))
    assert row["overhead"] > 1
    assert 3 < row["objects"] < 60
    assert row["arand"] < 0.1
    assert row["faces"]["deviations"] < 3
    assert told[-1][0] == told[-1][1]


def test_the_time_of_a_job_that_was_stopped_counts_on(tmp_path: Path) -> None:
    output, source = tmp_path / "tissue.zarr", TissueSource((16, 48, 48))

    def stop(done: int, total: int, /) -> None:
        if done == 2:
            raise KeyboardInterrupt

    options = VolumeOptions((8, 24, 48))
    given = (source, output, benchmark_volume.SETTINGS, options)
    with pytest.raises(KeyboardInterrupt):
        measure_job(*given, progress=stop)
    before = Spent.kept(tmp_path / "tissue.spent.json")
    assert before.starts == 1
    assert 0 < before.embedding + before.partition < before.cpu
    row, result = measure_job(*given)
    assert row["starts"] == 2
    assert row["cpu"] > before.cpu
    assert result.levels()[0].shape == source.shape
    again, _ = measure_job(*given)  # it was measured already
    assert again == json.loads((tmp_path / "tissue.json").read_text()) == row


def test_sizes_must_be_above_zero() -> None:
    for sizes in ((), (0.0,)):
        with pytest.raises(InputError, match="above 0"):
            measure_volume(sizes)
