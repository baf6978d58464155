from __future__ import annotations

import pytest

from napari_pea.experiments.tissue import TissueSource
from napari_pea.experiments.volume_workers import measure_workers


def test_one_and_two_workers_are_timed_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    asked = []
    real = distributed.LocalCluster

    def in_this_process(**options):
        asked.append(options["n_workers"])
        return real(**options | {"processes": False})

    monkeypatch.setattr(distributed, "LocalCluster", in_this_process)
    told = []
    figures = measure_workers(
        repeats=1,
        tissue=TissueSource((16, 48, 48)),
        block=(8, 24, 48),
        progress=lambda *step: told.append(step),
    )
    assert asked == [1, 2]
    assert figures["blocks"] == 4
    assert [len(row) for row in figures["seconds"]] == [1, 1]
    assert figures["factor"] == figures["seconds"][0][0] / figures["seconds"][1][0]
    assert told[-1] == (2, 2)
