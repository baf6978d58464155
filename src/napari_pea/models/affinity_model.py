"""A model that knows the affinities of fixed offsets."""

from __future__ import annotations

from napari_pea.core.errors import InputError
from napari_pea.models.model import Model


class AffinityModel(Model):
    """A trained network that predicts affinities, with what it needs to know about its images.

    See `Model` for the parameters. Offsets are pixels of the image, so images are never resized.
    """

    def with_scale(self, scale: float) -> Model:
        """Return the model itself: its offsets are pixels of the image.

        Raises
        ------
        InputError
            If the scale is not 1.
        """
        if scale != 1:
            raise InputError(
                f"The model {self.name!r} knows pixel pairs of images as they are: resize the "
                "image itself, or choose another model."
            )
        return self
