"""Saved sessions: labels, what the network has said, and how it all was made, in one OME-Zarr."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.field import AffinityField
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.io.writing import atomic_folder, reported

if TYPE_CHECKING:
    import pandas as pd
    import zarr
    from numpy.typing import NDArray

    from napari_pea.core.evidence import Evidence

T = TypeVar("T")

#: How folders of sessions end.
SUFFIX = ".pea.zarr"
#: The attribute that tells a session from other labels.
KEY = "napari_pea_session"
#: Raised when the format changes in a way that older versions cannot read.
VERSION = 1
#: The table of the objects, in the folder.
TABLE = "table.csv"
#: At most this many numbers lie in one file.
CHUNK = 2**22
#: What the network has said: of a plain run, and of one that averages masks.
GROUPS = {False: "evidence", True: "evidence-averaged"}
#: Where a session says what its arrays and its table were like when they were written.
DIGESTS = "digests"
#: What reading a damaged file raises.
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)
#: The arrays of it that are kept, in half precision.
ARRAYS = ("vectors", "values", "foreground", "variances", "codes")


@dataclass(frozen=True)
class SavedSession:
    """What a session keeps.

    Attributes
    ----------
    about : dict
        How the labels were made: model, settings, corrections, as plain values.
    scene : dict
        Everything else, as plain values: the image, which part of it, what was chosen.
    evidence : mapping of bool to Embedding or AffinityField
        What the network has said, by whether masks were averaged.
    labels : array of uint32, shape (*spatial)
        Object ids.
    pieces : array of uint32, shape (*spatial), or None
        The objects before joins and refining.
    table : pandas.DataFrame
        One row for each object.
    image : array or None
        A copy of the image, if it has one.
    own : array of int, shape (*spatial), or None
        The labels as the user has painted on them.
    damaged : tuple of str
        What was written and cannot be read any more; the labels are whole.
    """

    about: dict[str, Any]
    scene: dict[str, Any]
    evidence: Mapping[bool, Evidence]
    labels: NDArray[Any]
    pieces: NDArray[Any] | None
    table: pd.DataFrame
    image: NDArray[Any] | None = None
    own: NDArray[Any] | None = None
    damaged: tuple[str, ...] = ()


def checksum(pixels: NDArray[Any]) -> str:
    """Return a value that tells images apart by their pixels, shape and type."""
    found = hashlib.blake2b(f"{pixels.shape} {pixels.dtype.str}".encode(), digest_size=16)
    found.update(np.ascontiguousarray(pixels).data)
    return found.hexdigest()


def write_session(
    path: Path,
    saved: SavedSession,
    *,
    pixel_size: tuple[float, ...] | None = None,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> None:
    """Write a session; an existing one is replaced only once the new one is complete.

    Parameters
    ----------
    path : Path
        A folder that ends with ``.pea.zarr``.
    saved : SavedSession
        What to keep.
    pixel_size : tuple of float, optional
        Micrometres along each axis of the labels.
    progress, cancel
        Told and checked for every array.

    Raises
    ------
    InputError
        If there is something else of that name, or the disk is full.
    Cancelled
        If `cancel` was set; nothing is written then.
    """
    from napari_pea.io.ome_zarr import write_ome_zarr

    if path.exists() and scene_of(path) is None:
        raise InputError(f"{path} is no session and is not replaced: choose another name.")
    arrays = _arrays(saved)
    with reported(path), atomic_folder(path) as temporary:
        axes = "ZYX"[-saved.labels.ndim :]
        group = write_ome_zarr(temporary, saved.labels, axes, pixel_size, saved.about)
        digests = {"labels": checksum(saved.labels)}
        for done, (name, array) in enumerate(arrays.items()):
            check_cancel(cancel)
            progress(done, len(arrays))
            digests[name] = _write(group, name, array)
        for average, evidence in saved.evidence.items():
            if isinstance(evidence, AffinityField):
                offsets = [list(offset) for offset in evidence.offsets]
                _child(group, GROUPS[average]).attrs.update({"offsets": offsets})
        check_cancel(cancel)
        saved.table.to_csv(temporary / TABLE, index=False)
        digests[TABLE] = _file_digest(temporary / TABLE)
        # Last: what is not complete is no session.
        group.attrs.update({KEY: {"version": VERSION, **saved.scene, DIGESTS: digests}})
        progress(len(arrays), len(arrays))


def scene_of(path: Path) -> dict[str, Any] | None:
    """Return what a session says beside its labels, None if a folder is none; quick.

    Raises
    ------
    InputError
        If it comes from a later version.
    """
    if not path.is_dir():
        return None
    import zarr

    try:
        node = zarr.open(path, mode="r")
    except (OSError, ValueError, KeyError):
        return None
    told = None if isinstance(node, zarr.Array) else node.attrs.get(KEY)
    if not isinstance(told, dict):
        return None
    if told.get("version") != VERSION:
        raise InputError(f"The session {path} comes from a later version of napari-pea: update it.")
    return told


def read_session(path: Path) -> SavedSession:
    """Read a session.

    Parameters
    ----------
    path : Path
        The folder.

    Returns
    -------
    SavedSession
        With everything in memory, in single precision.

    Raises
    ------
    InputError
        If it is missing or no session, or its labels are damaged.
    """
    import pandas as pd
    import zarr

    from napari_pea.io.ome_zarr import NOTE, open_ome_zarr
    from napari_pea.io.scene_check import check_scene

    scene = scene_of(path)
    if scene is None:
        raise InputError(f"{path} is no session of napari-pea.")
    check_scene(path, scene)
    damaged: list[str] = []

    def whole(name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except _UNREADABLE:
            damaged.append(name)
            return None

    digests: Mapping[str, str] = scene.get(DIGESTS, {})
    try:
        group = zarr.open_group(path, mode="r")
        about = dict(cast("Mapping[str, Any]", group.attrs[NOTE]))
        labels = np.asarray(open_ome_zarr(path)[0][...]).astype(np.uint32)
        if "labels" in digests and checksum(labels) != digests["labels"]:
            raise ValueError("its labels are not complete")
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(f"The session {path} is damaged: {error}.") from error
    shape = labels.shape
    evidence = {
        average: found
        for average, name in GROUPS.items()
        if (path / name).is_dir()
        if (found := whole(name, partial(_evidence, group, name, digests, shape))) is not None
    }
    pieces = whole("pieces", lambda: _read(group, "pieces", digests, shape))
    table = whole(TABLE, lambda: _table(path / TABLE, digests))
    return SavedSession(
        about,
        scene,
        evidence,
        labels,
        None if pieces is None else pieces.astype(np.uint32),
        pd.DataFrame() if table is None else table,
        whole("image", lambda: _read(group, "image", digests)),
        whole("own", lambda: _read(group, "own", digests, shape)),
        tuple(damaged),
    )


def _arrays(saved: SavedSession) -> dict[str, NDArray[Any]]:
    """Return the arrays of a session but for the labels, by their places."""
    arrays: dict[str, NDArray[Any]] = {}
    for average, evidence in saved.evidence.items():
        for name in ARRAYS:
            array = getattr(evidence, name, None)
            if array is not None:
                arrays[f"{GROUPS[average]}/{name}"] = array
    for name in ("pieces", "image", "own"):
        array = getattr(saved, name)
        if array is not None:
            arrays[name] = array
    return arrays


def _write(group: zarr.Group, name: str, array: NDArray[Any]) -> str:
    """Write an array; what the network has said in half precision. Return its checksum."""
    dtype = np.dtype(np.float16) if "/" in name else array.dtype
    chunks = list(array.shape)
    while np.prod(chunks) > CHUNK:
        longest = int(np.argmax(chunks))
        chunks[longest] = -(-chunks[longest] // 2)
    stored = group.create_array(name, shape=array.shape, chunks=tuple(chunks), dtype=dtype)
    kept = array.astype(dtype, copy=False)
    stored[...] = kept
    return checksum(kept)


def _read(
    group: zarr.Group, name: str, digests: Mapping[str, str], shape: tuple[int, ...] = ()
) -> NDArray[Any] | None:
    """Return an array whose last axes have a shape, None if none was written.

    Raises
    ------
    ValueError
        If it is not as it was written: Zarr takes what is missing for zeros.
    """
    import zarr

    found = group.get(name)
    if not isinstance(found, zarr.Array):
        if name in digests:
            raise ValueError(f"{name} is missing")
        return None
    if found.shape[len(found.shape) - len(shape) :] != shape:
        raise ValueError(f"{name} has another shape than the labels")
    array = np.asarray(found[...])
    if name in digests and checksum(array) != digests[name]:
        raise ValueError(f"{name} is not complete")
    return array


def _table(path: Path, digests: Mapping[str, str]) -> pd.DataFrame:
    """Return the table of the objects."""
    import pandas as pd

    if TABLE in digests and _file_digest(path) != digests[TABLE]:
        raise ValueError(f"{TABLE} is not complete")
    return pd.read_csv(path)


def _file_digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _child(group: zarr.Group, name: str) -> zarr.Group:
    import zarr

    found = group[name]
    if not isinstance(found, zarr.Group):
        raise InputError(f"The session {group.store_path} is damaged: {name!r} is no group.")
    return found


def _evidence(
    group: zarr.Group, within: str, digests: Mapping[str, str], shape: tuple[int, ...]
) -> Evidence:
    """Return what the network has said, in single precision."""
    arrays = {name: _read(group, f"{within}/{name}", digests, shape) for name in ARRAYS}
    single = {name: None if a is None else a.astype(np.float32) for name, a in arrays.items()}
    vectors, values = single["vectors"], single["values"]
    if vectors is not None:
        # Rounding has changed their lengths a little.
        vectors /= np.maximum(np.sqrt((vectors**2).sum(axis=0)), np.float32(1e-12))
        return Embedding(vectors, single["foreground"])
    if values is None:
        raise ValueError("it holds no embedding")
    listed: Any = _child(group, within).attrs["offsets"]
    return AffinityField(
        values,
        tuple(tuple(int(step) for step in offset) for offset in listed),
        single["foreground"],
        single["variances"],
        single["codes"],
    )
