"""One stroke of a brush, and which pixels it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Kind: TypeAlias = Literal["join", "cut"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: Distance, in pixels, of the points that a centre line is looked at.
_STEP = 0.5


@dataclass(frozen=True, eq=False)
class Stroke:
    """One stroke of a brush in a plane of an image.

    Parameters
    ----------
    kind : {"join", "cut"}
        What the stroke says about the objects.
    points : array of float, shape (n, ndim)
        Its centre line in data pixels: 0 is the centre of the first pixel.
    width : float
        Diameter of the brush in pixels.
    axes : tuple of two ints, optional
        The axes of the plane that it was drawn in, the last two by default.

    Raises
    ------
    InputError
        If there are no points, one is not a number, the width is not positive, or the
        stroke leaves its plane.
    """

    kind: Kind
    points: NDArray[np.float64]
    width: float
    axes: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"A stroke is one of {', '.join(KINDS)}, not {self.kind!r}.")
        points = _as_points(self.points)
        width = float(self.width)
        if not (np.isfinite(width) and width > 0):
            raise InputError(f"The width of a stroke is a positive number, not {self.width!r}.")
        ndim = points.shape[1]
        axes = (ndim - 2, ndim - 1) if self.axes is None else tuple(int(a) for a in self.axes)
        if len(set(axes)) != 2 or not set(axes) <= set(range(ndim)):
            raise InputError(f"A stroke lies in two of the {ndim} axes, not in {self.axes!r}.")
        fixed = np.rint(np.delete(points, axes, axis=1))
        if (fixed != fixed[0]).any():
            raise InputError("A stroke lies in one plane; draw one in each plane instead.")
        points.flags.writeable = False
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "width", width)
        object.__setattr__(self, "axes", (min(axes), max(axes)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stroke) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]

    def covered(self, shape: Sequence[int]) -> NDArray[np.int64]:
        """Return the pixels of an image under the brush.

        Parameters
        ----------
        shape : sequence of int
            The shape of the image.

        Returns
        -------
        array of int64, shape (n,)
            Flat indices in C order, sorted: the pixels whose centre is at most half a width
            away from the centre line, and those that the line runs through.
        """
        return self._kept("covered", shape, self._covered)

    def sides(self, shape: Sequence[int]) -> NDArray[np.int64]:
        """Return which pixels a cut holds apart.

        Parameters
        ----------
        shape : sequence of int
            The shape of the image.

        Returns
        -------
        array of int64, shape (P, 2)
            Flat indices of the pixels just beyond the brush, on its left and on its right.
            Each is paired with those on the other side that are at most two brush widths
            further along the line, so that no object slips through between two steps.
            Empty for a stroke without length.
        """
        return self._kept("sides", shape, self._sides)

    def _covered(self, shape: Sequence[int]) -> NDArray[np.int64]:
        pixels, distance, nearest = self._around(shape)
        under = distance <= self.width / 2
        # However thin the brush is, the pixels that its line runs through belong to it.
        under |= (np.abs(pixels - self.line[nearest]) <= 0.5).all(axis=1)
        return np.sort(self._flat(pixels[under], shape))

    def _sides(self, shape: Sequence[int]) -> NDArray[np.int64]:
        if len(self.line) < 2:
            return np.zeros((0, 2), dtype=np.int64)
        pixels, distance, nearest = self._around(shape)
        tangent = _tangents(self.line)[nearest]
        away = pixels - self.line[nearest]
        along = (away * tangent).sum(axis=1)
        half = self.width / 2
        # A ring one pixel wide that no path over direct neighbours crosses; its pixels are
        # nearest to an end only if they lie beside or past it.
        is_end = (nearest == 0) | (nearest == len(self.line) - 1)
        ring = (distance > half) & (distance <= half + 1) & ~(is_end & (np.abs(along) > 0.5))
        ring &= ~(np.abs(away) <= 0.5).all(axis=1)
        turn = tangent[:, 0] * away[:, 1] - tangent[:, 1] * away[:, 0]
        left, right = ring & (turn > 0), ring & (turn < 0)
        place = nearest[:, None] * _STEP  # along the line, in pixels
        reach = 2 * self.width + 1
        first, second = np.flatnonzero(left), np.flatnonzero(right)
        if not len(first) or not len(second):
            return np.zeros((0, 2), dtype=np.int64)
        from scipy.spatial import KDTree  # not needed to open the dock

        found = KDTree(place[first]).sparse_distance_matrix(
            KDTree(place[second]), reach, output_type="ndarray"
        )
        flat = self._flat(pixels, shape)
        return np.stack((flat[first[found["i"]]], flat[second[found["j"]]]), axis=1)

    def as_dict(self) -> dict[str, Any]:
        """Return the stroke as plain values that JSON can hold."""
        return {
            "kind": self.kind,
            "points": self.points.tolist(),
            "width": self.width,
            "axes": list(self._plane),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Stroke:
        """Return the stroke that `as_dict` has described.

        Raises
        ------
        InputError
            If something is missing or makes no sense.
        """
        try:
            return cls(values["kind"], values["points"], values["width"], values.get("axes"))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                "A saved correction has no kind, points or width: leave it out."
            ) from error

    def _kept(
        self,
        name: str,
        shape: Sequence[int],
        compute: Callable[[Sequence[int]], NDArray[np.int64]],
    ) -> NDArray[np.int64]:
        """Return what was computed before for an image of this shape, else compute it."""
        key = name, tuple(shape)
        if key not in self._cache:
            self._cache[key] = compute(shape)
        return self._cache[key]

    @cached_property
    def _cache(self) -> dict[tuple[str, tuple[int, ...]], NDArray[np.int64]]:
        return {}

    @property
    def _plane(self) -> tuple[int, int]:
        """The axes of the plane."""
        ndim = self.points.shape[1]
        return (ndim - 2, ndim - 1) if self.axes is None else self.axes

    @property
    def places(self) -> NDArray[np.float64]:
        """The same line in the image, shape (m, ndim)."""
        places = np.repeat(self.points[:1], len(self.line), axis=0)
        places[:, self._plane] = self.line
        return places

    @cached_property
    def line(self) -> NDArray[np.float64]:
        """The centre line in its plane, in steps of half a pixel, shape (m, 2)."""
        corners = self.points[:, self._plane]
        steps = [corners[:1]]
        for here, there in pairwise(corners):
            n = int(np.ceil(np.linalg.norm(there - here) / _STEP))
            steps.append(here + (there - here) * np.arange(1, n + 1)[:, None] / max(n, 1))
        return np.concatenate(steps)

    def _around(
        self, shape: Sequence[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.intp]]:
        """Return the pixels of the plane near the line.

        Returns
        -------
        pixels : array of int64, shape (n, 2)
            Their places in the plane.
        distance : array of float, shape (n,)
            How far from the line each is.
        nearest : array of int, shape (n,)
            The nearest point of the line.
        """
        if len(shape) != self.points.shape[1]:
            raise InputError(
                f"The stroke has {self.points.shape[1]} axes, but the image {len(shape)}."
            )
        reach = int(np.ceil(self.width / 2)) + 2
        disk = np.indices((2 * reach + 1,) * 2).reshape(2, -1).T - reach
        disk = disk[np.hypot(*disk.T) <= reach]
        plane = np.array([shape[axis] for axis in self._plane])
        centers = _unique(np.rint(self.line).astype(np.int64))
        pixels = (centers[:, None] + disk).reshape(-1, 2)
        elsewhere = np.rint(np.delete(self.points[0], self._plane))
        others = np.delete(np.array(shape), self._plane)
        is_in_image = bool(((elsewhere >= 0) & (elsewhere < others)).all())
        pixels = _unique(pixels[((pixels >= 0) & (pixels < plane)).all(axis=1) & is_in_image])
        from scipy.spatial import KDTree

        distance, nearest = KDTree(self.line).query(pixels)
        return pixels, np.asarray(distance), np.asarray(nearest)

    def _flat(self, pixels: NDArray[np.int64], shape: Sequence[int]) -> NDArray[np.int64]:
        """Return flat indices of places in the plane of the stroke."""
        full = np.empty((len(pixels), len(shape)), dtype=np.int64)
        full[:] = np.rint(self.points[0])
        full[:, self._plane] = pixels
        if not len(full):
            return np.zeros(0, dtype=np.int64)
        return np.asarray(np.ravel_multi_index(tuple(full.T), tuple(shape)), dtype=np.int64)


def _as_points(points: ArrayLike) -> NDArray[np.float64]:
    """Return the centre line as a new array, shape (n, ndim)."""
    try:
        array = np.array(points, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 2 or not len(array) or array.shape[1] < 2 or not np.isfinite(array).all():
        raise InputError(
            "A stroke needs at least one point, and every point one number for each axis."
        )
    return array


def _unique(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return places in a plane once each, sorted."""
    if not len(places):
        return places
    first = places.min(axis=0)
    width = int(places[:, 1].max() - first[1]) + 1
    codes = np.unique((places[:, 0] - first[0]) * width + places[:, 1] - first[1])
    unique: NDArray[np.int64] = np.stack((codes // width, codes % width), axis=1) + first
    return unique


def _tangents(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the direction of a line at each of its points, of unit length."""
    steps = np.diff(line, axis=0)
    steps /= np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-12)
    # At a corner the mean of both directions tells left from right.
    mean = np.concatenate((steps[:1], steps[:-1] + steps[1:], steps[-1:]))
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    back = length[:, 0] < 1e-6  # the line turns back on itself
    mean[back] = np.concatenate((steps, steps[-1:]))[back]
    length[back] = 1
    tangents: NDArray[np.float64] = mean / length
    return tangents
