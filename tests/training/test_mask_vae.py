"""The space of masks, learned beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_pea.core.errors import Cancelled
from napari_pea.core.networks.maskunet import MaskUNet
from napari_pea.core.progress import CancelToken
from napari_pea.training.mask_vae import MaskVAE, pretrain, reconstruction


def drawn(number, count=32):
    """Return masks whose object ends at some column."""
    rng = np.random.default_rng(number)
    masks = torch.zeros(count, 7, 7)
    for mask in masks:
        mask[:, int(rng.integers(4, 7)) :] = 1
        mask[: int(rng.integers(0, 3))] = 1
    return masks, torch.ones_like(masks)


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    told = []
    model = MaskVAE((7, 7), 8, 4)
    before = reconstruction(model, *drawn(999))
    pretrain(model, drawn, 80, learning_rate=5e-3, progress=lambda *step: told.append(step))
    return model, before, told


def test_masks_come_back(trained) -> None:
    model, before, told = trained
    after = reconstruction(model, *drawn(999))
    assert after.dice > 0.9 > before.dice
    assert after.right > 0.9 > before.right
    assert told[-1] == (80, 80)


def test_entries_that_do_not_count_do_not_matter(trained) -> None:
    model, _, _ = trained
    masks, valid = drawn(5)
    valid[:, 6] = 0
    changed = masks.clone()
    changed[:, 6] = 1 - changed[:, 6]
    assert reconstruction(model, masks, valid) == reconstruction(model, changed, valid)


def test_a_branch_can_start_from_the_decoder() -> None:
    vae = MaskVAE((7, 7), 8)
    network = MaskUNet(1, 2, (4, 4, 4, 4), (4, 4, 4), dense=(1,), code_dim=8)
    network.decoders[0].load_state_dict(vae.decoder.state_dict())
    codes = torch.rand(2, 8)
    torch.testing.assert_close(network.decoders[0](codes), vae.decoder(codes))


def test_it_works_in_3d_and_can_be_cancelled() -> None:
    model = MaskVAE((5, 7, 7), 4, 2)
    assert model(torch.zeros(2, 5, 7, 7)).shape == (2, 5, 7, 7)
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        pretrain(model, drawn, 1, cancel=cancel)
