"""`napari-pea benchmark volume`."""

from __future__ import annotations

import json

import pytest

from napari_pea.experiments import (
    agreement,
    benchmark_volume,
    volume_kills,
    volume_model,
    volume_workers,
)

FACES = {"faces": 0.05, "elsewhere": 0.06, "ratio": 0.8, "deviations": -0.5}
ROW = {
    "gigabytes": 0.25,
    "objects": 9123,
    "blocks": 16,
    "seconds": 200.0,
    "cpu": 150.0,
    "cpu_per_voxel": 2.4e-6,
    "overhead": 1.25,
    "bytes": None,
}
FIGURES = {
    "growth": {"volumes": [ROW | {"arand": 0.002, "faces": FACES}], "growth": 1.1, "growth_cpu": 1},
    "agreement": {
        "nuclei": {
            "shape": [64, 64],
            "blocks": 4,
            "objects_blocks": 7,
            "objects_whole": 8,
            "arand": 0.0012,
            "faces": FACES,
            "faces_whole": FACES | {"faces": 0.04},
        }
    },
    "kills": {"kills": 2, "kept": [3, 4], "blocks": 8, "compared": 1},
    "workers": {"seconds": [[10.0], [6.0]], "factor": 10 / 6, "blocks": 16},
    "model": ROW,
}
SAID = {
    "growth": ("9,123", "2400 ns", "1.25", "not known", "0.0020", "1.10 times the"),
    "agreement": ("64 × 64 in 4 blocks: 7 objects, 8", "0.0012", "5.00 %", "6.00 %", "4.00 % on"),
    "kills": ("3, 4 of 8 blocks", "all identical"),
    "workers": ("1.67 times as fast",),
    "model": ("9,123", "2400 ns"),
}


@pytest.fixture
def asked(monkeypatch):
    """What is asked of the measurements, which themselves are left out here."""
    seen = {}

    def stand_in(what):
        def measure(*given, progress, cancel, **options):
            seen.update(options, given=given)
            return FIGURES[what]

        return measure

    monkeypatch.setattr(benchmark_volume, "measure_volume", stand_in("growth"))
    monkeypatch.setattr(agreement, "measure_agreement", stand_in("agreement"))
    monkeypatch.setattr(volume_kills, "measure_volume_kills", stand_in("kills"))
    monkeypatch.setattr(volume_workers, "measure_workers", stand_in("workers"))
    monkeypatch.setattr(volume_model, "measure_model", stand_in("model"))
    return seen


@pytest.mark.parametrize("what", SAID)
def test_figures_are_told(run, asked, tmp_path, what):
    words = ["benchmark", "volume", "--what", what, "--data", tmp_path]
    out = " ".join(run(*words).stdout.split())
    for text in SAID[what]:
        assert text in out
    assert json.loads(run(*words, "--json").stdout) == FIGURES[what]


def test_sizes_blocks_and_memory_are_passed_on(run, asked, tmp_path):
    folder = tmp_path / "new"
    run("benchmark", "volume", "--sizes", "0.1,0.2", "--block", "8,16,32", "--folder", folder)
    assert asked == {
        "given": ((0.1, 0.2),),
        "block": (8, 16, 32),
        "limit": 4.0,
        "folder": folder,
    }
    assert folder.is_dir()
    run("benchmark", "volume", "--memory", "0")
    assert asked["limit"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--what", "speed"], "--what"),
        (["--block", "8,16"], "three numbers"),
        (["--what", "model"], "needs --data"),
    ],
)
def test_bad_options_are_named(fails, options, message):
    assert message in fails("benchmark", "volume", *options)
