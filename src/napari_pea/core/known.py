"""Which neighborhoods a model can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import CONNECTIVITIES, Neighborhood, Offset

if TYPE_CHECKING:
    from napari_pea.core.settings import SegmentationSettings


@dataclass(frozen=True)
class KnownOffsets:
    """The offsets that a model knows affinities of.

    Parameters
    ----------
    offsets : tuple of offset
        In pixels; an offset and its opposite are the same pairs. Empty for a model that
        predicts an embedding, which knows all.
    """

    offsets: tuple[Offset, ...] = ()

    @property
    def is_limited(self) -> bool:
        """Whether there are offsets that are not known."""
        return bool(self.offsets)

    @property
    def ranges(self) -> tuple[int, ...]:
        """The ranges that a neighborhood may have; empty for any."""
        return ranges_of(self.offsets)

    @cached_property
    def z_ranges(self) -> tuple[int, ...]:
        """The z ranges that it may have; empty for any, and in 2D."""
        across = {abs(offset[0]) for offset in self.offsets if len(offset) == 3}
        return tuple(sorted(z for z in across if z and self.knows((-z, 0, 0))))

    @cached_property
    def connectivities(self) -> tuple[int, ...]:
        """The connectivities that it may have with all `ranges`; empty for any."""
        if not self.offsets:
            return ()
        ndim = len(self.offsets[0])
        found = []
        for connectivity in CONNECTIVITIES[ndim]:
            z_ranges = self._z_ranges_for(self.ranges) if ndim == 3 else None
            widest = Neighborhood(self.ranges or (1,), connectivity, ndim, z_ranges)
            if all(map(self.knows, widest.offset_list)):
                found.append(connectivity)
        return tuple(found) or (min(CONNECTIVITIES[ndim]),)

    def check(self, neighborhood: Neighborhood) -> None:
        """Make sure that all pairs of a neighborhood are known.

        Raises
        ------
        InputError
            If some are not; the sentence says what is.
        """
        if not self.offsets or all(map(self.knows, neighborhood.offset_list)):
            return
        ranges = neighborhood.ranges
        z_ranges = (neighborhood.z_ranges or ranges) if neighborhood.ndim == 3 else ()
        for what, asked, known in (
            ("range", ranges, self.ranges),
            ("z range", z_ranges, self.z_ranges),
        ):
            strange = [distance for distance in asked if distance not in known]
            if strange:
                raise InputError(
                    f"The model does not know the {what} {strange[0]}: take {what}s out of "
                    f"{_listed(known)}."
                )
        unknown = next(o for o in neighborhood.offset_list if not self.knows(o))
        raise InputError(
            f"The model does not know connectivity {neighborhood.connectivity} with its offset "
            f"{unknown}: take connectivity {_listed(self.connectivities)}."
        )

    def updated(self, settings: SegmentationSettings, **changes: Any) -> SegmentationSettings:
        """Return changed settings; z ranges that follow the ranges are known ones.

        Parameters
        ----------
        settings : SegmentationSettings
            The settings so far.
        **changes
            See `SegmentationSettings.updated`.

        Raises
        ------
        InputError
            If a setting does not exist or makes no sense.
        """
        changed = settings.updated(**changes)
        follows = "ranges" in changes and "z_ranges" not in changes
        return self.with_known_z(changed) if follows else changed

    def with_known_z(self, settings: SegmentationSettings) -> SegmentationSettings:
        """Return settings whose z ranges are the nearest ones that are known."""
        if not self.z_ranges:
            return settings
        wanted = settings.z_ranges or settings.ranges
        return settings.updated(ranges=settings.ranges, z_ranges=self._z_ranges_for(wanted))

    def _z_ranges_for(self, wanted: Sequence[int]) -> tuple[int, ...]:
        known = np.array(self.z_ranges or (1,))
        return tuple(int(known[np.abs(known - z).argmin()]) for z in wanted)

    def knows(self, offset: Offset) -> bool:
        """Whether the affinities of an offset are known."""
        return not self.offsets or tuple(offset) in self._pairs

    @cached_property
    def _pairs(self) -> frozenset[Offset]:
        opposite = (tuple(-step for step in offset) for offset in self.offsets)
        return frozenset((*self.offsets, *opposite))


def ranges_of(offsets: Sequence[Offset]) -> tuple[int, ...]:
    """Return the distances that offsets have along both axes of a section, ascending."""
    straight: list[set[int]] = [set(), set()]
    for offset in offsets:
        *across, along_y, along_x = offset
        if not any(across) and bool(along_y) != bool(along_x):
            straight[int(bool(along_x))].add(abs(along_y or along_x))
    return tuple(sorted(straight[0] & straight[1]))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
