"""The losses of masks, and that a network learns by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_pea.core.networks.maskunet import MaskUNet
from napari_pea.training.mask_objectives import decoded, dice_loss, mask_losses
from napari_pea.training.mask_settings import MaskObjective
from napari_pea.training.mask_targets import make_mask_batch

CPU = torch.device("cpu")
SMALL = {"widths": (4, 8, 8, 8), "decoder_widths": (8, 8, 8), "code_dim": 8}


def test_dice_is_that_of_sorensen() -> None:
    predicted = torch.tensor([[0.5, 1.0, 0.0], [0.2, 0.0, 0.3]])
    wanted = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    valid = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    expected = 1 - 2 * 1.5 / (0.25 + 1 + 0.04 + 3)
    assert dice_loss(predicted, wanted, valid).item() == pytest.approx(expected, abs=1e-5)


def test_channels_have_their_own_dice() -> None:
    wanted = torch.zeros(2, 3, 4)
    wanted[:, 0, :2] = wanted[:, 1, 2:] = 1
    predicted = wanted.clone()
    predicted[:, 1] = 1 - predicted[:, 1]  # all wrong
    ones = torch.ones_like(wanted)
    # The third channel is empty, and found so.
    assert dice_loss(predicted, wanted, ones, per_channel=True).item() == pytest.approx(1)
    assert 0 < dice_loss(predicted, wanted, ones).item() < 1
    assert dice_loss(wanted, wanted, ones, per_channel=True).item() == pytest.approx(0)


def test_nothing_at_all_costs_nothing() -> None:
    empty = torch.zeros(0, 7, 7, requires_grad=True)
    loss = dice_loss(empty, torch.zeros(0, 7, 7), torch.zeros(0, 7, 7))
    loss.backward()
    assert loss.item() == 0


def stripes(rng, shape):
    """Return an image of stripes with dark borders, and their labels."""
    width = 12
    begin = int(rng.integers(width))
    columns = (np.arange(shape[-1]) + begin) // width + 1
    labels = np.broadcast_to(columns, shape).astype(np.int32)
    edge = (np.arange(shape[-1]) + begin) % width == 0
    image = np.broadcast_to(np.where(edge, 0.0, 1.0), shape) + 0.05 * rng.standard_normal(shape)
    return image[None].astype(np.float32), labels


def network_and_batch(ndim, *, crop=False, **arguments):
    torch.manual_seed(0)
    network = MaskUNet(1, ndim, **SMALL, **arguments)
    settings = MaskObjective(
        samples=(20, 20, 20, 20), border=1, drop_borders=crop, background="object"
    )
    rng = np.random.default_rng(0)
    shape = (6, 32, 32)[-ndim:] if not crop else (6, 64, 64)[-ndim:]
    crops = [stripes(rng, shape) for _ in range(2)]
    return network, make_mask_batch(crops, network, settings, CPU, rng), settings


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("crop", [False, True])
def test_masks_are_decoded_where_their_pixels_are(ndim, crop) -> None:
    network, batch, settings = network_and_batch(ndim, crop=crop, dense=(2, 3))
    with torch.inference_mode():
        codes = network(batch.images, crop=settings.drop_borders).codes[1]
        masks = decoded(network, 1, codes, batch.dense[1], batch.images)
        margin = (8 if crop else 0,) * 2  # of the middle level
        image, place = int(batch.dense[1].images[3]), batch.dense[1].places[3].tolist()
        place[-2:] = [at - cut for at, cut in zip(place[-2:], margin, strict=True)]
        alone = network.decoders[1](codes[(image, slice(None), *place)][None])
    assert len(masks) == len(batch.dense[1].masks) > 3
    torch.testing.assert_close(masks[3:4], alone)


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("ndim", [2, 3])
def test_every_head_has_its_term(ndim, crop) -> None:
    network, batch, settings = network_and_batch(
        ndim,
        crop=crop,
        dense=(1, 3, 4),
        sparse=(1, 2, 3),
        foreground=True,
        offsets=[(0, -1), (0, -2)] if ndim == 2 else [(0, 0, -1), (-1, 0, 0)],
    )
    losses = mask_losses(network, batch, settings)
    assert set(losses) == {"dense", "sparse", "direct", "foreground"}
    assert all(0 < loss.item() < 40 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_weights_count() -> None:
    network, batch, settings = network_and_batch(2, dense=(1,), sparse=(1,))
    network.eval()
    plain = mask_losses(network, batch, settings)
    halved = mask_losses(network, batch, replace(settings, dense_weight=0.5))
    assert halved["dense"].item() == pytest.approx(plain["dense"].item() / 2)
    assert halved["sparse"].item() == plain["sparse"].item()


def test_masks_and_affinities_are_learned() -> None:
    offsets = [(0, -1), (0, -4), (0, -8)]
    network, batch, settings = network_and_batch(2, dense=(1, 2), sparse=(1,), offsets=offsets)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        terms = mask_losses(network, batch, settings)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        losses.append({name: term.item() for name, term in terms.items()})
    assert all(losses[-1][name] < 0.8 * losses[0][name] for name in ("dense", "sparse", "direct"))


def test_affinities_leave_the_codes_as_they_are() -> None:
    network, batch, settings = network_and_batch(2, dense=(1, 2), offsets=[(0, -1), (0, -8)])
    mask_losses(network, batch, settings)["direct"].backward()
    touched = {name.split(".")[0] for name, w in network.named_parameters() if w.grad is not None}
    assert touched == {"affinity_head"}
