from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from napari_pea.cli import app
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.experiments.arms import Outcome
from napari_pea.experiments.papers.lsim import BOTH, CLAIMS, ENB, ROWS, SNB, findings, verdict
from napari_pea.experiments.papers.published import LSIM_TABLE_1
from napari_pea.experiments.papers.reproduce import reproduce


def test_a_quick_run_of_the_command_writes_the_table(tmp_path: Path) -> None:
    options = ["--quick", "--seeds", "1", "--device", "cpu", "-o", str(tmp_path)]
    result = CliRunner().invoke(app, ["reproduce", "lsim-1", *options])
    assert result.exit_code == 0, result.output
    written = (tmp_path / "table-lsim-1-made-up-3d.md").read_text()
    assert written.strip() == result.stdout.strip()
    assert "**Made-up images**" in written
    rows = [line for line in written.splitlines() if line.startswith(("| SNB", "| ENB"))]
    assert len(rows) == 12
    assert rows[0].startswith("| SNB, SNB1, MWS | 1.1550 | 0.8740 | ")
    # Single entries of masks are not in the paper.
    assert sum("|  |  |" in row for row in rows) == 2
    stored = json.loads((tmp_path / "table-lsim-1-made-up-3d.json").read_text())
    assert all(len(line["found"]["cremi"]) == 1 for line in stored["lines"])
    # The three networks share all but their branches.
    assert len({line["extra"]["parameters"] for line in stored["lines"]}) == 3
    assert "with MaskAggr, MWS beats the superpixels of ENB: **" in written
    assert "Scores are those of connected components" in written


def test_goes_on_where_it_stopped(tmp_path: Path) -> None:
    token = CancelToken()

    def stop(done: int, total: int) -> None:
        if done == 3:
            token.cancel()

    asked: dict[str, Any] = {"quick": True, "seeds": 1, "device": "cpu", "on": "bbbc039"}
    asked["side"] = 40
    with pytest.raises(Cancelled):
        reproduce("lsim-1", None, tmp_path, progress=stop, cancel=token, **asked)
    steps: list[int] = []
    (report,) = reproduce(
        "lsim-1", None, tmp_path, progress=lambda done, total: steps.append(done), **asked
    )
    assert steps == [2, 4, 4, 5, 6, 6]
    assert {path.name for path in (tmp_path / "lsim-made-up-2d-40").iterdir()} == {
        "snb-0", "enb-0", "snb-enb-0",
    }  # fmt: skip
    assert tuple(report.metrics) == ("aji", "pq", "ap50")
    assert report.notes[0].endswith("**Scored is only the middle, 40×40.**")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Name the folder of the data"):
        reproduce("lsim-1", None, tmp_path)
    with pytest.raises(InputError, match="needs a budget"):
        reproduce("lsim-1", tmp_path, tmp_path)
    with pytest.raises(InputError, match="has no data set 'usiigaci': use cremi, flyem, bbbc039"):
        reproduce("lsim-1", None, tmp_path, quick=True, on="usiigaci")
    with pytest.raises(InputError, match="one width for all arms"):
        reproduce("lsim-1", None, tmp_path, quick=True, widths=(4, 4, 4, 4, 4))
    with pytest.raises(InputError, match="for the table lsim-1 only"):
        reproduce("5", None, tmp_path, quick=True, side=40)


def test_rows_of_the_paper_and_claims_are_rows_of_the_table() -> None:
    rows = {f"{row.arm.name}/{row.way}" for row in ROWS}
    assert len(rows) == len(ROWS)
    assert set(LSIM_TABLE_1) < rows
    for claim in CLAIMS:
        assert claim.winner in ROWS
        assert claim.loser in ROWS


def test_the_paper_itself_has_what_it_claims() -> None:
    scores = {
        arm.name: {
            f"{row.way}/cremi": LSIM_TABLE_1[f"{arm.name}/{row.way}"]["cremi"]
            for row in ROWS
            if row.arm is arm and f"{arm.name}/{row.way}" in LSIM_TABLE_1
        }
        for arm in (SNB, ENB, BOTH)
    }
    paper = [Outcome(arm, "", 1, 1, None, found) for arm, found in scores.items()]
    told = findings(paper, "cremi").splitlines()
    assert len(told) == len(CLAIMS) == 8
    assert all("**yes** in the only run" in line for line in told)


@pytest.mark.parametrize(
    ("differences", "told"),
    [
        ([], "not measured"),
        ([float("nan")], "not measured"),
        ([0.2], "**yes** in the only run (+0.200), whose spread is unknown"),
        ([-0.2], "**no** in the only run (-0.200), whose spread is unknown"),
        ([0.2, 0.3], "**yes** (+0.250 ± 0.071, better in 2 of 2 runs)"),
        ([-0.2, -0.3], "**no** (-0.250 ± 0.071, better in 0 of 2 runs)"),
        ([0.01, 0.5], "**not clear** (+0.255 ± 0.346, better in 2 of 2 runs)"),
        ([0.3, 0.3, -0.1], "**not clear** (+0.167 ± 0.231, better in 2 of 3 runs)"),
    ],
)
def test_a_finding_holds_only_beyond_the_spread(differences: list[float], told: str) -> None:
    assert verdict(differences) == told


def test_runs_are_compared_seed_by_seed() -> None:
    def run(arm: str, seed: int, value: float) -> Outcome:
        return Outcome(arm, "", seed, 1, None, {"sparse/mutex/aji": value, "head/mutex/aji": value})

    # Seeds differ more than arms do.
    outcomes = [run("snb", 1, 0.2), run("snb", 2, 0.8), run("enb", 1, 0.3), run("enb", 2, 0.92)]
    first, *others = findings(outcomes, "aji").splitlines()
    assert first.endswith("ENB beats SNB: **yes** (+0.110 ± 0.014, better in 2 of 2 runs)")
    assert all(line.endswith("not measured") for line in others)
