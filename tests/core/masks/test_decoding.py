"""Affinities from codes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_pea.core.errors import Cancelled
from napari_pea.core.masks import decoding
from napari_pea.core.masks.aggregation import aggregate_masks
from napari_pea.core.masks.decoding import CodeReader, aggregate_codes
from napari_pea.core.masks.lattice import MaskLattice
from napari_pea.core.networks.maskunet import MaskDecoder
from napari_pea.core.progress import CancelToken

CASES = {
    2: ((MaskLattice((1, 1)), MaskLattice((4, 4))), (11, 9), [(-1, 0), (0, -8)]),
    3: ((MaskLattice((1, 1, 1)), MaskLattice((1, 4, 4))), (3, 5, 4), [(-1, 0, 0), (0, -4, 0)]),
}


def made(ndim):
    """Return codes and decoders of the lattices, with the masks that they give."""
    lattices, shape, _ = CASES[ndim]
    torch.manual_seed(0)
    decoders = [MaskDecoder(lattice.shape, 6, 3).eval() for lattice in lattices]
    rng = np.random.default_rng(0)
    codes = [rng.random((6, *shape), dtype=np.float32) for _ in lattices]
    masks = []
    for decoder, code in zip(decoders, codes, strict=True):
        with torch.inference_mode():
            apart = decoder(torch.from_numpy(code.reshape(6, -1).T.copy())).flatten(1)
        masks.append((1 - apart.numpy()).T.reshape(-1, *shape))
    return codes, decoders, masks


@pytest.mark.parametrize("ndim", [2, 3])
def test_equals_the_masks_of_all_pixels_at_once(ndim, monkeypatch) -> None:
    monkeypatch.setattr(decoding, "BATCH", 7)
    lattices, _, offsets = CASES[ndim]
    codes, decoders, masks = made(ndim)
    wanted = aggregate_masks(masks, lattices, offsets)
    found = aggregate_codes(codes, decoders, lattices, offsets, precision="full", most_bytes=10_000)
    np.testing.assert_allclose(found.affinities, wanted.affinities, atol=1e-5)
    np.testing.assert_allclose(found.variances, wanted.variances, atol=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_half_precision_changes_little(ndim) -> None:
    lattices, _, offsets = CASES[ndim]
    codes, decoders, masks = made(ndim)
    wanted = aggregate_masks(masks, lattices, offsets)
    half = [code.astype(np.float16) for code in codes]
    found = aggregate_codes(half, decoders, lattices, offsets)
    np.testing.assert_allclose(found.affinities, wanted.affinities, atol=0.02)
    assert found.affinities.dtype == np.float32


def test_decoding_can_be_cancelled() -> None:
    codes, decoders, _ = made(2)
    cancel = CancelToken()
    cancel.cancel()
    read = CodeReader(codes, decoders, cancel=cancel)
    with pytest.raises(Cancelled):
        read(0, (slice(0, 2), slice(0, 9)))
