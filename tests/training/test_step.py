from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_pea.training.augment import CrossTransform
from napari_pea.training.baselines import direct_affinity_loss, discriminative_loss
from napari_pea.training.data import Batch, make_batch
from napari_pea.training.objectives import correlation_loss, foreground_loss, unit_embedding
from napari_pea.training.settings import ObjectiveSettings
from napari_pea.training.step import batch_losses

SETTINGS = ObjectiveSettings(ranges=(1, 3, 5, 9), cross_weight=1.0)
TRANSFORM = CrossTransform((-1,), True, 1.04, 0.03, ((3, 4), (20, 20)), 6)
STILL = CrossTransform((), False, 1.0, 0.0, (), 0)


@pytest.fixture
def batch(make_discs) -> Batch:
    items = [make_discs(seed, side=48) for seed in range(2)]
    return make_batch([(item.image, item.labels) for item in items], SETTINGS, torch.device("cpu"))


def test_terms_are_those_of_the_paper(make_tiny_network, batch: Batch) -> None:
    network = make_tiny_network().eval()
    losses = batch_losses(network, batch, SETTINGS, TRANSFORM)
    output = network(batch.images, pyramid=True)
    vectors = unit_embedding(output.embedding)
    torch.testing.assert_close(losses["self"], correlation_loss(vectors, vectors, batch.target))
    torch.testing.assert_close(
        losses["foreground"], 4 * foreground_loss(output.foreground, batch.foreground)
    )
    coarse = [unit_embedding(embedding) for embedding in output.pyramid]
    levels = [
        correlation_loss(embedding, embedding, target)
        for embedding, target in zip(coarse, batch.pyramid, strict=True)
    ]
    expected = levels[0] / 2 + levels[1] / 4 + levels[2] / 8 + levels[3] / 16
    torch.testing.assert_close(losses["pyramid"], expected)
    changed = TRANSFORM.apply(batch.images, batch.foreground)
    other = TRANSFORM.undo(unit_embedding(network(changed).embedding))
    torch.testing.assert_close(losses["cross"], correlation_loss(vectors, other, batch.target))
    assert set(losses) == {"self", "pyramid", "cross", "foreground"}


def test_plain_means_are_those_of_the_paper(make_tiny_network, batch: Batch) -> None:
    network = make_tiny_network().eval()
    losses = batch_losses(network, batch, replace(SETTINGS, plain_mean=True), TRANSFORM)
    summed = batch_losses(network, batch, SETTINGS, TRANSFORM)
    channels = len(SETTINGS.neighborhood.offset_list)
    for name in ("self", "cross"):
        torch.testing.assert_close(losses[name], summed[name] / channels)
    torch.testing.assert_close(losses["foreground"], summed["foreground"])
    output = network(batch.images, pyramid=True)
    levels = []
    for embedding, target in zip(output.pyramid, batch.pyramid, strict=True):
        coarse = unit_embedding(embedding)
        levels.append(correlation_loss(coarse, coarse, target) / len(target.offsets))
    torch.testing.assert_close(losses["pyramid"], torch.stack(levels).sum())


def test_weights_scale_their_terms(make_tiny_network, batch: Batch) -> None:
    network = make_tiny_network().eval()
    plain = batch_losses(network, batch, SETTINGS, TRANSFORM)
    doubled = batch_losses(
        network,
        batch,
        replace(SETTINGS, self_weight=2, cross_weight=3, pyramid_weight=5, foreground_weight=7 * 4),
        TRANSFORM,
    )
    for name, factor in {"self": 2, "cross": 3, "pyramid": 5, "foreground": 7}.items():
        torch.testing.assert_close(doubled[name], factor * plain[name])


def test_terms_without_weight_are_not_computed(make_tiny_network, batch: Batch) -> None:
    settings = replace(SETTINGS, cross_weight=0, pyramid_weight=0)
    losses = batch_losses(make_tiny_network().eval(), batch, settings, TRANSFORM)
    assert set(losses) == {"self", "foreground"}
    assert "cross" not in batch_losses(make_tiny_network().eval(), batch, SETTINGS)


def test_an_unchanged_image_correlates_with_itself(make_tiny_network, batch: Batch) -> None:
    losses = batch_losses(make_tiny_network().eval(), batch, SETTINGS, STILL)
    torch.testing.assert_close(losses["cross"], losses["self"])


