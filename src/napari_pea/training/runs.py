"""Runs that are kept in folders with all they need, so that they go on after any end.

A crash may take the window, its layers and the paint on them. So a run begins by writing down
what it learns from; the folder alone is enough to go on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from pydantic import ValidationError

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write, locked
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import SUFFIX
from napari_pea.training.settings import TrainingSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.training.labelled import LabelledImage

#: What lies in the folder of a run, besides what training itself writes.
PLAN_NAME, IMAGES_NAME, START_NAME, END_NAME, LOCK_NAME = (
    "plan.json", "images.npz", f"start{SUFFIX}", "ended.json", ".lock",
)  # fmt: skip
#: What is needed no more once the model is saved elsewhere.
LARGE_NAMES = (IMAGES_NAME, START_NAME, "checkpoint.pt")
#: The arrays of an image, and what else is known about it.
ARRAYS = ("image", "labels", "background", "region")
FACTS = ("name", "weight", "group", "channel", "channel_axis", "zero", "whole_objects")


@dataclass(frozen=True)
class RunPlan:
    """All that a run needs.

    Attributes
    ----------
    images : tuple of LabelledImage
        What is learned from.
    metadata : ModelMetadata
        Of the model to be made.
    settings : TrainingSettings
        The run.
    start : Path or None
        The model file to go on from; None for nothing.
    keep : tuple of array
        Images of the kind that the start knows.
    device : str
        "auto" or the name of a device.
    description : str
        One sentence for people: what it is trained on.
    layers : tuple of str
        Names of the images that were painted in a viewer and may be nowhere else.
    layouts : mapping
        How they lay there, as plain values by the names of the layers.
    """

    images: tuple[LabelledImage, ...]
    metadata: ModelMetadata
    settings: TrainingSettings
    start: Path | None = None
    keep: tuple[NDArray[Any], ...] = ()
    device: str = "auto"
    description: str = ""
    layers: tuple[str, ...] = ()
    layouts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class KeptRun:
    """A run in its folder.

    Attributes
    ----------
    folder : Path
        Where it is.
    """

    folder: Path

    @classmethod
    def begin(cls, root: Path, plan: RunPlan) -> KeptRun:
        """Make a folder for a run and write down what it needs.

        Raises
        ------
        InputError
            If it cannot be written, for example because the disk is full.
        """
        now = datetime.now().astimezone()
        folder = root / now.strftime("%Y-%m-%d %H-%M-%S")
        number = 1
        while folder.exists():
            number += 1
            folder = root / f"{now:%Y-%m-%d %H-%M-%S} {number}"
        run = cls(folder)
        try:
            run._write(plan, now)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InputError(
                f"The training cannot begin, because {root} cannot be written to "
                f"({error.strerror}): make room there, then click Train again."
            ) from error
        return run

    def _write(self, plan: RunPlan, now: datetime) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        for number, item in enumerate(plan.images):
            for name in ARRAYS:
                if (values := getattr(item, name)) is not None:
                    arrays[f"{name}_{number}"] = np.asarray(values)
        arrays |= {f"keep_{number}": image for number, image in enumerate(plan.keep)}
        with atomic_write(self.folder / IMAGES_NAME) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        if plan.start is not None:
            with atomic_write(self.folder / START_NAME) as temporary:
                shutil.copyfile(plan.start, temporary)
        told = {
            "begun": now.isoformat(timespec="seconds"),
            "images": [{name: getattr(item, name) for name in FACTS} for item in plan.images],
            "kept": len(plan.keep),
            # What was not given is taken over from the start.
            "metadata": plan.metadata.model_dump(mode="json", exclude_unset=True),
            "settings": asdict(plan.settings),
            "device": plan.device,
            "description": plan.description,
            "layers": list(plan.layers),
            "layouts": dict(plan.layouts),
        }
        # Written last: without it there is no run.
        self._tell(PLAN_NAME, told)

    def plan(self) -> RunPlan:
        """Read what the run needs.

        Raises
        ------
        InputError
            If the folder is damaged.
        """
        from napari_pea.training.labelled import LabelledImage

        told = self._told(PLAN_NAME)
        start = self.folder / START_NAME
        try:
            with np.load(self.folder / IMAGES_NAME, allow_pickle=False) as arrays:
                images = tuple(
                    LabelledImage(
                        **facts,
                        **{
                            name: arrays[key]
                            for name in ARRAYS
                            if (key := f"{name}_{number}") in arrays
                        },
                    )
                    for number, facts in enumerate(told["images"])
                )
                keep = tuple(arrays[f"keep_{number}"] for number in range(told["kept"]))
            return RunPlan(
                images=images,
                metadata=ModelMetadata.model_validate(told["metadata"]),
                settings=_settings(told["settings"]),
                start=start if start.exists() else None,
                keep=keep,
                device=told["device"],
                description=told["description"],
                layers=tuple(told["layers"]),
                layouts=told.get("layouts", {}),
            )
        except (OSError, ValueError, KeyError, TypeError, BadZipFile, ValidationError) as error:
            raise InputError(
                f"The training run in {self.folder} is damaged: begin a new one."
            ) from error

    @property
    def begun(self) -> datetime:
        """When the run was begun."""
        return datetime.fromisoformat(self._told(PLAN_NAME)["begun"])

    @property
    def description(self) -> str:
        """What it is trained on, in one sentence."""
        return str(self._told(PLAN_NAME)["description"])

    @property
    def model_path(self) -> Path | None:
        """The model that it has made; None as long as it is under way."""
        if not (self.folder / END_NAME).exists():
            return None
        return self.folder / str(self._told(END_NAME)["model"])

    def end(self, model: Path) -> None:
        """Take note that the run has come to its end.

        Parameters
        ----------
        model : Path
            The model file, in the folder of the run.

        Raises
        ------
        InputError
            If that cannot be written.
        """
        try:
            self._tell(END_NAME, {"model": model.name})
        except OSError as error:
            raise InputError(
                f"The end of the run could not be written to {self.folder} ({error.strerror}): "
                "make room there, then resume the run."
            ) from error

    def put_away(self) -> None:
        """Keep only the record of the run: its model has been saved elsewhere."""
        (self.folder / PLAN_NAME).rename(self.folder / f"saved-{PLAN_NAME}")
        for path in [*(self.folder / name for name in LARGE_NAMES), self.model_path]:
            if path is not None:
                path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the run and all it has made."""
        # First what makes a run of it.
        (self.folder / PLAN_NAME).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the run from being gone on with twice, also by another program.

        Raises
        ------
        InputError
            If somebody holds it.
        """
        with locked(self.folder / LOCK_NAME) as mine:
            if not mine:
                raise InputError(f"The training run in {self.folder} is under way elsewhere.")
            yield

    @property
    def is_held(self) -> bool:
        """Whether the run is under way, or cannot be gone on with because its folder is closed."""
        try:
            with locked(self.folder / LOCK_NAME) as mine:
                return not mine
        except OSError:
            return True

    def _tell(self, name: str, told: Mapping[str, Any]) -> None:
        with atomic_write(self.folder / name) as temporary:
            temporary.write_text(json.dumps(told, indent=1), encoding="utf-8")

    def _told(self, name: str) -> dict[str, Any]:
        try:
            told = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"The training run in {self.folder} is damaged: begin a new one."
            ) from error
        return dict(told)


def kept_runs(root: Path) -> list[KeptRun]:
    """Return the runs that were not finished, or whose model was not saved, the newest first.

    Parameters
    ----------
    root : Path
        The folder of all runs; it may not exist.
    """
    return [run for run in all_runs(root) if not run.is_held]


def all_runs(root: Path) -> list[KeptRun]:
    """Return the same with the runs that are under way."""
    plans = sorted(root.glob(f"*/{PLAN_NAME}"), reverse=True)
    return [KeptRun(path.parent) for path in plans]


def _settings(told: Mapping[str, Any]) -> TrainingSettings:
    """Return settings of which JSON has kept the values."""
    flat: dict[str, Any] = {}
    for name, value in told.items():
        flat |= value if isinstance(value, dict) else {name: value}
    plain = {name: tuple(v) if isinstance(v, list) else v for name, v in flat.items()}
    return TrainingSettings().updated(**plain)
