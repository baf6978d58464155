"""The settings of a segmentation, shared by dock, command line and Python."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import CONNECTIVITIES, Neighborhood, whole_numbers

#: The ranges that objects of usual sizes need; a longest range takes all up to it.
RANGE_LADDER: tuple[int, ...] = (1, 3, 5, 7, 9, 11, 15, 19, 27, 35, 51, 67)
#: Every way from affinities to objects: see `napari_pea.core.partition`.
PARTITIONERS: tuple[str, ...] = ("mutex", "multicut", "average", "mean-shift")
#: Those that need affinities and no embedding.
AFFINITY_PARTITIONERS: tuple[str, ...] = PARTITIONERS[:3]


def check_types(settings: Any) -> None:
    """Make sure that numbers are numbers, and make plain ones of those of numpy.

    Parameters
    ----------
    settings : dataclass
        Fields of other types than bool, int and float are left as they are.

    Raises
    ------
    InputError
        If a field has another type than it says.
    """
    for known in fields(settings):
        value = getattr(settings, known.name)
        if known.type == "bool":
            fits, wanted = isinstance(value, (bool, np.bool)), "True or False"
        elif known.type == "int":
            fits, wanted = isinstance(value, Integral), "a whole number"
        elif known.type == "float":
            fits, wanted = isinstance(value, Real), "a number"
        else:
            continue
        if not fits or (isinstance(value, bool) and known.type != "bool"):
            raise InputError(f"{known.name} must be {wanted}, not {value!r}.")
        # Checkpoints and model files hold plain values only.
        plain = {"bool": bool, "int": int, "float": float}[known.type]
        object.__setattr__(settings, known.name, plain(value))


@dataclass(frozen=True)
class SegmentationSettings:
    """Everything between what a model predicts and its labels.

    Every model carries the settings it works best with; these here are the defaults of a
    model that has none.

    Parameters
    ----------
    ranges : tuple of int
        Distances, in pixels, of the pixel pairs that are compared.
    connectivity : int, optional
        4 or 8 in 2D, 6, 18 or 26 in 3D; by default the smallest.
    z_ranges : tuple of int, optional
        Distances in sections, one for each range; by default the ranges.
    strides : int or tuple of int
        Repulsive pairs are taken at every n-th pixel along each axis.
    partitioner : {"mutex", "multicut", "average", "mean-shift"}
        How affinities become objects: by the Mutex Watershed, by the multicut or the average
        linkage of watershed pieces, or by clusters of the embedding itself.
    bias : float
        Between -1 and 1: positive values merge more, negative ones split more. The Mutex
        Watershed adds it to the priority of attractive pairs.
    foreground_threshold : float
        Pixels with a lower foreground probability belong to no object.
    min_size : int
        Objects with fewer pixels are removed.
    merge_fragments : bool
        Whether small pieces are given to the object around them.
    fill_holes : bool
        Whether holes inside objects are filled.
    average_masks : bool
        Whether affinities are averaged from masks (LSIM), which takes longer and tells how
        uncertain they are. Other models ignore it.

    Raises
    ------
    InputError
        If a value makes no sense.
    """

    ranges: tuple[int, ...] = (1, 3, 5, 9, 11)
    connectivity: int | None = None
    z_ranges: tuple[int, ...] | None = None
    strides: int | tuple[int, ...] = 4
    partitioner: str = "mutex"
    bias: float = 0.0
    foreground_threshold: float = 0.5
    min_size: int = 25
    merge_fragments: bool = True
    fill_holes: bool = True
    average_masks: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        for name, what in (("ranges", "range"), ("z_ranges", "z range")):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole_numbers(getattr(self, name), what))
        if isinstance(self.strides, Iterable):
            object.__setattr__(self, "strides", whole_numbers(self.strides, "stride"))
        else:
            object.__setattr__(self, "strides", whole_numbers((self.strides,), "stride")[0])
        if self.partitioner not in PARTITIONERS:
            raise InputError(
                f"There is no partitioner {self.partitioner!r}: use {', '.join(PARTITIONERS)}."
            )
        if not -1 <= self.bias <= 1:
            raise InputError(f"The bias lies between -1 and 1, not {self.bias}.")
        if not 0 <= self.foreground_threshold <= 1:
            raise InputError(
                f"The foreground threshold lies between 0 and 1, not {self.foreground_threshold}."
            )
        if self.min_size < 0:
            raise InputError(f"The minimum size cannot be negative: {self.min_size}.")
        all_known = {value for known in CONNECTIVITIES.values() for value in known}
        if self.connectivity is not None and self.connectivity not in all_known:
            raise InputError(
                f"Connectivity {self.connectivity} does not exist: use 4 or 8 in 2D, "
                "6, 18 or 26 in 3D."
            )

    def neighborhood(self, ndim: int) -> Neighborhood:
        """Return the neighborhood of the settings for images of `ndim` axes."""
        return Neighborhood(self.ranges, self.connectivity, ndim, self.z_ranges)

    def strides_for(self, ndim: int) -> tuple[int, ...]:
        """Return one stride for each of `ndim` axes."""
        if isinstance(self.strides, int):
            return (self.strides,) * ndim
        if len(self.strides) != ndim:
            raise InputError(f"{ndim}D images need {ndim} strides, not {len(self.strides)}.")
        return self.strides

    def updated(self, **changes: Any) -> SegmentationSettings:
        """Return settings with some values changed.

        With other ranges, z ranges follow unless they are given too: see `z_ranges_for`.

        Parameters
        ----------
        **changes
            The new values by their names.

        Raises
        ------
        InputError
            If a setting does not exist.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise InputError(
                    f"There is no setting {name!r}; the settings are {', '.join(known)}."
                )
        if "ranges" in changes and "z_ranges" not in changes:
            ranges = whole_numbers(changes["ranges"], "range")
            changes["z_ranges"] = self.z_ranges_for(ranges)
        return replace(self, **changes)

    def z_ranges_for(self, ranges: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return z ranges that grow with other ranges as those of the settings do.

        Parameters
        ----------
        ranges : tuple of int
            The other ranges.

        Returns
        -------
        tuple of int or None
            One for each of them; None if the settings have no z ranges.
        """
        if self.z_ranges is None:
            return None
        known = Neighborhood(self.ranges, None, 3, self.z_ranges)
        far = known.z_ranges or known.ranges
        between = np.interp(ranges, known.ranges, far)
        beyond = np.array(ranges) * far[-1] / known.ranges[-1]
        steps = np.where(np.array(ranges) > known.ranges[-1], beyond, between)
        return tuple(int(step) for step in np.maximum(1, np.rint(steps)))

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values that JSON can hold."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }
