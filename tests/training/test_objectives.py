from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_pea.core.affinity import label_affinities
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.training.objectives import (
    AffinityTarget,
    class_weights,
    correlation_loss,
    foreground_loss,
    unit_embedding,
)


def pairs(n_same: int, n_all: int) -> torch.Tensor:
    """Affinities of one image and channel, of which some are 1."""
    return (torch.arange(n_all) < n_same).float().reshape(1, 1, 1, n_all)


@pytest.mark.parametrize(
    ("n_same", "n_all", "same", "different"),
    [
        (25, 100, 3.0, 1.0),  # r = 0.25: (1 - r) / r
        (75, 100, 1.0, 3.0),  # r = 0.75: r / (1 - r)
        (50, 100, 1.0, 1.0),
        (1, 100, 19.0, 1.0),  # r is kept at 0.05
        (5, 100, 19.0, 1.0),
        (999, 1000, 1.0, 99.0),  # r is kept at 0.99
        (100, 100, 1.0, 1.0),
        (0, 100, 1.0, 1.0),
    ],
)
def test_the_rarer_class_weighs_as_in_the_authors_code(
    n_same: int, n_all: int, same: float, different: float
) -> None:
    affinities = pairs(n_same, n_all)
    weights = class_weights(affinities, torch.ones_like(affinities))
    expected = torch.where(affinities > 0.5, same, different)
    torch.testing.assert_close(weights, expected, rtol=1e-4, atol=0)


def test_weights_are_per_image_and_channel() -> None:
    rare, common, even = pairs(10, 40), pairs(30, 40), pairs(20, 40)
    affinities = torch.cat([torch.cat([rare, common], 1), torch.cat([even, rare], 1)], 0)
    weights = class_weights(affinities, torch.ones_like(affinities))
    assert weights.amax(dim=(2, 3)).tolist() == [[3.0, 3.0], [1.0, 3.0]]
    assert weights[0, 0].flatten()[0] == 3.0
    assert weights[0, 1].flatten()[0] == 1.0


def test_pairs_outside_the_crop_do_not_bias_the_weights() -> None:
    affinities = pairs(25, 100)
    padded = torch.cat([affinities, torch.ones(1, 1, 1, 300)], dim=-1)
    valid = torch.cat([torch.ones(1, 1, 1, 100), torch.zeros(1, 1, 1, 300)], dim=-1)
    expected = class_weights(affinities, torch.ones_like(affinities))
    torch.testing.assert_close(class_weights(padded, valid)[..., :100], expected)
    # All valid pairs are the same, whatever lies outside.
    alone = class_weights(torch.zeros_like(padded), valid)
    assert (alone == 1).all()


def make_target(
    labels: list[list[int]] | np.ndarray, offsets: tuple[tuple[int, ...], ...], balance: bool
) -> AffinityTarget:
    affinities, valid = label_affinities(np.asarray(labels), offsets)
    return AffinityTarget.of(
        offsets,
        torch.from_numpy(affinities)[None],
        torch.from_numpy(valid)[None],
        balance_classes=balance,
    )


def test_weights_of_a_channel_sum_to_1_over_the_valid_pairs() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (8, 9))
    target = make_target(labels, Neighborhood((1, 3), 8).offset_list, balance=False)
    torch.testing.assert_close(target.weights.sum(dim=(2, 3)), torch.ones(1, 8))
    assert not target.weights[0, 0, 0].any()


def test_a_range_longer_than_the_crop_costs_nothing() -> None:
    target = make_target(np.ones((4, 4), int), ((-9, 0),), balance=True)
    vectors = unit_embedding(torch.randn(1, 3, 4, 4))
    assert correlation_loss(vectors, vectors, target).item() == 0


def test_loss_of_two_pixels_by_hand() -> None:
    # Cosine 0.6 between two pixels of one object.
    vectors = torch.tensor([[[[1.0, 0.6]], [[0.0, 0.8]]]])
    target = make_target([[7, 7]], ((0, -1),), balance=True)
    assert correlation_loss(vectors, vectors, target).item() == pytest.approx(0.4**2)
    # Of two objects: the cosine should be 0.
    target = make_target([[7, 8]], ((0, -1),), balance=True)
    assert correlation_loss(vectors, vectors, target).item() == pytest.approx(0.6**2)


def test_channels_are_summed_and_pairs_averaged() -> None:
    vectors = torch.tensor([[[[1.0, 0.6, 1.0]], [[0.0, 0.8, 0.0]]]])
    near, far = (
        make_target([[1, 1, 2]], ((0, -1),), False),
        make_target([[1, 1, 2]], ((0, -2),), False),
    )
    both = make_target([[1, 1, 2]], ((0, -1), (0, -2)), False)
    near_loss = correlation_loss(vectors, vectors, near).item()
    far_loss = correlation_loss(vectors, vectors, far).item()
    assert near_loss == pytest.approx((0.4**2 + 0.6**2) / 2)
    assert far_loss == pytest.approx(1.0)
    assert correlation_loss(vectors, vectors, both).item() == pytest.approx(near_loss + far_loss)


