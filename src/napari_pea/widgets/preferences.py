"""The user's preferences, from napari's Preferences window."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_pea.core.tiling import DEFAULT_TILE


@dataclass(frozen=True)
class Preferences:
    """What the page of napari-pea in the Preferences says.

    Attributes
    ----------
    device : str
        Where networks run unless the dock says otherwise.
    tile_size : int
        Side of a tile in pixels.
    halo : int or None
        How many outer pixels each tile drops at most; None for as far as the network sees.
    cache_size : int
        How much memory the embeddings of segmented images may take, in 10^6 bytes.
    model_folder : Path or None
        Where the user's models are; None for the default.
    """

    device: str = "auto"
    tile_size: int = DEFAULT_TILE
    halo: int | None = None
    cache_size: int = 4000
    model_folder: Path | None = None

    @property
    def cache_bytes(self) -> int:
        """The size of the cache in bytes."""
        return self.cache_size * 10**6


def preferences() -> Preferences:
    """Return the present preferences; the defaults if the plugin is not registered."""
    from napari.settings import get_plugin_settings

    try:
        page = get_plugin_settings("napari-pea")
    except KeyError:
        return Preferences()
    compute, folder = page.compute, str(page.models.folder).strip()
    return Preferences(
        device=str(compute.device),
        tile_size=int(compute.tile_size),
        halo=None if compute.halo < 0 else int(compute.halo),
        cache_size=int(compute.cache_size),
        model_folder=Path(folder).expanduser() if folder else None,
    )
