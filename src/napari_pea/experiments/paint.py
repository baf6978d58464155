"""Painting as a hurried user does it: a few objects, ragged outlines, strokes of background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rng = np.random.Generator

#: Smaller objects are not painted.
SMALLEST = 100
#: How much of an object's radius is left out at its rim, on average.
RIM = 0.15
#: One stroke of background is painted for so many objects of an image, and at least one.
OBJECTS_PER_STROKE = 2
#: Length and radius of a stroke, how far from a painted object it may begin, and how far it
#: keeps from all objects, in pixels.
STROKE_LENGTH, STROKE_RADIUS, STROKE_REACH, STROKE_DISTANCE = 80, 3, 60, 2


@dataclass(frozen=True)
class Paint:
    """What was painted in an image.

    Attributes
    ----------
    labels : array of int32, shape (Y, X)
        Ids of the painted objects; 0 where nothing is painted.
    background : array of bool, shape (Y, X)
        Strokes of background.
    """

    labels: NDArray[np.int32]
    background: NDArray[np.bool_]


def paint(truths: Sequence[NDArray[np.integer]], count: int, seed: int) -> list[Paint]:
    """Paint some of the objects in some images.

    Fewer objects painted with the same seed are among those of more.

    Parameters
    ----------
    truths : sequence of array of int, shape (Y, X)
        All objects of each image.
    count : int
        Objects to paint, drawn from all images alike.
    seed : int
        Decides everything.

    Returns
    -------
    list of Paint
        One for each image; nothing is painted in images without a chosen object.

    Raises
    ------
    InputError
        If there are fewer objects.
    """
    objects = [
        (index, number)
        for index, truth in enumerate(truths)
        for number, area in enumerate(np.bincount(truth.ravel()))
        if number and area >= SMALLEST
    ]
    if count > len(objects):
        raise InputError(f"There are {len(objects)} objects to paint, not {count}.")
    order = np.random.default_rng(seed).permutation(len(objects))[:count]
    chosen: dict[int, list[int]] = {}
    for position in sorted(order):
        index, number = objects[position]
        chosen.setdefault(index, []).append(number)
    return [
        _painted(truth, chosen.get(index, []), (seed, index)) for index, truth in enumerate(truths)
    ]


def _painted(truth: NDArray[np.integer], numbers: Sequence[int], seed: tuple[int, int]) -> Paint:
    """Paint some objects of an image."""
    labels = np.zeros(truth.shape, np.int32)
    background = np.zeros(truth.shape, bool)
    if not numbers:
        return Paint(labels, background)
    boxes = ndimage.find_objects(truth)
    for number in numbers:
        box = boxes[number - 1]
        rng = np.random.default_rng((*seed, number))
        labels[box][ragged(truth[box] == number, rng)] = number
    rng = np.random.default_rng(seed)
    allowed = ndimage.distance_transform_edt(truth == 0) > STROKE_DISTANCE
    near = allowed & (ndimage.distance_transform_edt(labels == 0) <= STROKE_REACH)
    for _ in range(-(-len(numbers) // OBJECTS_PER_STROKE)):
        background |= _stroke(near, allowed, rng)
    return Paint(labels, background)


def ragged(inside: NDArray[np.bool_], rng: Rng) -> NDArray[np.bool_]:
    """Return the inside of an object without a rim of changing width.

    Parameters
    ----------
    inside : array of bool, shape (Y, X)
        The object, which may touch the edges of the array.
    rng : numpy Generator
        Decides how wide the rim is where.
    """
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    coarse = rng.uniform(0, 2 * RIM, size=[size // 8 + 2 for size in inside.shape])
    zoom = [size / (length - 1) for size, length in zip(inside.shape, coarse.shape, strict=True)]
    axes = [np.arange(size) / step for size, step in zip(inside.shape, zoom, strict=True)]
    rim = ndimage.map_coordinates(coarse, np.meshgrid(*axes, indexing="ij"), order=1)
    kept: NDArray[np.bool_] = depth > rim * depth.max()
    pieces, n_pieces = ndimage.label(kept)
    if n_pieces > 1:
        kept = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return kept


def _stroke(near: NDArray[np.bool_], allowed: NDArray[np.bool_], rng: Rng) -> NDArray[np.bool_]:
    """Return a stroke that begins near an object and ends where it would meet one."""
    track = np.zeros(near.shape, bool)
    starts = np.argwhere(near)
    if not len(starts):
        return track
    y, x = starts[rng.integers(len(starts))].astype(float)
    heading = rng.uniform(0, 2 * np.pi)
    for _ in range(STROKE_LENGTH):
        row, column = round(y), round(x)
        if not (0 <= row < near.shape[0] and 0 <= column < near.shape[1]):
            break
        if not allowed[row, column]:
            break
        track[row, column] = True
        heading += rng.normal(0, 0.15)
        y, x = y + np.sin(heading), x + np.cos(heading)
    wide = ndimage.distance_transform_edt(~track) <= STROKE_RADIUS
    return np.asarray(wide & allowed)
