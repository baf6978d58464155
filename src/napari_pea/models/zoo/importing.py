"""Bringing models into the user's folder: model files, packages, and those of other programs."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Literal

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.models.catalogue import check_name, is_taken, user_folder
from napari_pea.models.metadata import brings_program
from napari_pea.models.package import SUFFIX, copy_model, load_network, load_weights, save_model
from napari_pea.models.shelf import free_name
from napari_pea.models.zoo.archive import open_archive
from napari_pea.models.zoo.description import file_in, read_description
from napari_pea.models.zoo.package_info import PackageInfo, own_metadata, read_package
from napari_pea.models.zoo.state_dict import read_state_dict
from napari_pea.models.zoo.trust import trust

#: What high affinities of a model of another program mean.
Meaning = Literal["guess", "same", "different"]
#: What the names of weights in our packages begin with.
PREFIX = "network."
#: Longer names are cut.
LONGEST_NAME = 100
#: Signs that names of files cannot have on some systems.
FORBIDDEN = '/\\:*?"<>|'
STEPS = 3


def import_model(
    path: str | Path,
    *,
    trust_code: bool = False,
    sha256: str | None = None,
    name: str | None = None,
    affinities: Meaning = "guess",
    origin: str | None = None,
    folder: Path | None = None,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Put the model of a file into the user's folder, where every list finds it.

    Parameters
    ----------
    path : str or Path
        A model file, or a zip package of the BioImage Model Zoo.
    trust_code : bool
        Whether code of its authors may run: now, and whenever the model is used. Packages of
        this program need none; those of others do (`PackageInfo.needs_consent`).
    sha256 : str, optional
        The hash that the file must have.
    name : str, optional
        What the model is to be called; by default what the file says, with a number if
        there is a model of that name.
    affinities : {"guess", "same", "different"}
        Of a model of another program: whether high affinities mean the same object or
        different ones. By default that is found out by running it.
    origin : str, optional
        Where the file is from, for the user; by default its name.
    folder : Path, optional
        Of the user's models; by default `user_folder`.
    progress : callable
        Told the steps done and the steps in all.
    cancel : CancelToken, optional
        Checked between them.

    Returns
    -------
    Path
        The model file in the user's folder.

    Raises
    ------
    InputError
        If the file is damaged, has another hash, needs a consent that was not given, or the
        name is taken. Nothing is written then.
    Cancelled
        If `cancel` was set.
    """
    path = Path(path)
    progress(0, STEPS)
    info = read_package(path)
    check_sha256(info, sha256)
    if info.needs_consent and not trust_code:
        raise InputError(
            f"The model {info.name!r} was not imported, because it runs code of its authors: "
            "allow that (--trust-code) only if you trust them."
        )
    called = name or free_name(default_name(info), folder=folder)
    check_name(called)
    if is_taken(called, folder):
        raise InputError(f"There is a model {called!r} already: give this one another name.")
    target = (folder or user_folder()) / f"{called}{SUFFIX}"
    changes = {"name": called, "imported_from": origin or path.name}
    check_cancel(cancel)
    progress(1, STEPS)
    if info.kind == "own":
        _import_own(info, target, changes, cancel)
    elif info.kind == "affinities":
        from napari_pea.models.zoo.adopting import adopt

        apart = None if affinities == "guess" else affinities == "different"
        adopt(info, target, changes, cancel, apart=apart)
    elif info.metadata is not None and brings_program(info.metadata):
        copy_model(path, target, **changes)
        trust(target)
    else:
        load_network(path)
        copy_model(path, target, **changes)
    progress(STEPS, STEPS)
    return target


def default_name(info: PackageInfo) -> str:
    """Return what a model is called unless the user says otherwise: what a file can be called."""
    kept = "".join(
        sign if sign.isprintable() and sign not in FORBIDDEN else " " for sign in info.name
    )
    return " ".join(kept.split())[:LONGEST_NAME].strip(" .") or "imported"


def check_sha256(info: PackageInfo, sha256: str | None) -> None:
    """Make sure that a file has the hash that it should have.

    Raises
    ------
    InputError
        If it has another one.
    """
    if sha256 is None:
        return
    wanted = sha256.strip().lower().removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", wanted):
        raise InputError(f"{sha256!r} is no SHA-256: that has 64 hexadecimal digits.")
    if info.sha256 != wanted:
        raise InputError(
            f"The file {info.path} has another hash than it should have, {info.sha256} instead of "
            f"{wanted}: get it again, or from somewhere else."
        )


def _import_own(
    info: PackageInfo, target: Path, changes: dict[str, str], cancel: CancelToken | None
) -> None:
    """Write the model file of a package that this program has made; nothing of it is run."""
    with open_archive(info.path) as archive:
        described = read_description(archive)
        metadata = own_metadata(described)
        if metadata is None:
            raise InputError(f"The package {info.path} has changed while it was read: try again.")
        weights = described.weights["pytorch_state_dict"]
        name = file_in(archive, weights.source)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".importing-") as made:
            file = Path(made) / "weights.pt"
            found = hashlib.sha256()
            with file.open("wb") as stream:
                for chunk in archive.chunks(name, cancel):
                    found.update(chunk)
                    stream.write(chunk)
            if weights.sha256 and found.hexdigest() != weights.sha256.lower():
                raise InputError(
                    f"The weights in {info.path} have another hash than its description tells: "
                    "get the package again."
                )
            tensors = read_state_dict(file)
    network = load_weights(
        metadata,
        {key.removeprefix(PREFIX): value for key, value in tensors.items()},
        str(info.path),
    )
    check_cancel(cancel)
    save_model(target, network, metadata.model_copy(update=changes))
