"""Keeping what a model knows: some crops show it, labelled by the model as it was.

A new kind of image changes weights and batch statistics alike, and what the model did before is
lost. So a share of every batch comes from images of the old kind. Their labels are what the
model finds in them before training, so nobody has to paint them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.image import prepare_image
from napari_pea.core.networks.base import Network
from napari_pea.core.progress import CancelToken
from napari_pea.core.scaling import scaled_image, scaled_settings
from napari_pea.core.segmenter import Segmenter
from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.data import AnnotatedImage
from napari_pea.training.validation import in_training

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

#: The model whose kind of image comes with the program.
SAMPLED_MODEL = "nuclei"


def replay_images(
    network: Network,
    parent: ModelMetadata,
    images: Sequence[NDArray[Any]] = (),
    *,
    device: torch.device | None = None,
    cancel: CancelToken | None = None,
) -> list[AnnotatedImage]:
    """Return images of the kind a model knows, with the objects it finds in them.

    Parameters
    ----------
    network : Network
        The model's network, before training.
    parent : ModelMetadata
        Of the model.
    images : sequence of array, optional
        Images of the old kind, without labels; for the model `nuclei` by default the sample
        image.
    device : torch.device, optional
        Where to compute; by default where the network is.
    cancel : CancelToken, optional
        Checked before each image and within it.

    Raises
    ------
    InputError
        If there are no images of that kind, or the model finds nothing in them.
    Cancelled
        If `cancel` was set.
    """
    if not images:
        if parent.name != SAMPLED_MODEL:
            raise InputError(
                f"No images are at hand that show what the model {parent.name!r} knows: give "
                "some, or let it forget."
            )
        from napari_pea.sample_data import load_sample

        images = [load_sample(SAMPLED_MODEL).image]
    network = network.to(device)
    embedder = in_training(network, scaled_settings(parent.recommended, parent.scale))
    found = []
    for image in images:
        channels = prepare_image(np.asarray(image), network.in_channels, network.ndim)
        normalised = scaled_image(parent.normalization(channels), parent.scale)
        labels = Segmenter(embedder, normalised).segment(cancel=cancel).labels
        found.append(AnnotatedImage(normalised, labels.astype(np.int32)))
    if not any(item.labels.any() for item in found):
        raise InputError(
            f"The model {parent.name!r} finds nothing in the images that should show what it knows."
        )
    return found