def gradients(network: torch.nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(
        torch.autograd.grad(loss, list(network.parameters()), allow_unused=True, retain_graph=True)
    )


@pytest.mark.parametrize("detach", [True, False])
def test_gradients_stay_out_of_the_transformed_branch(
    make_tiny_network, batch: Batch, detach: bool
) -> None:
    network = make_tiny_network().eval()
    losses = batch_losses(network, batch, replace(SETTINGS, detach_cross=detach), TRANSFORM)
    vectors = unit_embedding(network(batch.images).embedding)
    changed = TRANSFORM.apply(batch.images, batch.foreground)
    other = TRANSFORM.undo(unit_embedding(network(changed).embedding))
    one_way = gradients(network, correlation_loss(vectors, other.detach(), batch.target))
    both = gradients(network, correlation_loss(vectors, other, batch.target))
    expected, wrong = (one_way, both) if detach else (both, one_way)
    found = gradients(network, losses["cross"])
    for gradient, right in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, right)
    assert any(
        gradient is not None and not torch.allclose(gradient, other, rtol=1e-2)
        for gradient, other in zip(found, wrong, strict=True)
    )


def test_both_directions_are_averaged(make_tiny_network, batch: Batch) -> None:
    network = make_tiny_network().eval()
    settings = replace(SETTINGS, symmetric_cross=True, cross_weight=2)
    losses = batch_losses(network, batch, settings, TRANSFORM)
    vectors = unit_embedding(network(batch.images).embedding)
    changed = TRANSFORM.apply(batch.images, batch.foreground)
    other = TRANSFORM.undo(unit_embedding(network(changed).embedding))
    there = correlation_loss(vectors, other, batch.target)
    back = correlation_loss(other, vectors, batch.target)
    torch.testing.assert_close(losses["cross"], there + back)
    assert there.item() != pytest.approx(back.item(), rel=1e-6)


def test_the_foreground_can_be_balanced(make_tiny_network, batch: Batch) -> None:
    network = make_tiny_network().eval()
    losses = batch_losses(network, batch, replace(SETTINGS, balance_foreground=True))
    expected = foreground_loss(network(batch.images).foreground, batch.foreground, balance=True)
    torch.testing.assert_close(losses["foreground"], 4 * expected)


def test_nothing_needs_gradients_in_validation(make_tiny_network, batch: Batch) -> None:
    with torch.inference_mode():
        losses = batch_losses(make_tiny_network().eval(), batch, SETTINGS, TRANSFORM)
    assert not any(loss.requires_grad for loss in losses.values())


def test_both_branches_are_normalised_by_their_own_batch(make_tiny_network, batch: Batch) -> None:
    network = make_tiny_network().train()
    batch_losses(network, batch, SETTINGS, TRANSFORM)
    assert network.stem.body[1].num_batches_tracked.item() == 2


def test_terms_are_single_precision_under_autocast(make_tiny_network, batch: Batch) -> None:
    network = make_tiny_network().train()
    with torch.autocast("cpu", torch.bfloat16):
        losses = batch_losses(network, batch, SETTINGS, TRANSFORM)
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    torch.stack(list(losses.values())).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_baselines_have_a_term_of_their_own_and_the_foreground(
    make_tiny_network, make_tiny_volume_network, make_discs, make_balls
) -> None:
    network = make_tiny_network().eval()  # four components, as many as offsets
    direct = ObjectiveSettings(ranges=(1, 3), self_weight=2.0, kind="affinities")
    item = make_discs(0, side=48)
    crops = [(item.image, item.labels)]
    batch = make_batch(crops, direct, torch.device("cpu"))
    losses = batch_losses(network, batch, direct, TRANSFORM)
    output = network(batch.images)
    assert set(losses) == {"self", "foreground"}
    expected = direct_affinity_loss(output.embedding, batch.target)
    torch.testing.assert_close(losses["self"], 2 * expected)
    torch.testing.assert_close(
        losses["foreground"], 4 * foreground_loss(output.foreground, batch.foreground)
    )

    apart = ObjectiveSettings(kind="discriminative", cross_weight=1.0)
    batch = make_batch(crops, apart, torch.device("cpu"))
    losses = batch_losses(network, batch, apart, TRANSFORM)
    labels = torch.from_numpy(item.labels)[None]
    torch.testing.assert_close(losses["self"], discriminative_loss(output.embedding, labels).total)
    assert set(losses) == {"self", "foreground"}

    # In volumes the background is no object.
    volume = make_balls(0)
    network = make_tiny_volume_network().eval()
    settings = apart.for_ndim(3)
    batch = make_batch(
        [(volume.image, volume.labels)], settings, torch.device("cpu"), factors=(1, 2, 2)
    )
    labels = torch.from_numpy(volume.labels)[None]
    torch.testing.assert_close(
        batch_losses(network, batch, settings)["self"],
        discriminative_loss(network(batch.images).embedding, labels, background=False).total,
    )
