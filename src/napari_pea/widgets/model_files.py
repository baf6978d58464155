"""Model files that are opened in napari: their card is shown, and no layer is added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_pea.models.package import SUFFIX
from napari_pea.widgets.commands import open_models_dock


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], Any] | None:
    """Return the reader of napari for model files, or None if a file is none.

    Parameters
    ----------
    path : str or list of str
        What the user opens.
    """
    paths = [path] if isinstance(path, str) else path
    return _show_cards if paths and all(each.endswith(SUFFIX) for each in paths) else None


def _show_cards(path: str | list[str]) -> list[tuple[None]]:
    """Show the cards of model files in the window that is open; add nothing to it."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        dock = open_models_dock(viewer)
        for each in [path] if isinstance(path, str) else path:
            dock.show_file(each)
    # napari's word for a file that was read and holds no layer.
    return [(None,)]
