from __future__ import annotations

import math

import pytest
import torch

from napari_pea.training.baselines import direct_affinity_loss, discriminative_loss
from napari_pea.training.objectives import AffinityTarget


def target(affinities: list[float], valid: list[bool], *, balance: bool = False) -> AffinityTarget:
    return AffinityTarget.of(
        ((0, -1),),
        torch.tensor(affinities).reshape(1, 1, 1, -1),
        torch.tensor(valid).reshape(1, 1, 1, -1),
        balance_classes=balance,
    )


def test_direct_affinities_cost_their_squared_error() -> None:
    logits = torch.tensor([0.0, math.log(3), -math.log(3), 50.0]).reshape(1, 1, 1, 4)
    wanted = target([1, 1, 0, 0], [True, True, True, False])
    # 0.5, 0.75 and 0.25; the last pair leaves the crop.
    expected = (0.5**2 + 0.25**2 + 0.25**2) / 3
    assert direct_affinity_loss(logits, wanted).item() == pytest.approx(expected)


def test_direct_affinities_can_cost_their_entropy() -> None:
    logits = torch.tensor([0.0, math.log(3), -math.log(3), 50.0]).reshape(1, 1, 1, 4)
    wanted = target([1.0, 1.0, 0.0, 0.0], [True, True, True, False])
    expected = -(math.log(0.5) + 2 * math.log(0.75)) / 3
    assert direct_affinity_loss(logits, wanted, "entropy").item() == pytest.approx(expected)


def test_channels_of_direct_affinities_are_summed_and_the_rarer_class_weighs_more() -> None:
    one = target([1, 0, 0, 0], [True] * 4)
    two = AffinityTarget(
        ((0, -1), (0, -3)), one.affinities.repeat(1, 2, 1, 1), one.weights.repeat(1, 2, 1, 1)
    )
    logits = torch.zeros(1, 1, 1, 4)
    single = direct_affinity_loss(logits, one)
    torch.testing.assert_close(direct_affinity_loss(logits.repeat(1, 2, 1, 1), two), 2 * single)
    balanced = direct_affinity_loss(logits, target([1, 0, 0, 0], [True] * 4, balance=True))
    # One pair in four belongs together, and weighs three times as much.
    assert balanced.item() == pytest.approx(0.25 * (3 + 1 + 1 + 1) / 4)


def embedding(*vectors: tuple[float, float]) -> torch.Tensor:
    """Return one row of pixels with vectors of two components."""
    return torch.tensor(vectors, dtype=torch.float32).T.reshape(1, 2, 1, -1)


def ids(*values: int) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, -1)


def test_discriminative_terms_by_hand() -> None:
    # Object 7: (0, 0) and (2, 0), mean (1, 0), both 1 away. Object 9: (1, 2), twice.
    found = discriminative_loss(embedding((0, 0), (2, 0), (1, 2), (1, 2)), ids(7, 7, 9, 9))
    # Beyond the margin 0.5: 0.5 squared for one object, nothing for the other.
    assert found.variance.item() == pytest.approx(0.25 / 2)
    # The means are 2 apart, 3 are wanted.
    assert found.distance.item() == pytest.approx(1.0 / 2)
    assert found.norm.item() == pytest.approx((1 + math.sqrt(5)) / 2)
    assert found.total.item() == pytest.approx(0.125 + 0.5 + 0.001 * (1 + math.sqrt(5)) / 2)


def test_the_distance_term_is_a_mean_over_pairs() -> None:
    found = discriminative_loss(embedding((0, 0), (1, 0), (0, 8)), ids(1, 2, 3))
    # Only the first two are closer than 3: one pair of three.
    assert found.distance.item() == pytest.approx((3 - 1) ** 2 / 3 / 2)
    assert found.variance.item() == 0


def test_background_is_an_object_in_images_only_and_what_is_not_annotated_is_none() -> None:
    vectors = embedding((0, 0), (1, 0), (50, 50), (9, 9))
    labels = ids(0, 4, -1, -2)
    found = discriminative_loss(vectors, labels)
    assert found.distance.item() == pytest.approx(4 / 2)
    assert found.norm.item() == pytest.approx(0.5)
    without = discriminative_loss(vectors, labels, background=False)
    assert without.distance.item() == 0
    assert without.norm.item() == pytest.approx(1.0)


def test_images_are_averaged_and_empty_ones_cost_nothing() -> None:
    vectors = embedding((0, 0), (2, 0)).repeat(2, 1, 1, 1).requires_grad_()
    labels = torch.cat([ids(1, 1), ids(-1, -1)])
    found = discriminative_loss(vectors, labels)
    assert found.variance.item() == pytest.approx(0.25 / 2)
    found.total.backward()
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()
    assert not vectors.grad[1].any()


def test_vectors_that_are_learned_end_up_as_the_margins_say() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(1, 4, 1, 30, requires_grad=True)
    labels = ids(*(number // 10 for number in range(30)))
    optimizer = torch.optim.Adam([vectors], lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        discriminative_loss(vectors, labels).total.backward()
        optimizer.step()
    flat = vectors.detach()[0, :, 0].T.reshape(3, 10, 4)
    means = flat.mean(dim=1, keepdim=True)
    assert (flat - means).norm(dim=-1).max() < 0.55
    assert torch.pdist(means[:, 0]).min() > 2.95
