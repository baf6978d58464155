"""What the network of a package predicts, and the same as the model computes it here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.predictors import predicts_affinities
from napari_pea.models.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn


@dataclass(frozen=True)
class Output:
    """An output of the exported network.

    Attributes
    ----------
    name : str
        Its id.
    channels : tuple of str
        The names of its channels.
    text : str
        What it is.
    """

    name: str
    channels: tuple[str, ...]
    text: str


def standalone(model: Model) -> nn.Module:
    """Return the network of a model with all that follows it."""
    from napari_pea.core.networks import MaskUNet
    from napari_pea.core.networks.base import EmbeddingNetwork
    from napari_pea.models.zoo.network import StandaloneEmbedding, StandaloneMasks

    network = model.network
    if isinstance(network, MaskUNet):
        return StandaloneMasks(network).eval()
    assert isinstance(network, EmbeddingNetwork)  # noqa: S101 - there are no other networks
    return StandaloneEmbedding(network, model.metadata.scale).eval()


def predicted(
    model: Model, image: NDArray[np.float32]
) -> tuple[tuple[Output, NDArray[np.float32]], ...]:
    """Return the outputs of a model for an image, as this program computes them.

    Parameters
    ----------
    model : Model
        On the CPU.
    image : array, shape (C, *spatial)
        Raw intensities.
    """
    from napari_pea.models.mask_model import MaskModel

    foreground: NDArray[np.float32] | None
    if isinstance(model, MaskModel):
        found = model.predict(image, channel_axis=0, precision="full")
        foreground = found.foreground
        if found.direct is not None:
            first = _affinities(found.direct.offsets)
            values = found.direct.values.astype(np.float32)
        else:
            values = np.concatenate(found.codes).astype(np.float32)
            text = "Codes of the masks of each pixel, which its decoders make into masks."
            first = Output("codes", tuple(f"q{n}" for n in range(len(values))), text)
    else:
        embedding = model.embed(image, channel_axis=0, precision="full")
        values, foreground = embedding.vectors, embedding.foreground
        text = "A vector of unit length for each pixel."
        first = Output("embedding", tuple(f"e{n}" for n in range(len(values))), text)
    if foreground is None:
        return ((first, values),)
    inside = Output("foreground", ("foreground",), "Probability of lying inside an object.")
    return (first, values), (inside, foreground[None])


def offsets_of(model: Model) -> list[list[int]]:
    """Return the offsets of the affinities that a package predicts; none of an embedding."""
    return [list(offset) for offset in model.offsets] if predicts_affinities(model) else []


def _affinities(offsets: tuple[tuple[int, ...], ...]) -> Output:
    names = tuple("a" + "".join(f"_{step:+d}" for step in offset) for offset in offsets)
    return Output("affinities", names, "How surely a pixel and that at an offset are one object.")
