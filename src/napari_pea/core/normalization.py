"""Intensity normalisation, recorded in the model so that every image is treated alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Percentiles are taken from about this many pixels of a channel; more change nothing.
SAMPLE_SIZE = 4_000_000


@dataclass(frozen=True)
class Normalization:
    """How intensities are brought to the range the network was trained on.

    Parameters
    ----------
    kind : {"percentile", "min-max"}
        Whether 0 and 1 are two percentiles of the image or its extremes.
    lower, upper : float
        The percentiles, for kind "percentile".
    """

    kind: Literal["percentile", "min-max"] = "percentile"
    lower: float = 1.0
    upper: float = 99.8

    def __post_init__(self) -> None:
        if self.kind not in ("percentile", "min-max"):
            raise InputError(
                f"The normalisation {self.kind!r} is not known: use 'percentile' or 'min-max'."
            )
        if not 0 <= self.lower < self.upper <= 100:
            raise InputError(
                f"The percentiles must rise between 0 and 100, not {self.lower} to {self.upper}."
            )

    def __call__(self, image: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the image with every channel normalised on its own.

        Parameters
        ----------
        image : array, shape (C, *spatial)
            Intensities of any type.

        Returns
        -------
        array of float32, shape (C, *spatial)
            A channel without contrast becomes 0.
        """
        result = np.empty(image.shape, dtype=np.float32)
        for source, target in zip(image, result, strict=True):
            target[...] = self.between(source, self.limits(source))
        return result

    @staticmethod
    def between(image: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.float32]:
        """Return an image with given intensities at 0 and 1.

        Parameters
        ----------
        image : array
            Intensities of any type.
        limits : (float, float)
            What becomes 0 and what becomes 1; an image becomes 0 if they are the same.
        """
        low, high = limits
        result = np.empty(image.shape, dtype=np.float32)
        span = high / 2 - low / 2  # half of it, because the whole might overflow
        # Numbers that single precision cannot tell apart are subtracted as doubles.
        exact = (image.dtype.kind == "f" and image.dtype.itemsize <= 4) or image.dtype.itemsize <= 2
        if span <= 0:
            result.fill(0.0)
        elif exact:
            np.subtract(image, low, out=result, dtype=np.float32, casting="unsafe")
            result /= np.float32(high - low)
        else:
            result[...] = (image / 2.0 - low / 2.0) / span
        return result

    def limits(self, channel: NDArray[np.generic]) -> tuple[float, float]:
        """Return the intensities of a channel that become 0 and 1."""
        if self.kind == "min-max":
            return float(channel.min()), float(channel.max())
        step = max(1, round((channel.size / SAMPLE_SIZE) ** (1 / channel.ndim)))
        sample = channel[(slice(None, None, step),) * channel.ndim]
        low, high = np.percentile(sample.astype(np.float64), (self.lower, self.upper))
        if high <= low:
            low, high = float(channel.min()), float(channel.max())
        return float(low), float(high)
