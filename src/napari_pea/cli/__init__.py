"""The command line, `napari-pea`."""

from __future__ import annotations

from napari_pea.cli.main import app

__all__ = ["app"]
