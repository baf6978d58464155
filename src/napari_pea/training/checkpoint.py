"""Everything needed to go on with a run as if it had never stopped."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.training.settings import TrainingSettings

CHECKPOINT_NAME = "checkpoint.pt"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after some iteration.

    Attributes
    ----------
    iteration : int
        Iterations done.
    settings : dict
        The settings of the run, as plain values.
    network, average, optimizer, schedule : dict
        State dictionaries.
    best_score : float
        The best validation score so far.
    best_iteration : int or None
        When it was reached.
    rows : list of dict
        The history.
    pending : list of dict
        Losses since the last row.
    scaler : dict
        State dictionary, empty where gradients are not scaled.
    """

    iteration: int
    settings: dict[str, Any]
    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    best_score: float
    rows: list[dict[str, float]]
    pending: list[dict[str, float]]
    best_iteration: int | None = None
    scaler: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write the checkpoint into a run's folder, replacing the one before."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        # On a full disk torch itself raises an error that does not say so.
        content = io.BytesIO()
        torch.save(fields, content)
        with atomic_write(folder / CHECKPOINT_NAME) as temporary:
            temporary.write_bytes(content.getbuffer())

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Read the checkpoint of a run's folder; nothing in the file is executed.

        Raises
        ------
        InputError
            If there is none or it is damaged.
        """
        path = folder / CHECKPOINT_NAME
        if not path.exists():
            raise InputError(f"There is no training run to resume in {folder}.")
        try:
            return cls(**torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:
            raise InputError(
                f"The checkpoint {path} is damaged; start the run again without resuming it."
            ) from error

    def check_settings(self, settings: TrainingSettings) -> None:
        """Make sure that the run goes on with the settings it began with.

        Raises
        ------
        InputError
            If a setting differs.
        """
        changed = changed_settings(self.settings, settings)
        if changed:
            raise InputError(
                "A run is resumed with the settings it began with, but these differ: "
                f"{', '.join(changed)}."
            )

    def check_network(self, network: torch.nn.Module) -> None:
        """Make sure that the run goes on with a network like the one it began with.

        Raises
        ------
        InputError
            If its architecture differs.
        """
        wanted = {name: value.shape for name, value in network.state_dict().items()}
        if wanted != {name: value.shape for name, value in self.network.items()}:
            raise InputError(
                "A run is resumed with the network it began with, but this one has another "
                "architecture."
            )


def plain_settings(settings: TrainingSettings) -> dict[str, Any]:
    """Return the settings as nested dictionaries of numbers, strings and lists."""
    return {name: _plain(value) for name, value in asdict(settings).items()}


def changed_settings(began: dict[str, Any], settings: TrainingSettings) -> list[str]:
    """Return the names of the settings in which a run differs from what it began with.

    Parameters
    ----------
    began : dict
        The plain settings of the run. Settings that did not exist when it began had the value
        that is the default now.
    settings : TrainingSettings
        Those it is to go on with.
    """
    known = _flat(plain_settings(TrainingSettings())) | _flat(began)
    wanted = _flat(plain_settings(settings))
    return [name for name, value in wanted.items() if known[name] != value]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a run and of its parts in one dictionary."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
