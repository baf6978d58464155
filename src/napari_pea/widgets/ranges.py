"""Ranges and strides between what a user says and what settings hold."""

from __future__ import annotations

import re

from napari_pea.core.errors import InputError
from napari_pea.core.known import KnownOffsets
from napari_pea.core.settings import SegmentationSettings


def numbers_from(text: str, what: str = "Ranges") -> tuple[int, ...]:
    """Return the numbers that a user has typed, in that order.

    Parameters
    ----------
    text : str
        Whole numbers with commas or spaces between them.
    what : str
        What they are called in messages.

    Raises
    ------
    InputError
        If there is anything else.
    """
    parts = [part for part in re.split(r"[,;\s]+", text.strip()) if part]
    if not parts or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise InputError(
            f"{what} are whole numbers of at least 1, such as 1, 3, 9; {text.strip()!r} is "
            "something else."
        )
    return tuple(map(int, parts))


def ranges_from(text: str) -> tuple[int, ...]:
    """Return the ranges that a user has typed, sorted, each once, with range 1.

    Parameters
    ----------
    text : str
        See `numbers_from`.

    Raises
    ------
    InputError
        If there is anything else.
    """
    return tuple(sorted({1, *numbers_from(text)}))


def z_ranges_from(text: str, ranges: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the z ranges that a user has typed, one for each range; None for the ranges.

    Parameters
    ----------
    text : str
        See `numbers_from`; nothing at all stands for the ranges.
    ranges : tuple of int
        What they belong to.

    Raises
    ------
    InputError
        If there are more or fewer, or anything else.
    """
    if not text.strip():
        return None
    z_ranges = numbers_from(text)
    if len(z_ranges) != len(ranges):
        raise InputError(
            f"Each range needs its z range: there are {len(ranges)} ranges, "
            f"{numbers_text(ranges)}, and {len(z_ranges)} z ranges."
        )
    return z_ranges


def numbers_text(numbers: tuple[int, ...]) -> str:
    """Return numbers for the user."""
    return ", ".join(map(str, numbers))


def with_ranges(
    settings: SegmentationSettings,
    ranges: tuple[int, ...],
    recommended: SegmentationSettings,
    known: KnownOffsets | None = None,
) -> SegmentationSettings:
    """Return settings with other ranges, and z ranges that grow as the model's do.

    Parameters
    ----------
    settings : SegmentationSettings
        The settings so far.
    ranges : tuple of int
        The new ranges, with range 1.
    recommended : SegmentationSettings
        What the model works best with; it knows how much further apart sections are than
        pixels.
    known : KnownOffsets, optional
        What the model knows; by default everything.
    """
    changed = settings.updated(ranges=ranges, z_ranges=recommended.z_ranges_for(ranges))
    return changed if known is None else known.with_known_z(changed)


def with_stride(settings: SegmentationSettings, stride: int) -> SegmentationSettings:
    """Return settings with another stride along the axes that have the largest one.

    The others, such as that across sections, stay, but for being no larger.

    Parameters
    ----------
    settings : SegmentationSettings
        The settings so far.
    stride : int
        The new one.
    """
    if isinstance(settings.strides, int):
        return settings.updated(strides=stride)
    largest = max(settings.strides)
    strides = tuple(stride if step == largest else min(step, stride) for step in settings.strides)
    return settings.updated(strides=strides)


def largest_stride(settings: SegmentationSettings) -> int:
    """Return one number for the strides."""
    return settings.strides if isinstance(settings.strides, int) else max(settings.strides)
