"""The choices of a run that trains masks."""

from __future__ import annotations

from dataclasses import dataclass

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import whole_numbers
from napari_pea.training.background import Background


@dataclass(frozen=True)
class MaskObjective:
    """How single-instance masks are trained (methods B2).

    Parameters
    ----------
    samples : tuple of int
        How many masks are trained in each crop, for each of the dense branches 1 to 4.
    spacing : tuple of int
        The lattice that their pixels are drawn from, in pixels of the level: across sections,
        and along both axes of a section.
    border : int
        Pixels at most so far from another object, within their section, have an empty mask.
    skipped_sections : int
        Sections at both ends of a crop whose masks are not trained.
    background : {"object", "apart", "ignored"}
        Whether background is an object like others, belongs with nothing, so that its masks
        are empty, or counts nowhere, as in the authors' code.
    drop_borders : bool
        Whether the network drops what is near its border: see `MaskUNet`.
    dense_weight, sparse_weight, direct_weight : float
        Of the terms. The last is that of the affinities that a head of its own predicts from
        the codes, whose gradients do not reach the codes.
    pretraining : int
        Steps in which the decoders learn to tell masks from codes before the network is trained,
        by an autoencoder: see `napari_pea.training.mask_vae`. The authors found it no better.

    Raises
    ------
    InputError
        If a value makes no sense.
    """

    samples: tuple[int, ...] = (120, 120, 120, 90)
    spacing: tuple[int, ...] = (2, 7, 7)
    border: int = 2
    skipped_sections: int = 2
    background: Background = "ignored"
    drop_borders: bool = False
    dense_weight: float = 1.0
    sparse_weight: float = 1.0
    direct_weight: float = 1.0
    pretraining: int = 0

    def __post_init__(self) -> None:
        for name, length in (("samples", 4), ("spacing", 3)):
            values = whole_numbers(getattr(self, name), name)
            if len(values) != length:
                raise InputError(f"{name} needs {length} numbers, not {len(values)}.")
            object.__setattr__(self, name, values)
        for name in (
            *("border", "skipped_sections"),
            *("dense_weight", "sparse_weight", "direct_weight", "pretraining"),
        ):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} cannot be negative: {getattr(self, name)}.")
        if self.background not in ("object", "apart", "ignored"):
            raise InputError(
                f"The background {self.background!r} is not known: use object, apart or ignored."
            )
