"""Lengths in micrometres."""

from __future__ import annotations

from collections.abc import Sequence

#: Micrometres in one of each unit, under the names that file formats use.
MICROMETRES = {
    "nm": 1e-3,
    "nanometer": 1e-3,
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
}

#: The letters of axes that have a pixel size.
SPATIAL = "ZYX"


def in_micrometres(size: float | None, unit: str | None) -> float | None:
    """Return a length in micrometres, or None if the unit or the length says nothing."""
    # The micro sign and the Greek letter look the same and both occur.
    factor = MICROMETRES.get((unit or "").strip().lower().replace("\u03bc", "\u00b5"))
    if factor is None or size is None or not size > 0:
        return None
    return float(size) * factor


def complete(sizes: Sequence[float | None]) -> tuple[float, ...] | None:
    """Return the sizes if every one is known."""
    known = tuple(size for size in sizes if size is not None)
    return known if known and len(known) == len(sizes) else None