def test_balanced_loss_by_hand() -> None:
    # Range 1 in a row: 4 pairs, of which 3 are the same: the odd one weighs 0.75 / 0.25.
    vectors = torch.ones(1, 1, 1, 5)
    target = make_target([[1, 1, 1, 1, 2]], ((0, -1),), balance=True)
    assert correlation_loss(vectors, vectors, target).item() == pytest.approx(3 * 1.0 / 4)


def test_batches_are_averaged() -> None:
    affinities, valid = label_affinities(np.array([[1, 1]]), ((0, -1),))
    target = AffinityTarget.of(
        ((0, -1),),
        torch.from_numpy(np.stack([affinities] * 2)),
        torch.from_numpy(np.stack([valid] * 2)),
        balance_classes=True,
    )
    good, bad = torch.tensor([[[1.0, 1.0]]]), torch.tensor([[[1.0, -1.0]]])
    vectors = torch.stack([good, bad])
    assert correlation_loss(vectors, vectors, target).item() == pytest.approx((0 + 4) / 2)


def test_loss_matches_the_authors_formula_up_to_the_height_of_the_crop() -> None:
    # Their sum over a channel is divided by batch and width only (methods A5). Away from the
    # border, where they count invalid pairs, that is our term times the height.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (12, 10))
    vectors = unit_embedding(torch.from_numpy(rng.normal(size=(1, 4, 12, 10))))
    offset = (0, -3)
    target = make_target(labels, (offset,), balance=True)
    cosine = (vectors[0, :, :, 3:] * vectors[0, :, :, :-3]).sum(dim=0).numpy()
    same = labels[:, 3:] == labels[:, :-3]
    ratio = same.mean()
    weight = np.where(same, max(1, (1 - ratio) / ratio), max(1, ratio / (1 - ratio)))
    theirs = (weight * (cosine - same) ** 2).sum() / cosine.shape[1]
    ours = correlation_loss(vectors, vectors, target).item()
    assert ours * 12 == pytest.approx(theirs, rel=1e-5)


def test_cross_correlation_takes_partners_from_the_second_embedding() -> None:
    first = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]])
    second = torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]])
    target = make_target([[1, 1]], ((0, -1),), balance=False)
    # Pixel 1 of the first (1, 0) with pixel 0 of the second (0, 1): cosine 0.
    assert correlation_loss(first, second, target).item() == pytest.approx(1.0)
    # And in the other direction (1, 0) with (1, 0).
    assert correlation_loss(second, first, target).item() == pytest.approx(0.0)


def test_foreground_loss_is_the_cross_entropy() -> None:
    logits = torch.tensor([[[[0.0, 3.0]], [[0.0, 1.0]]]])
    foreground = torch.tensor([[[1, 0]]])
    expected = (np.log(2) + np.log(1 + np.exp(-2))) / 2
    assert foreground_loss(logits, foreground).item() == pytest.approx(expected)


def test_foreground_and_background_can_count_the_same() -> None:
    logits = torch.tensor([[[[0.0, 3.0, 0.0, 0.0]], [[0.0, 1.0, 0.0, 0.0]]]])
    foreground = torch.tensor([[[1, 0, 0, 0]]])
    # Three pixels of background weigh 1 each, the one of foreground weighs 3.
    background = (np.log(1 + np.exp(-2)) + 2 * np.log(2)) / 3
    expected = (np.log(2) + background) / 2
    found = foreground_loss(logits, foreground, balance=True).item()
    assert found == pytest.approx(expected)
    assert foreground_loss(logits, foreground).item() != pytest.approx(expected)


@pytest.mark.parametrize("value", [0, 1])
def test_foreground_alone_or_missing_is_not_balanced(value: int) -> None:
    logits, foreground = torch.randn(2, 2, 3, 3), torch.full((2, 3, 3), value)
    balanced = foreground_loss(logits, foreground, balance=True)
    torch.testing.assert_close(balanced, foreground_loss(logits, foreground))


def test_unit_embedding_is_single_precision_and_of_length_1() -> None:
    embedding = torch.randn(2, 5, 3, 3, dtype=torch.bfloat16)
    unit = unit_embedding(embedding)
    assert unit.dtype == torch.float32
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(2, 3, 3))
    torch.testing.assert_close(unit, functional.normalize(embedding.float(), dim=1))
