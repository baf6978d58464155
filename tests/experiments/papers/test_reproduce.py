from __future__ import annotations

import json
from pathlib import Path

import pytest
from skimage.io import imread
from typer.testing import CliRunner

from napari_pea.cli import app
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.experiments.papers.benchmarks import DATA_SETS
from napari_pea.experiments.papers.budget import Budget
from napari_pea.experiments.papers.reproduce import NAMES, reproduce
from napari_pea.experiments.papers.tables import TABLES, ways_of


def test_a_quick_run_of_the_command_writes_the_table(tmp_path: Path) -> None:
    options = ["--quick", "--seeds", "1", "--device", "cpu", "-o", str(tmp_path)]
    result = CliRunner().invoke(app, ["reproduce", "5", *options])
    assert result.exit_code == 0, result.output
    assert "**Made-up discs**" in result.stdout
    assert (tmp_path / "table-5-made-up.md").read_text().strip() == result.stdout.strip()
    rows = [line for line in result.stdout.splitlines() if line.startswith("| SCM")]
    assert [row.split("|")[1].strip() for row in rows] == [
        "SCM", "SCM + EPM", "SCM + CCM", "SCM + CCM + EPM",
    ]  # fmt: skip
    assert "| 0.8770 | 1.15 |" in rows[0]
    stored = json.loads((tmp_path / "table-5-made-up.json").read_text())
    assert [len(line["found"]["sbd"]) for line in stored["lines"]] == [1] * 5
    # The foreground is given; its pieces hold two discs each.
    assert stored["lines"][-1]["found"]["dic"] == [2]


def test_tables_share_their_runs_and_go_on_where_they_stopped(tmp_path: Path) -> None:
    token = CancelToken()

    def stop(done: int, total: int) -> None:
        if done == 3:
            token.cancel()

    with pytest.raises(Cancelled):
        reproduce(
            "5", None, tmp_path, quick=True, seeds=1, device="cpu", progress=stop, cancel=token
        )
    steps: list[int] = []
    reproduce(
        "5", None, tmp_path, quick=True, seeds=1, device="cpu",
        progress=lambda done, total: steps.append(done),
    )  # fmt: skip
    # The first run was done, the second one had a step left.
    assert steps == [2, 4, 4, 5, 6, 6, 7, 8, 8]
    runs = {path.name for path in (tmp_path / "made-up").iterdir()}
    assert runs == {"scm-0", "scm-epm-0", "scm-ccm-0", "pea-0"}
    with pytest.raises(InputError, match="holds a run with other settings"):
        reproduce("5", None, tmp_path, quick=True, seeds=1, device="cpu", budget=Budget(3))


def test_backbones_are_told_with_their_parameters(tmp_path: Path) -> None:
    (report,) = reproduce("1", None, tmp_path, quick=True, seeds=1, device="cpu")
    assert [line.paper["dic"] for line in report.lines[:3]] == [2.36, 1.52, 1.42]
    assert all(line.extra["parameters"].endswith(" M") for line in report.lines[:3])
    assert {path.name for path in (tmp_path / "made-up").iterdir()} == {
        "pea-0", "resnet50-0", "resnet101-0",
    }  # fmt: skip


def test_baselines_are_scored_in_their_own_ways_and_trained_as_published(tmp_path: Path) -> None:
    (report,) = reproduce(
        "2", None, tmp_path, quick=True, seeds=1, device="cpu", as_published=True, crop=16
    )
    record = json.loads((tmp_path / "made-up" / "ml-de-0" / "outcome.json").read_text())
    settings = record["settings"]
    assert settings["objective"]["kind"] == "discriminative"
    assert (settings["optimizer"], settings["schedule"]) == ("paper", "constant")
    assert (settings["learning_rate"], settings["ema_decay"], settings["crop"]) == (1e-4, 0, 16)
    assert [line.title for line in report.lines[:4]] == [
        "AL-Gao", "ML-De, mean shift", "ML-De, Mutex", "PEA",
    ]  # fmt: skip
    assert all(len(line.found["sbd"]) == 1 for line in report.lines)
    # One run, two ways to objects.
    assert (tmp_path / "made-up" / "ml-de-0").exists()
    assert report.lines[1].extra == report.lines[2].extra


