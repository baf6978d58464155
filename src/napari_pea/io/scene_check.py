"""What a saved session must say beside its arrays to be opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_pea.core.errors import InputError


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
    digests: dict[str, str] = {}


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
