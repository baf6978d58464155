"""Running a package in a process of its own, as a stranger does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from napari_pea.core.progress import CancelToken, check_cancel

#: What runs it.
SCRIPT = Path(__file__).with_name("rerun.py")
#: How much the outputs of the package may differ from those of the model.
CLOSE = 1e-4
#: How often a wait looks whether it was cancelled, in seconds.
CHECK_SECONDS = 0.2


def rerun(package: Path, cancel: CancelToken | None = None) -> dict[str, str]:
    """Run a package without this program and return what is wrong, by format of weights.

    Parameters
    ----------
    package : Path
        The zip archive.
    cancel : CancelToken, optional
        Looked at while waiting; the process is ended then.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    import torch

    # PyTorch may lie in the folder of the user's own packages, so the process finds what this one
    # finds; only the folder of the script, which lies inside this program, is left out.
    command = [sys.executable, "-P", str(SCRIPT), str(package), str(torch.get_num_threads())]
    with subprocess.Popen(  # noqa: S603 - our own script and our own package
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            told, complaint = _said(process, cancel)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        lines = complaint.strip().splitlines() or ["no reason was told"]
        return {"pytorch_state_dict": lines[-1]}
    found = json.loads(told)
    needs = found.pop("needs")
    if needs:
        return {"pytorch_state_dict": f"its code imports {needs[0]}"}
    return {
        kind: result if isinstance(result, str) else f"its outputs differ by {max(result):.2g}"
        for kind, result in found.items()
        if isinstance(result, str) or not max(result) <= CLOSE
    }


def _said(process: subprocess.Popen[str], cancel: CancelToken | None) -> tuple[str, str]:
    """Wait for a process and return what it has written and complained of."""
    while True:
        check_cancel(cancel)
        try:
            return process.communicate(timeout=CHECK_SECONDS)
        except subprocess.TimeoutExpired:
            continue