def test_neurons_are_partitioned_by_multicut_and_mutex(tmp_path: Path) -> None:
    (report,) = reproduce("4", None, tmp_path, quick=True, seeds=1, device="cpu")
    assert [line.title for line in report.lines] == [
        "SuperHuman", "SuperHuman, Mutex instead of multicut",
        "ML-De", "ML-De, Mutex instead of multicut",
        "PEA", "PEA, Mutex instead of multicut",
    ]  # fmt: skip
    assert report.lines[4].paper == {
        "voi_split": 0.8522, "voi_merge": 0.2322, "voi": 1.0844, "arand": 0.0938,
    }  # fmt: skip
    for line in report.lines:
        (split,), (merge,), (voi,) = (
            line.found[name] for name in ("voi_split", "voi_merge", "voi")
        )
        assert voi == pytest.approx(split + merge)
    assert "not by connected components as in table 1 of LSIM" in report.markdown()
    record = json.loads((tmp_path / "made-up-3d" / "superhuman-0" / "outcome.json").read_text())
    assert record["arguments"]["embedding_dim"] == 12
    assert record["settings"]["objective"]["affinity_loss"] == "entropy"


def test_widths_that_make_no_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="five numbers of channels"):
        reproduce("1", None, tmp_path, quick=True, widths=(16, 32))


@pytest.mark.parametrize("name", ["3", "6"])
def test_a_quick_run_of_the_other_tables_fills_every_row(name: str, tmp_path: Path) -> None:
    (report,) = reproduce(name, None, tmp_path, quick=True, seeds=1, device="cpu")
    own = report.lines[:-1]  # the last one needs no network
    assert len(own) == len(TABLES[name].entries)
    assert all(len(line.found[metric]) == 1 for line in own for metric in report.metrics)


def test_figure_6_is_drawn_beside_its_table(tmp_path: Path) -> None:
    (report,) = reproduce("figure-6", None, tmp_path, quick=True, seeds=1, device="cpu")
    titles = {line.title for line in report.lines}
    for panel in TABLES["figure-6"].panels:
        assert {title for _, title in panel.points} <= titles
    assert imread(tmp_path / "figure-6-made-up.png").ndim == 3


def test_table_7_needs_no_training(tmp_path: Path) -> None:
    (report,) = reproduce("7", None, tmp_path, quick=True, device="cpu")
    assert report.title.endswith("model `nuclei`")
    assert len(report.lines) == 5
    # The figures of a real run in the same folder stay as they are.
    assert "Made-up images" in (tmp_path / "table-7-made-up.md").read_text()
    assert not (tmp_path / "table-7-nuclei.md").exists()
    with pytest.raises(InputError, match="none of the folders bbbc039, usiigaci"):
        reproduce("7", tmp_path, tmp_path, device="cpu")
    (tmp_path / "usiigaci").mkdir()
    with pytest.raises(InputError, match="none of the folders bbbc039"):
        reproduce("7", tmp_path, tmp_path, on="bbbc039", device="cpu")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no table .8. here: use 1, .*, 7, figure-6, lsim-1, speed\."
    ):
        reproduce("8", None, tmp_path, quick=True)
    with pytest.raises(InputError, match="Name the folder of the data"):
        reproduce("5", None, tmp_path)
    with pytest.raises(InputError, match="needs a budget, such as 400 or 20m"):
        reproduce("5", tmp_path, tmp_path)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_runs_have_names_of_their_own_and_rows_a_way_to_objects(table) -> None:
    assert table.name in NAMES
    assert len({arm.name for arm in table.arms}) == len(table.arms)
    for entry in table.entries:
        assert entry.way in ways_of(entry.arm, DATA_SETS[table.data].ndim)
    named: dict[str, object] = {}
    for other in TABLES.values():
        for arm in other.arms:
            # Tables share runs by name.
            assert named.setdefault(arm.name, arm) == arm
