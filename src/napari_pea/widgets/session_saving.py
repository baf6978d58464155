"""From what a viewer shows to a saved session."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken
from napari_pea.io.scene import DISPLAY, PLACE
from napari_pea.io.session import SavedSession, checksum, write_session
from napari_pea.widgets.memory import memory_reported
from napari_pea.widgets.places import plain_place
from napari_pea.widgets.result_files import pixel_size_at, plain_attribute
from napari_pea.widgets.results import LABELS
from napari_pea.widgets.sources import level_zero
from napari_pea.widgets.work import Report

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_pea.widgets.sessions import LiveSession
    from napari_pea.widgets.sources import ImagePart
    from napari_pea.widgets.state import SegmentState

#: Larger images without a file are not copied, in bytes.
MOST_COPIED = 4 * 10**9


@dataclass(frozen=True)
class SaveRequest:
    """What to save, collected in the thread of the window.

    Attributes
    ----------
    path : Path
        The folder.
    saved : SavedSession
        All but a copy of the image and what its pixels tell.
    part : ImagePart
        What was segmented.
    data : array-like or None
        The image, if it is to be copied.
    """

    path: Path
    saved: SavedSession
    part: ImagePart
    data: Any


def collect(
    viewer: Viewer,
    state: SegmentState,
    session: LiveSession,
    path: Path,
    choice: dict[str, Any],
    *,
    with_image: bool = False,
) -> SaveRequest:
    """Return what is to be saved of a session.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : SegmentState
        The state of the viewer.
    session : LiveSession
        What the controls act on.
    path : Path
        Where it goes.
    choice : dict
        What was chosen in the dock, as plain values.
    with_image : bool
        Whether the image is copied even if it has a file.

    Raises
    ------
    InputError
        If there is no result of all of an image, or the image can neither be found again nor
        copied.
    """
    source, result = session.source, session.result
    if source is None or result is None:
        raise InputError("There is nothing to save yet: click Segment first.")
    if session.part.block is not None:
        raise InputError(
            "Only a part of the image is segmented, which was shown first: click “Apply to whole "
            "image”, then save the session."
        )
    data = level_zero(source)
    file = source.source.path
    has_file = bool(file) and Path(file).exists()
    copied = with_image or not has_file
    size = int(np.prod(data.shape, dtype=float)) * np.dtype(data.dtype).itemsize
    if copied and size > MOST_COPIED:
        raise InputError(
            f"The image {source.name!r} is too large to be copied ({size / 1e9:.0f} GB): save it "
            "to a file, open that, and go on with it."
        )
    part = session.part
    placement = part.placement(source)
    place = {name: plain_attribute(name, placement[name]) for name in PLACE}
    found = state.results.find(source, part.key, LABELS)
    layer = None if found is None else found.layer
    shown = layer is not None and layer in viewer.layers
    # What the user has painted on or renamed is theirs.
    is_own = shown and found is not None and not found.may_be_replaced(viewer.layers)
    own = np.asarray(layer.data).reshape(part.shape) if is_own and layer is not None else None
    scene = {
        "image": {
            **_image(source, path),
            "copied": copied,
        },
        "part": {
            "plane": [list(taken) for taken in part.plane],
            "channel": part.channel,
            "layer_channel_axis": part.layer_channel_axis,
        },
        "choice": choice,
        "controls": state.live.settings.as_dict(),
        "labels": {"name": None if layer is None else layer.name, "place": place},
        "camera": _camera(viewer),
    }
    told = session.about()
    name = f"{source.name} labels"
    about = {"kind": LABELS[0], **told, "place": place, "name": name}
    evidence = session.segmenter.kept_evidence
    saved = SavedSession(
        about, scene, evidence, result.labels, result.pieces, result.table, None, own
    )
    return SaveRequest(path, saved, part, data if copied else None)


def save(request: SaveRequest, report: Report, cancel: CancelToken) -> Path:
    """Write a session, in another thread; return where it is."""
    from dataclasses import replace

    with memory_reported():
        report("Reading the image …")
        pixels = request.part.read()
        scene = dict(request.saved.scene)
        scene["image"] = {**scene["image"], "checksum": checksum(pixels)}
        about = request.saved.about
        scene["model"] = {
            "name": about["model"],
            "path": about["model_path"],
            "hash": about["model_hash"],
        }
        image = None if request.data is None else np.asarray(request.data)
        size = pixel_size_at(scene["labels"]["place"], request.saved.labels.ndim)
        write_session(
            request.path,
            replace(request.saved, scene=scene, image=image),
            pixel_size=size,
            progress=lambda done, total: report("Saving the session …", done, total),
            cancel=cancel,
        )
    return request.path


def _image(source: Image, path: Path) -> dict[str, Any]:
    """Return what finds an image again, and how it is shown."""
    data, file = level_zero(source), source.source.path
    beside = None
    if file:
        try:
            beside = os.path.relpath(file, path.absolute().parent)
        except ValueError:  # on another drive
            beside = None
    display = {name: getattr(source, name) for name in DISPLAY}
    display["contrast_limits"] = [float(limit) for limit in source.contrast_limits]
    return {
        "name": source.name,
        "path": None if not file else str(Path(file).absolute()),
        "beside": beside,
        "reader": source.source.reader_plugin,
        "shape": [int(side) for side in data.shape],
        "dtype": np.dtype(data.dtype).str,
        "rgb": bool(source.rgb),
        "place": plain_place(source),
        "display": display,
        "colormap": None if source.rgb else str(source.colormap.name),
    }


def _camera(viewer: Viewer) -> dict[str, Any]:
    camera = viewer.scene.camera
    return {"center": [float(each) for each in camera.center], "zoom": float(camera.zoom)}
