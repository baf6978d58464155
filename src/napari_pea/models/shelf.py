"""Keeping the user's models in order: other names, copies, and a way back after deleting."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_pea.core.errors import InputError
from napari_pea.models.catalogue import (
    ModelEntry,
    check_name,
    is_taken,
    list_models,
    user_folder,
)
from napari_pea.models.metadata import brings_program
from napari_pea.models.package import SUFFIX, copy_model, load_network, read_metadata

#: Where deleted models lie, in the user's folder.
BIN = ".deleted"


def find_entry(name: str, *, folder: Path | None = None) -> ModelEntry:
    """Return a model by its name, be it damaged or not.

    Parameters
    ----------
    name : str
        A name from `list_models`.
    folder : Path, optional
        By default `user_folder`; likewise below.

    Raises
    ------
    InputError
        If no model has that name.
    """
    entries = {entry.name: entry for entry in list_models(folder)}
    if name not in entries:
        raise InputError(
            f"There is no model {name!r}; give one of these names: {', '.join(entries) or 'none'}."
        )
    return entries[name]


def free_name(base: str, *, folder: Path | None = None) -> str:
    """Return a name that no model has: `base`, or `base` with a number.

    Parameters
    ----------
    base : str
        What it is to be called.
    folder : Path, optional
        See `find_entry`.
    """
    taken = {entry.name.casefold() for entry in list_models(folder)}
    names = itertools.chain([base], (f"{base} {number}" for number in itertools.count(2)))
    return next(name for name in names if name.casefold() not in taken)


def rename_model(name: str, new: str, *, folder: Path | None = None) -> Path:
    """Give one of the user's models another name.

    Parameters
    ----------
    name, new : str
        Its name, and the one that it gets.
    folder : Path, optional
        See `find_entry`.

    Returns
    -------
    Path
        The file, which is called by the new name.

    Raises
    ------
    InputError
        If the model is built in or damaged, or the new name is taken or none of a file.
    """
    entry = _own(name, folder, "be renamed")
    if new == name:
        return entry.path
    if new.casefold() != name.casefold():
        _check_new(new, folder)
    target = entry.path.with_name(f"{new}{SUFFIX}")
    # Where case does not count in names of files, both are one file.
    is_same = target.exists() and target.samefile(entry.path)
    path = copy_model(entry.path, target, name=new)
    with _told(f"The model {name!r} could not be renamed"):
        if is_same:
            path = path.rename(target)
        else:
            entry.path.unlink()
    return path


def duplicate_model(name: str, new: str = "", *, folder: Path | None = None) -> Path:
    """Copy a model into the user's folder.

    Parameters
    ----------
    name : str
        Any model, also a built-in one.
    new : str
        Of the copy; by default "<name> copy".
    folder : Path, optional
        See `find_entry`.

    Returns
    -------
    Path
        The file of the copy.

    Raises
    ------
    InputError
        If the model is damaged, or the new name is taken or none of a file.
    """
    entry = find_entry(name, folder=folder)
    called = new or free_name(f"{name} copy", folder=folder)
    _check_new(called, folder)
    home = folder or user_folder()
    return copy_model(entry.path, home / f"{called}{SUFFIX}", name=called)


def add_file(path: Path, *, folder: Path | None = None) -> Path:
    """Copy a model file that lies elsewhere into the user's folder.

    Parameters
    ----------
    path : Path
        The file; nothing in it is executed.
    folder : Path, optional
        See `find_entry`.

    Returns
    -------
    Path
        The file in the folder. If its name is taken, it has a number.

    Raises
    ------
    InputError
        If the file or its weights are damaged, or it cannot be copied.
    """
    if brings_program(read_metadata(path)):
        raise InputError(
            f"The model {path.name} runs code of its authors: import it, and allow that only if "
            "you trust them."
        )
    load_network(path)
    name = free_name(path.name.removesuffix(SUFFIX), folder=folder)
    check_name(name)
    target = (folder or user_folder()) / f"{name}{SUFFIX}"
    return copy_model(path, target, name=name, imported_from=str(path))


def delete_model(name: str, *, folder: Path | None = None) -> Path:
    """Put one of the user's models where `restore_model` finds it.

    Parameters
    ----------
    name : str
        The model; it may be damaged.
    folder : Path, optional
        See `find_entry`.

    Returns
    -------
    Path
        Where the file lies now.

    Raises
    ------
    InputError
        If the model is built in, or the file cannot be moved.
    """
    entry = _own(name, folder, "be deleted")
    place = entry.path.parent / BIN / f"{time.time_ns()}-{entry.path.name}"
    with _told(f"The model {name!r} could not be deleted"):
        place.parent.mkdir(exist_ok=True)
        entry.path.rename(place)
    return place


def last_deleted(*, folder: Path | None = None) -> str | None:
    """Return the name of the model that `restore_model` would bring back, None if there is none.

    Parameters
    ----------
    folder : Path, optional
        See `find_entry`.
    """
    place = _newest(folder)
    return None if place is None else _name_of(place)


def restore_model(*, folder: Path | None = None) -> str:
    """Bring the model back that was deleted last.

    Parameters
    ----------
    folder : Path, optional
        See `find_entry`.

    Returns
    -------
    str
        Its name.

    Raises
    ------
    InputError
        If there is none, or another model has its name by now.
    """
    place = _newest(folder)
    if place is None:
        raise InputError("No model was deleted, so there is none to bring back.")
    name = _name_of(place)
    target = place.parent.parent / f"{name}{SUFFIX}"
    if target.exists():
        raise InputError(
            f"There is another model {name!r} by now: rename that one, then bring this one back."
        )
    with _told(f"The model {name!r} could not be brought back"):
        place.rename(target)
    return name


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say in one sentence what could not be done, and why."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{what}: {error.strerror or error}.") from error


def _newest(folder: Path | None) -> Path | None:
    places = sorted(((folder or user_folder()) / BIN).glob(f"*{SUFFIX}"))
    return places[-1] if places else None


def _name_of(place: Path) -> str:
    return place.name.partition("-")[2].removesuffix(SUFFIX)


def _own(name: str, folder: Path | None, what: str) -> ModelEntry:
    """Return a model that is the user's."""
    entry = find_entry(name, folder=folder)
    if entry.source == "built-in":
        raise InputError(
            f"The model {name!r} comes with the program and cannot {what}: duplicate it, and "
            "change the copy."
        )
    return entry


def _check_new(name: str, folder: Path | None) -> None:
    """Make sure that a model can be called so."""
    check_name(name)
    if is_taken(name, folder):
        raise InputError(f"There is a model {name!r} already: choose another name.")
