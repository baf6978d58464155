"""The networks that turn an image into an embedding, or codes of masks, and a foreground."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from napari_pea.core.errors import InputError
from napari_pea.core.networks.base import EmbeddingNetwork, Network, NetworkOutput
from napari_pea.core.networks.maskunet import MaskUNet
from napari_pea.core.networks.resnet2d import ResNetUNet2D
from napari_pea.core.networks.resunet2d import ResUNet2D
from napari_pea.core.networks.resunet3d import ResUNet3D

__all__ = [
    "ARCHITECTURES",
    "EmbeddingNetwork",
    "MaskUNet",
    "Network",
    "NetworkOutput",
    "ResNetUNet2D",
    "ResUNet2D",
    "ResUNet3D",
    "build_network",
]

#: Every architecture by the name that model files carry.
ARCHITECTURES: dict[str, Callable[..., Network]] = {
    "maskunet2d": partial(MaskUNet, ndim=2),
    "maskunet3d": partial(MaskUNet, ndim=3),
    "resnet2d": ResNetUNet2D,
    "resunet2d": ResUNet2D,
    "resunet3d": ResUNet3D,
}


def build_network(architecture: str, arguments: Mapping[str, Any]) -> Network:
    """Return an untrained network.

    Parameters
    ----------
    architecture : str
        A key of `ARCHITECTURES`.
    arguments : mapping
        Its keyword arguments.

    Raises
    ------
    InputError
        If the architecture is unknown or cannot be built from the arguments.
    """
    try:
        factory = ARCHITECTURES[architecture]
    except KeyError:
        known = ", ".join(sorted(ARCHITECTURES))
        raise InputError(
            f"The architecture {architecture!r} is not known here; known are: {known}."
        ) from None
    try:
        return factory(**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The architecture {architecture!r} cannot be built as the model asks: {error}."
        ) from error
