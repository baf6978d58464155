from __future__ import annotations

from pathlib import Path

import pytest

from napari_pea.core.errors import InputError
from napari_pea.experiments import volume_kills
from napari_pea.experiments.tissue import TissueSource
from napari_pea.experiments.volume_kills import measure_volume_kills

TISSUE, BLOCK = TissueSource((16, 48, 48)), (8, 24, 48)


def test_a_job_that_is_killed_goes_on_to_the_same_labels(tmp_path: Path) -> None:
    told = []
    figures = measure_volume_kills(
        tmp_path, 1, tissue=TISSUE, block=BLOCK, seed=1, progress=lambda *step: told.append(step)
    )
    assert figures["kills"] == len(figures["kept"]) == 1
    assert 0 <= figures["kept"][0] <= figures["blocks"] == 4
    assert figures["compared"] >= 1
    assert told[-1] == (1, 1)


def test_other_labels_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(volume_kills, "killed", lambda *_, after: False)
    segment = volume_kills._segment

    def spoiled(tissue, output, block):
        if output.name == "straight.zarr":
            tissue = TissueSource(tissue.shape, noise=0.9)
        return segment(tissue, output, block)

    monkeypatch.setattr(volume_kills, "_segment", spoiled)
    segment(TISSUE, tmp_path / "killed.zarr", BLOCK)
    with pytest.raises(InputError, match="other labels"):
        measure_volume_kills(tmp_path, 1, tissue=TISSUE, block=BLOCK)
