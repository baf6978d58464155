from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from napari_pea.core.errors import Cancelled
from napari_pea.core.progress import CancelToken
from napari_pea.models.zoo import trial


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is run in place of the package."""
    path = tmp_path / "script" / "run.py"
    path.parent.mkdir()
    monkeypatch.setattr(trial, "SCRIPT", path)
    return path


def test_the_users_own_packages_are_found_and_no_folder_at_hand(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    script.write_text(
        "import json, os, sys\n"
        "told = {'needs': [], 'no user site': str(sys.flags.no_user_site)}\n"
        "told['here'] = str({'', os.getcwd(), os.path.dirname(__file__)} & set(sys.path))\n"
        f"told['elsewhere'] = str({str(tmp_path / 'elsewhere')!r} in sys.path)\n"
        "print(json.dumps(told))\n"
    )
    told = trial.rerun(tmp_path / "a.zip")
    assert told == {"no user site": "0", "here": "set()", "elsewhere": "True"}


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("raise ValueError('bad')", "ValueError: bad"),
        ("raise SystemExit(3)", "no reason was told"),
        ('print(\'{"needs": ["napari"]}\')', "its code imports napari"),
        (
            'print(\'{"needs": [], "pytorch_state_dict": [0.0, 0.5]}\')',
            "its outputs differ by 0.5",
        ),
    ],
)
def test_what_is_wrong_is_said(script: Path, tmp_path: Path, code: str, wrong: str) -> None:
    script.write_text(code)
    assert trial.rerun(tmp_path / "a.zip") == {"pytorch_state_dict": wrong}


def test_a_run_can_be_stopped(script: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    script.write_text(
        "import os, pathlib, time\n"
        f"part = pathlib.Path({str(begun.with_suffix('.part'))!r})\n"
        "part.write_text(str(os.getpid()))\n"
        f"part.rename({str(begun)!r})\n"
        "while True:\n    time.sleep(1)\n"
    )
    token = CancelToken()

    def cancel() -> None:
        while not begun.exists():
            time.sleep(0.02)
        token.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Cancelled):
        trial.rerun(tmp_path / "a.zip", token)
    thread.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)
