"""How many numbers a mask needs: autoencoders of masks by the length of their codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from napari_pea.core.networks import MaskUNet, build_network
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.experiments.recipes import Recipe
from napari_pea.training.data import AnnotatedImage
from napari_pea.training.labelled import annotated
from napari_pea.training.mask_pretraining import MaskDraws
from napari_pea.training.mask_vae import MaskVAE, pretrain, reconstruction
from napari_pea.training.settings import TrainingSettings

#: Lengths of codes; LSIM has 32.
LENGTHS = (2, 4, 8, 16, 32, 64)
#: Draws that no autoencoder has seen, by which they are compared.
HELD_OUT = 1_000_000


def measure(
    training: Sequence[AnnotatedImage],
    held_out: Sequence[AnnotatedImage],
    settings: TrainingSettings,
    network: MaskUNet,
    *,
    lengths: Sequence[int] = LENGTHS,
    steps: int = 400,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> list[dict[str, Any]]:
    """Return how well masks come back from codes of some lengths (methods B2).

    Parameters
    ----------
    training, held_out : sequence of AnnotatedImage
        Whose masks autoencoders learn from, and are compared by.
    settings : TrainingSettings
        How crops and masks are drawn.
    network : MaskUNet
        Its branches say which masks there are; it is not trained.
    lengths : sequence of int
        Of the codes.
    steps : int
        Of each autoencoder.
    progress : callable
        Told the steps done and in all.
    cancel : CancelToken, optional
        Checked before each step.

    Returns
    -------
    list of dict
        For each branch and length "branch", "length", "dice" of the masks and "right", the
        share of their entries that are right.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    device = torch.device("cpu")
    runs = [(branch, length) for branch in range(len(network.dense)) for length in lengths]
    found = []
    for number, (branch, length) in enumerate(runs):

        def advance(done: int, total: int, /, before: int = number * steps) -> None:
            progress(before + done, len(runs) * steps)

        torch.manual_seed(settings.seed)
        model = MaskVAE(network.lattices[branch].shape, length)
        shown = MaskDraws(network, branch, training, settings, device)
        pretrain(model, shown, steps, progress=advance, cancel=cancel)
        unseen = MaskDraws(network, branch, held_out, settings, device)
        how = reconstruction(model, *unseen(HELD_OUT))
        found.append(
            {
                "branch": network.dense[branch],
                "length": length,
                "dice": how.dice,
                "right": how.right,
            }
        )
    return found


def measure_recipe(
    recipe: Recipe,
    *,
    lengths: Sequence[int] = LENGTHS,
    steps: int = 400,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> list[dict[str, Any]]:
    """Measure the masks of the data of a recipe.

    Parameters
    ----------
    recipe : Recipe
        Of a model of masks.
    lengths, steps, progress, cancel
        See `measure`.
    """
    network = build_network(recipe.model.architecture, recipe.model.arguments)
    assert isinstance(network, MaskUNet)  # noqa: S101 - the recipe is one of masks
    shown, unseen = (
        annotated(images, recipe.model, network) for images in (recipe.training, recipe.validation)
    )
    return measure(
        shown,
        unseen,
        recipe.settings,
        network,
        lengths=lengths,
        steps=steps,
        progress=progress,
        cancel=cancel,
    )
