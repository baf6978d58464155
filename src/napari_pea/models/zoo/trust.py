"""Which programs of strangers this user has agreed to run."""

from __future__ import annotations

import json
from pathlib import Path

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.models.catalogue import user_folder
from napari_pea.models.package import model_hash

#: The list, in the user's folder: no model file can say of itself that it is trusted.
NAME = "trusted.json"


def is_trusted(path: Path) -> bool:
    """Whether the user has agreed to run what a model file holds, byte by byte.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    return model_hash(path) in _trusted()


def trust(path: Path) -> None:
    """Remember that the user agrees to run what a model file holds.

    Raises
    ------
    InputError
        If the file cannot be read, or the list not be written.
    """
    hashes = sorted({*_trusted(), model_hash(path)})
    target = user_folder() / NAME
    try:
        with atomic_write(target) as temporary:
            temporary.write_text(json.dumps(hashes, indent=2), encoding="utf-8")
    except OSError as error:
        raise InputError(f"The list {target} could not be written: {error}.") from error


def _trusted() -> set[str]:
    try:
        found = json.loads((user_folder() / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()  # nothing is trusted that nobody can read
    return {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()
