"""Other tools of the zoo run our packages as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import sys, warnings
warnings.simplefilter("ignore")
from bioimageio.core import test_model
summary = test_model(sys.argv[1], weight_format="pytorch_state_dict")
if summary.status != "passed":
    sys.exit(str(summary))
places = [each.loc for each in summary.warnings if each.loc[0] != "weights"]
if wanting := [place for place in places if place[-1] != "sample_tensor"]:
    sys.exit(f"the zoo wants more: {wanting}")
assert not any(name.startswith("napari_pea") for name in sys.modules)
"""


def test_the_library_of_the_zoo_runs_a_package(package: Path, tmp_path: Path) -> None:
    pytest.importorskip("bioimageio.core", exc_type=ImportError)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-c", RUN, package],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
