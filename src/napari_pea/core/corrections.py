"""What the user has drawn to mend a segmentation, and what it says about pairs of pixels.

*join*: all objects that the stroke covers a pixel of are one object. *cut*: at each step of
the centre line, the pixels just beyond the brush on its left and on its right cannot be one
object; past the ends of the stroke the image is free, and the pixels under the brush go to
either side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.constraints import Constraints, group_of, linked_groups
from napari_pea.core.errors import InputError
from napari_pea.core.strokes import Stroke


@dataclass(frozen=True)
class Corrections:
    """The strokes on one image, in the order in which they were drawn.

    Attributes
    ----------
    strokes : tuple of Stroke
        None of them contradicts another if they were added by `add`.
    """

    strokes: tuple[Stroke, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.strokes)

    def __len__(self) -> int:
        return len(self.strokes)

    def add(self, stroke: Stroke, shape: Sequence[int]) -> tuple[Corrections, tuple[Stroke, ...]]:
        """Return the corrections with one more stroke, which the others have to fit.

        Two strokes contradict each other if a join makes one object of two pixels that a
        cut holds apart. The newer one stays.

        Parameters
        ----------
        stroke : Stroke
            The new one.
        shape : sequence of int
            The shape of the image.

        Returns
        -------
        corrections : Corrections
            With the new stroke as the last.
        dropped : tuple of Stroke
            Earlier strokes that it has replaced.
        """
        everything = Corrections((*self.strokes, stroke))
        if not everything.contradicts_itself(shape):
            return everything, ()
        kept = Corrections((stroke,))
        dropped: list[Stroke] = []
        for earlier in reversed(self.strokes):
            trial = Corrections((earlier, *kept.strokes))
            if trial.contradicts_itself(shape):
                dropped.insert(0, earlier)
            else:
                kept = trial
        return kept, tuple(dropped)

    def without_last(self) -> Corrections:
        """Return the corrections without the newest stroke."""
        return Corrections(self.strokes[:-1])

    def contradicts_itself(self, shape: Sequence[int]) -> bool:
        """Whether a join makes one object of two pixels that a cut holds apart."""
        constraints = self.constraints(shape)
        if not len(constraints.must_link) or not len(constraints.cannot_link):
            return False
        pixels, group = linked_groups(constraints.must_link)
        first, second = (group_of(side, pixels, group) for side in constraints.cannot_link.T)
        return bool(((first == second) & (first >= 0)).any())

    def constraints(
        self, shape: Sequence[int], mask: NDArray[np.bool_] | None = None
    ) -> Constraints:
        """Return what the strokes say about pairs of pixels.

        Parameters
        ----------
        shape : sequence of int
            The shape of the image.
        mask : array of bool, shape (*spatial), optional
            Where objects may be. Pixels outside of it are left out: a join over a gap links
            the pixels on both sides of it.

        Returns
        -------
        Constraints
            Pixels under a join are linked one to the next; see `Stroke.sides` for cuts.
        """
        inside = None if mask is None else np.asarray(mask, dtype=bool).reshape(-1)
        must, cannot = [np.zeros((0, 2), dtype=np.int64)], [np.zeros((0, 2), dtype=np.int64)]
        for stroke in self.strokes:
            if stroke.kind == "join":
                pixels = stroke.covered(shape)
                pixels = pixels if inside is None else pixels[inside[pixels]]
                must.append(np.stack((pixels[:-1], pixels[1:]), axis=1))
            else:
                pairs = stroke.sides(shape)
                cannot.append(pairs if inside is None else pairs[inside[pairs].all(axis=1)])
        return Constraints(np.concatenate(must), np.concatenate(cannot))

    def as_dict(self) -> dict[str, Any]:
        """Return the corrections as plain values that JSON can hold."""
        return {"strokes": [stroke.as_dict() for stroke in self.strokes]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Corrections:
        """Return the corrections that `as_dict` has described.

        Raises
        ------
        InputError
            If a stroke cannot be read.
        """
        listed = values.get("strokes", ())
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            raise InputError("Saved corrections hold a list of strokes: leave them out.")
        return cls(tuple(Stroke.from_dict(stroke) for stroke in listed))
