from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_pea.cli import app
from napari_pea.experiments.benchmark_mask_noise import (
    KINDS,
    NoiseFigures,
    Point,
    made_up,
    measure_noise,
    noisy,
)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_goes_where_its_name_says_and_stays_within_0_and_1(kind: str) -> None:
    affinities = np.full((3, 40, 40), 0.5, np.float32)
    found = noisy(affinities, 0.1, kind, np.random.default_rng(0))
    changed = found - affinities
    if kind == "towards merging":
        assert changed.min() >= 0
    elif kind == "towards splitting":
        assert changed.max() <= 0
    else:
        assert abs(changed.mean()) < 0.02
        assert changed.std() == pytest.approx(0.1, rel=0.05)
    strong = noisy(affinities, 5.0, kind, np.random.default_rng(0))
    assert 0 <= strong.min() <= strong.max() <= 1
    # Channels have noise of their own; neighbouring pixels have similar noise.
    assert np.corrcoef(changed[0].ravel(), changed[1].ravel())[0, 1] < 0.3
    assert np.corrcoef(changed[0, :, 1:].ravel(), changed[0, :, :-1].ravel())[0, 1] > 0.8


def test_all_levels_are_measured_on_the_same_noise() -> None:
    model, images = made_up()
    told: list[tuple[int, int]] = []
    figures = measure_noise(
        model, images, levels=(0.2, 0.4), seeds=2, progress=lambda *step: told.append(step)
    )
    assert figures.metric == "aji"
    assert figures.ways == [("averaged", "mutex"), ("averaged", "average")]
    assert len(figures.points) == 2 * (1 + 3 * 2)
    for kind in KINDS:
        levels = [point.level for point in figures.curve(kind, "averaged", "mutex")]
        assert levels == [0, 0.2, 0.4]
    assert [len(point.scores) for point in figures.points[:3]] == [1, 1, 2]
    assert told[-1] == (13, 13)
    again = measure_noise(model, images, levels=(0.2, 0.4), seeds=2)
    assert again == figures


def test_figures_are_told_as_a_table_and_as_a_picture(tmp_path: Path) -> None:
    points = [
        Point("", 0.0, "averaged", "mutex", [[0.85, 0.95]]),
        *(Point(kind, 0.4, "averaged", "mutex", [[0.6, 0.8], [0.8, 0.8]]) for kind in KINDS),
    ]
    figures = NoiseFigures("some", "aji", 2, points)
    lines = figures.markdown().splitlines()
    assert lines[2] == "| noise | level | MaskAggr, MWS |"
    assert lines[4] == "| none | 0 | 0.900 |"
    assert lines[5] == "| in both directions | 0.4 | 0.750 ± 0.071 |"
    assert len(lines) == 8
    figures.save(tmp_path)
    assert json.loads((tmp_path / "mask-noise-some.json").read_text())["points"][1]["level"] == 0.4
    assert (tmp_path / "mask-noise-some.png").stat().st_size > 1000


def test_partitions_are_compared_image_by_image() -> None:
    points = [
        Point("", 0.0, "averaged", "mutex", [[0.5, 0.9]]),
        Point("", 0.0, "averaged", "average", [[0.4, 0.82]]),
    ]
    told = NoiseFigures("some", "aji", 2, points).markdown()
    assert "MaskAggr: MWS better than WSDT + GaspAvg by +0.0900 ± 0.0100" in told
    errors = NoiseFigures("some", "cremi", 2, points).markdown()
    assert "MaskAggr: MWS better than WSDT + GaspAvg by -0.0900 ± 0.0100" in errors


def test_the_command_names_what_it_needs(tmp_path: Path) -> None:
    folder = tmp_path / "noise"
    options = ["benchmark", "mask-noise", "-o", str(folder)]
    missing = CliRunner().invoke(app, options)
    assert missing.exit_code != 0
    assert "Name the folder of the data with --data" in missing.stderr
    other = CliRunner().invoke(app, [*options, "--data", str(tmp_path), "-m", "nuclei"])
    assert "'nuclei' has no masks" in other.stderr
    quick = CliRunner().invoke(app, [*options, "--quick", "--seeds", "1", "--levels", "0.3"])
    assert quick.exit_code == 0, quick.output
    assert (folder / "mask-noise-made-up.md").read_text().strip() == quick.stdout.strip()
