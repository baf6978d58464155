"""How long every run of a table may be."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_pea.core.errors import InputError
from napari_pea.core.progress import Progress
from napari_pea.experiments.arms import write_text

#: The file that keeps how many iterations fit into the time.
BUDGET_NAME = "budget.json"
#: So many iterations are timed, the first ones left out.
TIMED, WARM_UP = 12, 4


@dataclass(frozen=True)
class Budget:
    """The length of a run: steps, or minutes on this machine.

    Attributes
    ----------
    iterations : int, optional
        Steps of the optimiser.
    minutes : float, optional
        Instead of these.
    """

    iterations: int | None = None
    minutes: float | None = None

    @classmethod
    def of(cls, text: str) -> Budget:
        """Read a budget such as 400 or 20m.

        Raises
        ------
        InputError
            If it is something else.
        """
        match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)m", text.strip())
        if match is None or not float(match[1] or match[2]) > 0:
            raise InputError(
                f"A budget is a number of steps such as 400, or minutes such as 20m, not {text!r}."
            )
        return cls(int(match[1]), None) if match[1] else cls(None, float(match[2]))

    def __str__(self) -> str:
        if self.iterations is not None:
            return f"{self.iterations} steps"
        return f"{self.minutes:g} minutes"

    def steps(self, name: str, folder: Path, train: Callable[[int, Path, Progress], object]) -> int:
        """Return how many steps a run has; for minutes this is measured once.

        Parameters
        ----------
        name : str
            What is trained.
        folder : Path
            Keeps what was measured.
        train : callable
            Given a number of steps, a folder that is soon gone, and a callable that is told of
            each step, trains.

        Raises
        ------
        InputError
            If the folder holds runs of another budget, or what it keeps is damaged.
        """
        if self.iterations is not None:
            return self.iterations
        path = folder / BUDGET_NAME
        known = _known(path)
        if known.setdefault("minutes", self.minutes or 0) != self.minutes:
            raise InputError(
                f"The folder {folder} holds runs of {known['minutes']:g} minutes: give the same, "
                "or choose another folder."
            )
        if name not in known:
            ticks: list[float] = []
            with tempfile.TemporaryDirectory() as run:
                train(TIMED, Path(run), lambda done, total, /: ticks.append(time.perf_counter()))
            # The last one also wrote the model.
            seconds = (ticks[-2] - ticks[WARM_UP]) / (len(ticks) - 2 - WARM_UP)
            known[name] = max(1, round(known["minutes"] * 60 / seconds))
            write_text(path, json.dumps(known))
        return int(known[name])


def _known(path: Path) -> dict[str, float]:
    """Return what was measured before."""
    if not path.exists():
        return {}
    try:
        known = {name: float(value) for name, value in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"The budget {path} cannot be read: delete it.") from error
    return known
