"""The user's preferences, from napari's Preferences window."""

from __future__ import annotations

from dataclasses import dataclass

from napari_pea.core.predict import DEFAULT_TILE


@dataclass(frozen=True)
class Preferences:
    """What the page of napari-pea in the Preferences says.

    Attributes
    ----------
    device : str
        Where networks run unless the dock says otherwise.
    tile_size : int
        Side of a tile in pixels.
    """

    device: str = "auto"
    tile_size: int = DEFAULT_TILE


def preferences() -> Preferences:
    """Return the present preferences; the defaults if the plugin is not registered."""
    from napari.settings import get_plugin_settings

    try:
        compute = get_plugin_settings("napari-pea").compute
    except KeyError:
        return Preferences()
    return Preferences(str(compute.device), int(compute.tile_size))
