from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_pea.core.neighborhood import Neighborhood
from napari_pea.training import correlation
from napari_pea.training.correlation import UnitVectors, correlate

if TYPE_CHECKING:
    import pytest


def test_images_of_a_batch_do_not_mix() -> None:
    rng = np.random.default_rng(0)
    batch = torch.from_numpy(rng.normal(size=(3, 6, 4, 5)))
    offsets = Neighborhood((1, 3), 8).offset_list
    together = correlate(batch, batch, offsets)
    alone = torch.cat([correlate(item[None], item[None], offsets) for item in batch])
    torch.testing.assert_close(together, alone)


def test_gradients_reach_both_ends() -> None:
    first = torch.rand(1, 3, 4, 4, requires_grad=True)
    second = torch.rand(1, 3, 4, 4, requires_grad=True)
    correlate(first, second, [(-1, 0), (0, 9)]).sum().backward()
    torch.testing.assert_close(first.grad[..., 1:, :], second.detach()[..., :-1, :])
    torch.testing.assert_close(second.grad[..., :-1, :], first.detach()[..., 1:, :])
    assert not first.grad[..., 0, :].any()


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    first = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    second = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    offsets = [(-1, 0), (0, -2), (3, -1), (0, 9)]

    def same(vectors: torch.Tensor) -> torch.Tensor:
        unit = UnitVectors.apply(vectors)
        return correlate(unit, unit, offsets)

    assert torch.autograd.gradcheck(lambda a, b: correlate(a, b, offsets), (first, second))
    assert torch.autograd.gradcheck(same, (first,))


def test_a_vector_without_length_has_no_direction() -> None:
    vectors = torch.zeros(1, 3, 2, 2, requires_grad=True)
    unit = UnitVectors.apply(vectors)
    assert not unit.any()
    unit.sum().backward()
    assert torch.isfinite(vectors.grad).all()


def test_how_much_is_computed_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = torch.randn(5, 3, 6, 7, generator=torch.Generator().manual_seed(1))
    offsets = Neighborhood((1, 3), 4).offset_list
    found = []
    for size in (1, 10**9):
        monkeypatch.setattr(correlation, "CACHED_BYTES", size)
        leaf = vectors.clone().requires_grad_()
        cosines = correlate(leaf, leaf, offsets)
        cosines.square().sum().backward()
        found.append((cosines.detach(), leaf.grad))
    torch.testing.assert_close(found[0], found[1])
