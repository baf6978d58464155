"""What a saved session says beside its arrays: which values it must hold to be opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_pea.core.errors import InputError

#: What tells where a layer lies.
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
#: How an image is shown.
DISPLAY = ("contrast_limits", "gamma", "opacity", "visible")
#: Kinds of images that a session may open by itself. Sessions come from strangers too, and napari
#: also opens files that run code.
IMAGES = frozenset(
    (
        *(".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".npy", ".zarr", ".n5"),
        *(".czi", ".nd2", ".lif", ".lsm", ".ims", ".oib", ".oif", ".vsi", ".dv", ".r3d", ".stk"),
        *(".zvi", ".mrc", ".map", ".h5", ".hdf", ".hdf5", ".svs", ".ndpi", ".scn", ".nii", ".gz"),
        *(".nrrd", ".mha", ".mhd", ".dcm", ".sldy", ".lof", ".xlif", ".qptiff", ".btf"),
    )
)


class _Part(BaseModel):
    """Which pixels of an image a session is of."""

    plane: list[tuple[int, int]]
    channel: int | None
    layer_channel_axis: int | None


class _Image(BaseModel):
    """What finds an image again, and how it is shown."""

    name: str
    path: str | None
    beside: str | None
    reader: str | None
    shape: list[int]
    dtype: str
    rgb: bool
    place: dict[str, Any]
    display: dict[str, Any]
    colormap: str | None
    checksum: str


class _Labels(BaseModel):
    """How the labels are shown."""

    name: str | None
    place: dict[str, Any]


class _Camera(BaseModel):
    """Where the user looks."""

    center: list[float]
    zoom: float


class _Model(BaseModel):
    """Which model has made the labels."""

    name: str
    hash: str


class _Scene(BaseModel):
    """All of it; further values stay as they are."""

    model_config = ConfigDict(extra="allow")

    image: _Image
    part: _Part
    labels: _Labels
    camera: _Camera
    model: _Model
    choice: dict[str, Any]
    controls: dict[str, Any]


def check_scene(path: Path, scene: Mapping[str, Any]) -> None:
    """Make sure that a session says what is needed to open it.

    Raises
    ------
    InputError
        If something is missing or of the wrong kind.
    """
    try:
        _Scene.model_validate(scene)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise InputError(f"The session {path} is damaged: {place} is wrong.") from error


def only(names: tuple[str, ...], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of some names; others could be anything."""
    return {name: told[name] for name in names if name in told}
