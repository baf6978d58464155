"""The models that can be chosen: those that come with the program and the user's own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import platformdirs

from napari_pea.core.device import choose_device
from napari_pea.core.errors import InputError
from napari_pea.models.metadata import ModelMetadata, brings_program
from napari_pea.models.model import Model
from napari_pea.models.package import SUFFIX, load_network, read_metadata, save_model

if TYPE_CHECKING:
    import torch

    from napari_pea.core.networks import Network

BUILT_IN_FOLDER = Path(__file__).parent / "weights"
#: Set this variable to keep user models elsewhere.
FOLDER_VARIABLE = "NAPARI_PEA_MODELS"


@dataclass(frozen=True)
class ModelEntry:
    """A model that was found.

    Attributes
    ----------
    name : str
        By which it is loaded: the file name without its suffix.
    path : Path
        The file.
    source : {"built-in", "user", "imported"}
        Where it comes from: the program, the user's folder, or that folder after an import.
    metadata : ModelMetadata or None
        What it says about itself; None if it cannot be read.
    problem : str or None
        Why it cannot be read.
    """

    name: str
    path: Path
    source: Literal["built-in", "user", "imported"]
    metadata: ModelMetadata | None
    problem: str | None = None


def user_folder() -> Path:
    """Return the folder of the user's models; it may not exist yet."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_data_dir("napari-pea", appauthor=False)) / "models"


def list_models(folder: Path | None = None) -> list[ModelEntry]:
    """Return every model found, built-in ones first, damaged ones included.

    A user model with the name of a built-in one takes its place.

    Parameters
    ----------
    folder : Path, optional
        Where the user's models are; by default `user_folder`.
    """
    entries: dict[str, ModelEntry] = {}
    folders: tuple[tuple[Literal["built-in", "user"], Path], ...] = (
        ("built-in", BUILT_IN_FOLDER),
        ("user", folder or user_folder()),
    )
    for source, folder in folders:
        # Hidden ones are still being written, or what a crash has left of that.
        found = {
            path.name.removesuffix(SUFFIX): path
            for path in folder.glob(f"*{SUFFIX}")
            if not path.name.startswith(".")
        }
        for name, path in sorted(found.items()):
            entries[name] = _entry_of(path, name, source)
    return list(entries.values())


def entry_of(path: Path) -> ModelEntry:
    """Return what is known about a model file, wherever it lies.

    Parameters
    ----------
    path : Path
        The file; it may be damaged.
    """
    source: Literal["built-in", "user"] = "built-in" if path.parent == BUILT_IN_FOLDER else "user"
    return _entry_of(path, path.name.removesuffix(SUFFIX), source)


def _entry_of(path: Path, name: str, source: Literal["built-in", "user"]) -> ModelEntry:
    try:
        metadata = read_metadata(path)
    except InputError as error:
        return ModelEntry(name, path, source, None, str(error))
    is_imported = source == "user" and bool(metadata.imported_from)
    return ModelEntry(name, path, "imported" if is_imported else source, metadata)


def load_model(name_or_path: str | Path, device: str = "auto") -> Model:
    """Load a model.

    Parameters
    ----------
    name_or_path : str or Path
        A name from `list_models`, or the path of a model file.
    device : str
        "auto", "cpu", "cuda", "cuda:1", "mps", …

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If there is no such model or device, or the file is damaged.
    """
    path = find_model(name_or_path)
    if brings_program(read_metadata(path)):
        from napari_pea.models.zoo.foreign import load_foreign

        return load_foreign(path, device)
    network, metadata = load_network(path)
    return model_of(network, metadata, choose_device(device))


def model_of(network: Network, metadata: ModelMetadata, device: torch.device) -> Model:
    """Return a network as a model of its kind, ready for images.

    Parameters
    ----------
    network : Network
        Trained.
    metadata : ModelMetadata
        What it needs to know about its images.
    device : torch.device
        Where it runs.
    """
    from napari_pea.core.networks import MaskUNet
    from napari_pea.models.mask_model import MaskModel

    kind = MaskModel if isinstance(network, MaskUNet) else Model
    return kind(network, metadata, device)


def add_model(path: Path, name: str, description: str = "", *, folder: Path | None = None) -> Path:
    """Put a model into the user's folder, where every list finds it.

    Parameters
    ----------
    path : Path
        A model file, such as the one that a training run leaves.
    name, description : str
        Of the new entry; an empty description leaves that of the file.
    folder : Path, optional
        By default `user_folder`.

    Returns
    -------
    Path
        The file in the folder.

    Raises
    ------
    InputError
        If there is a model of that name, the name cannot be that of a file, or a file cannot
        be read or written.
    """
    check_name(name)
    home = folder or user_folder()
    if is_taken(name, home):
        raise InputError(f"There is a model {name!r} already: give this one another name.")
    network, metadata = load_network(path)
    update = {"name": name, "description": description or metadata.description}
    return save_model(home / f"{name}{SUFFIX}", network, metadata.model_copy(update=update))


def is_taken(name: str, folder: Path | None = None) -> bool:
    """Whether a model has a name, or one whose file is the same where case does not count."""
    return name.casefold() in {entry.name.casefold() for entry in list_models(folder)}


def check_name(name: str) -> None:
    """Make sure that a model's name can be that of its file.

    Raises
    ------
    InputError
        If it is empty, holds a slash, or would hide the file.
    """
    hidden = name.startswith(".")
    if not name.strip() or hidden or any(letter in name for letter in "/\\\0"):
        raise InputError(
            f"A model cannot be called {name!r}: its name becomes that of its file, so give one "
            "without slashes and without a dot in front."
        )


def find_model(name_or_path: str | Path) -> Path:
    """Return the file of a model.

    Parameters
    ----------
    name_or_path : str or Path
        A name from `list_models`, or the path of a model file.

    Raises
    ------
    InputError
        If no model has that name, or it is no name at all.
    """
    if not isinstance(name_or_path, (str, Path)):
        raise InputError(f"A model is named by its name or its file, not by {name_or_path!r}.")
    path = Path(name_or_path).expanduser()
    if path.name.endswith(SUFFIX):
        return path
    entries = {entry.name: entry for entry in list_models()}
    entry = entries.get(str(name_or_path))
    if entry is None:
        if path.is_file():
            return path
        names = ", ".join(entries) or "none"
        raise InputError(
            f"There is no model {str(name_or_path)!r}; give the path of a {SUFFIX} file or one "
            f"of these names: {names}."
        )
    return entry.path
