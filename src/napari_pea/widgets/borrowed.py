"""Models that a segmenter sees, but whose images come from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_pea.core.settings import SegmentationSettings
    from napari_pea.models.model import Model


@dataclass(frozen=True)
class BorrowedModel:
    """A model with another way to embed images, which subclasses add.

    Attributes
    ----------
    model : Model
        The model itself.
    """

    model: Model

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.model.name

    @property
    def ndim(self) -> int:
        """The number of spatial axes of its images."""
        return self.model.ndim

    @property
    def recommended(self) -> SegmentationSettings:
        """The settings it works best with."""
        return self.model.recommended

    @property
    def device(self) -> Any:
        """Where it runs."""
        return self.model.device
