"""Results as files that keep how they were made: OME-TIFF and OME-Zarr."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_warning

from napari_pea.core.errors import InputError
from napari_pea.io import read_about, read_labels, write_labels
from napari_pea.io.paths import OPENER
from napari_pea.io.scene import PLACE, only
from napari_pea.io.session import SUFFIX as SESSION_SUFFIX
from napari_pea.io.session import scene_of
from napari_pea.io.units import complete, in_micrometres
from napari_pea.widgets.places import plain_place
from napari_pea.widgets.results import BLOCKS, LABELS, is_result

if TYPE_CHECKING:
    from napari.layers import Labels, Layer

#: napari opens files that end like this with their settings.
SUFFIX = ".pea.tif"
#: Folders of labels with their settings.
FOLDER_SUFFIX = ".zarr"


def result_path(path: str | Path) -> Path:
    """Return the whole name of a result: with `SUFFIX`, unless it is an OME-Zarr."""
    target = Path(path)
    if target.name.endswith((SUFFIX, FOLDER_SUFFIX)):
        return target
    return target.with_name(f"{target.name.removesuffix('.tif')}{SUFFIX}")


def save_result(layer: Labels, path: str | Path) -> Path:
    """Write the labels of a result, with its settings and its place.

    Parameters
    ----------
    layer : napari.layers.Labels
        A result.
    path : str or Path
        The file; see `result_path`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the layer is no result, or the file cannot be written.
    """
    if not is_result(layer) or not hasattr(layer, "selected_label"):
        raise InputError(f"The layer {layer.name!r} holds no labels of this plugin.")
    target = result_path(path)
    _write(target, layer.data, layer.name, layer.metadata["napari_pea"], plain_place(layer))
    return target


def write_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a layer of labels for napari, with its place and, if it is a result, its settings.

    Parameters
    ----------
    path : str
        A TIFF, or a folder that ends with .zarr.
    data : array of int
        The labels.
    attributes : dict
        Everything else about the layer.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    told = (attributes.get("metadata") or {}).get("napari_pea") or {}
    place = {name: plain_attribute(name, attributes[name]) for name in PLACE if name in attributes}
    _write(Path(path), data, str(attributes.get("name", Path(path).stem)), told, place)
    return [path]


def told_by(layer: Layer) -> dict[str, Any] | None:
    """Return how the labels of a layer were made, as it or the file that it was read from says.

    Parameters
    ----------
    layer : napari.layers.Layer
        Any layer; files of the command line say it too.

    Returns
    -------
    dict or None
        As ``metadata["napari_pea"]`` of a result; None if nobody says.
    """
    if is_result(layer):
        told: dict[str, Any] = layer.metadata["napari_pea"]
        return told
    path = str(layer.source.path or "")
    if not path.endswith((".tif", ".tiff", FOLDER_SUFFIX)):
        return None
    try:
        found = read_about(path)
    except InputError:
        return None
    return found if found and "settings" in found else None


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], Any] | None:
    """Return the reader of napari for results, or None if a file is none.

    Parameters
    ----------
    path : str or list of str
        What the user opens.
    """
    paths = _places(path)
    if paths and all(_is_session(each) for each in paths):
        return _open_sessions
    if paths and all(_is_result(each) for each in paths):
        return layers_of
    stands = [given for given in ([path] if isinstance(path, str) else path) if _is_opener(given)]
    return _refuse if stands and len(stands) == len(paths) else None


def layers_of(path: str | list[str]) -> list[tuple[Any, dict[str, Any], str]]:
    """Return the layers of result files, as napari's readers do.

    Parameters
    ----------
    path : str or list of str
        Results: files, folders, or the files in those that stand for them.
    """
    return [_layer_of(each) for each in _places(path)]


def _is_opener(path: str) -> bool:
    """Whether a file is one that stands for its folder."""
    return Path(path).name == OPENER


def _refuse(path: str | list[str]) -> list[Any]:
    """Say that a folder is none of ours any more."""
    show_warning(
        f"{_places(path)[0]} holds neither a session nor labels of napari-pea any more, or it is "
        "damaged: copy the whole folder anew."
    )
    return [(None,)]


def _places(path: str | list[str]) -> list[str]:
    """Return where results are: what the user gave, or the folder that it stands for."""
    given = [Path(each) for each in ([path] if isinstance(path, str) else path)]
    return [str(each.parent if _is_opener(str(each)) else each) for each in given]


def _open_sessions(path: str | list[str]) -> list[Any]:
    """Open sessions in the dock of the window; without one their labels are all there is."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is None:
        return layers_of(path)
    from napari_pea.widgets.commands import open_dock

    dock = open_dock(viewer)
    for each in _places(path):
        dock.session_group.open(each)
    # napari's word for a file that was read and holds no layer of its own.
    return [(None,)]


def _is_session(path: str) -> bool:
    """Whether a path is a saved session."""
    return path.endswith(SESSION_SUFFIX) and scene_of(Path(path)) is not None


def _layer_of(path: str) -> tuple[Any, dict[str, Any], str]:
    about = dict(read_about(path) or {})
    place = only(PLACE, about.pop("place", {}))
    name = about.pop("name", Path(path).name.removesuffix(SUFFIX).removesuffix(FOLDER_SUFFIX))
    arguments: dict[str, Any] = {"name": name, **place}
    if about:
        arguments["metadata"] = {"napari_pea": {"kind": LABELS[0], **about}}
    labels = read_labels(path)
    n_axes = len(place.get("scale", labels.shape))
    # Axes of length 1 may be lost in the file.
    labels = labels.reshape((1,) * (n_axes - labels.ndim) + labels.shape)
    return labels, arguments, "labels"


def _is_result(path: str) -> bool:
    """Whether a path is what this module has written."""
    if path.endswith(SUFFIX):
        return True
    if not path.endswith(FOLDER_SUFFIX):
        return False
    try:
        return read_about(path) is not None
    except InputError:
        return False


def _write(path: Path, data: Any, name: str, told: dict[str, Any], place: dict[str, Any]) -> None:
    """Write labels with what is known about them."""
    if told.get("kind") == BLOCKS[0]:
        raise InputError(f"The labels {name!r} are on disk already: {told['path']}.")
    labels = np.asarray(data)
    # Axes of length 1 in front come back with the place.
    while labels.ndim > 3 and labels.shape[0] == 1:
        labels = labels[0]
    size = pixel_size_at(place, labels.ndim)
    about = {**told, "place": place, "name": name}
    write_labels(path, labels, pixel_size=size, about=about)


def pixel_size_at(place: dict[str, Any], ndim: int) -> tuple[float, ...] | None:
    """Return the sides of a pixel in micrometres, if the place of a layer tells them.

    Parameters
    ----------
    place : dict
        Values of `PLACE`.
    ndim : int
        For how many axes, from the end.
    """
    scale, units = place.get("scale", ()), place.get("units") or ()
    if len(scale) < ndim or len(units) < ndim:
        return None
    sides = zip(scale[-ndim:], units[-ndim:], strict=True)
    return complete([in_micrometres(abs(side), unit) for side, unit in sides])


def plain_attribute(name: str, value: Any) -> Any:
    """Return one of the attributes that place a layer as JSON can hold it.

    Parameters
    ----------
    name : str
        One of `PLACE`.
    value : object
        As the layer has it.
    """
    if name in ("units", "axis_labels"):
        return [str(each) for each in value]
    return np.asarray(getattr(value, "affine_matrix", value), dtype=float).tolist()
