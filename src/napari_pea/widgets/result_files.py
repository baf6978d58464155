"""Results as files that keep how they were made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.io import read_about, read_labels, write_labels
from napari_pea.widgets.places import plain_place
from napari_pea.widgets.results import BLOCKS, is_result

if TYPE_CHECKING:
    from napari.layers import Labels

#: napari opens files that end like this with their settings.
SUFFIX = ".pea.tif"


def save_result(layer: Labels, path: str | Path) -> Path:
    """Write the labels of a result, with its settings and its place.

    Parameters
    ----------
    layer : napari.layers.Labels
        A result.
    path : str or Path
        The file; `SUFFIX` is added if it is missing.

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
    told = layer.metadata["napari_pea"]
    if told["kind"] == BLOCKS[0]:
        raise InputError(f"The labels {layer.name!r} are on disk already: {told['path']}.")
    target = Path(path)
    if not target.name.endswith(SUFFIX):
        target = target.with_name(f"{target.name.removesuffix('.tif')}{SUFFIX}")
    about = {**told, "place": plain_place(layer), "name": layer.name}
    write_labels(target, np.asarray(layer.data), about=about)
    return target


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], Any] | None:
    """Return the reader of napari for results, or None if a file is none.

    Parameters
    ----------
    path : str or list of str
        What the user opens.
    """
    paths = [path] if isinstance(path, str) else path
    if not paths or not all(each.endswith(SUFFIX) for each in paths):
        return None
    return _layers_of


def _layers_of(path: str | list[str]) -> list[tuple[Any, dict[str, Any], str]]:
    """Return the layers of result files, as napari's readers do."""
    paths = [path] if isinstance(path, str) else path
    layers = []
    for each in paths:
        about = dict(read_about(each) or {})
        place = about.pop("place", {})
        name = about.pop("name", Path(each).name.removesuffix(SUFFIX))
        arguments: dict[str, Any] = {"name": name, **place}
        if about:
            arguments["metadata"] = {"napari_pea": about}
        labels = read_labels(each)
        n_axes = len(place.get("scale", labels.shape))
        # Axes of length 1 may be lost in the file.
        labels = labels.reshape((1,) * (n_axes - labels.ndim) + labels.shape)
        layers.append((labels, arguments, "labels"))
    return layers
