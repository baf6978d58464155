"""Training on images that are annotated in part: what counts, and what does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_pea.training.annotation import OUTSIDE, UNANNOTATED, annotated_labels
from napari_pea.training.augment import augmented_crop
from napari_pea.training.data import (
    DISTANT_REACH,
    AnnotatedImage,
    distant_pairs,
    known_affinities,
    make_batch,
)
from napari_pea.training.objectives import distant_loss, foreground_loss
from napari_pea.training.sampling import CropSampler
from napari_pea.training.settings import AugmentationSettings, ObjectiveSettings, TrainingSettings
from napari_pea.training.step import batch_losses

CPU = torch.device("cpu")
OBJECTIVE = ObjectiveSettings(ranges=(1, 3, 5), cross_weight=0, distant_pairs=500)


@pytest.fixture
def sparse(make_discs) -> AnnotatedImage:
    """Two of the discs, the rest not annotated."""
    item = make_discs(0)
    kept = np.where(np.isin(item.labels, [1, 2]), item.labels, 0)
    return replace(item, labels=annotated_labels(kept, "not-annotated"))


def test_pairs_count_where_both_ends_are_annotated() -> None:
    labels = np.array([[1, 1, UNANNOTATED, 2, 0, OUTSIDE, OUTSIDE, 2, UNANNOTATED]], np.int32)
    affinities, valid = known_affinities(labels, [(0, -1)])
    known = dict(zip(np.flatnonzero(valid[0, 0]), affinities[0, 0][valid[0, 0]], strict=True))
    # 1-1, 2-0, and outside-2; neither background-outside nor outside-outside is known.
    assert known == {1: 1.0, 4: 0.0, 7: 0.0}


def test_dense_labels_count_everywhere(make_discs) -> None:
    labels = make_discs(0).labels
    _, valid = known_affinities(labels, [(0, -1), (-3, 0)])
    assert valid.sum() == labels.size * 2 - 96 - 3 * 96


def losses(item: AnnotatedImage, image: np.ndarray, network, **changes) -> dict[str, float]:
    rng = np.random.default_rng(0)
    batch = make_batch([(image, item.labels)], replace(OBJECTIVE, **changes), CPU, rng)
    with torch.no_grad():
        terms = batch_losses(network.eval(), batch, replace(OBJECTIVE, **changes))
    return {name: term.item() for name, term in terms.items()}


def test_labels_of_unannotated_pixels_never_matter(sparse, make_tiny_network) -> None:
    network = make_tiny_network()
    unknown = replace(sparse, labels=np.where(sparse.labels == OUTSIDE, UNANNOTATED, sparse.labels))
    first = losses(unknown, sparse.image, network)
    assert set(first) == {"self", "pyramid", "distant", "foreground"}
    assert all(np.isfinite(value) for value in first.values())
    # Another background class would change the class of those pixels.
    assert losses(sparse, sparse.image, network)["foreground"] == first["foreground"]
    nothing = replace(sparse, labels=np.full_like(sparse.labels, UNANNOTATED))
    assert set(losses(nothing, sparse.image, network).values()) == {0.0}


def test_gradients_come_from_annotated_pixels_only(sparse) -> None:
    labels = np.where(sparse.labels == OUTSIDE, UNANNOTATED, sparse.labels)
    batch = make_batch([(sparse.image, labels)], OBJECTIVE, CPU, np.random.default_rng(0))
    logits = torch.randn(1, 2, 96, 96, requires_grad=True)
    foreground_loss(logits, batch.foreground, balance=True).backward()
    changed = logits.grad[0].abs().sum(dim=0).numpy() > 0
    np.testing.assert_array_equal(changed, labels >= 0)
    weights = batch.target.weights.sum(dim=(0, 1)).numpy()
    assert not weights[labels < 0].any()


def test_images_count_alike_however_much_is_annotated(make_discs) -> None:
    dense = make_discs(0)
    labels = np.full_like(dense.labels, UNANNOTATED)
    labels[30:50, 30:50] = dense.labels[30:50, 30:50]
    settings = replace(OBJECTIVE, balance_classes=False)
    batch = make_batch([(dense.image, dense.labels), (dense.image, labels)], settings, CPU)
    totals = batch.target.weights.sum(dim=(2, 3)).numpy()
    np.testing.assert_allclose(totals, 0.5, rtol=1e-5)
    # Next to no annotation counts next to nothing.
    labels[...] = UNANNOTATED
    labels[30, 30:32] = 1
    batch = make_batch([(dense.image, dense.labels), (dense.image, labels)], settings, CPU)
    assert batch.target.weights[1].sum() < 0.05 * batch.target.weights[0].sum()


def test_distant_pairs_are_known_to_differ() -> None:
    labels = np.full((2, 100, 200), UNANNOTATED, np.int32)
    labels[0, :20, :20], labels[0, :20, 40:60], labels[0, :20, 150:] = 1, 2, 0
    labels[1, 50:, :] = OUTSIDE
    labels[1, :10, :10] = 7
    pairs = distant_pairs(labels, 2000, np.random.default_rng(0))
    image, first, second = pairs.T
    ids = labels.reshape(2, -1)
    found = {tuple(sorted(pair)) for pair in zip(ids[image, first], ids[image, second])}  # noqa: B905
    assert found == {(1, 2), (OUTSIDE, 7)}
    steps = np.abs(np.array(np.divmod(first, 200)) - np.array(np.divmod(second, 200)))
    assert steps.max() <= DISTANT_REACH
    one = np.ones((1, 30, 30), np.int32)
    assert distant_pairs(one, 100, np.random.default_rng(0)).shape == (0, 3)
    assert distant_pairs(one * UNANNOTATED, 100, np.random.default_rng(0)).shape == (0, 3)


def test_distant_pairs_cost_what_they_have_in_common() -> None:
    vectors = torch.tensor([[[[1.0, 0.6, -1.0]], [[0.0, 0.8, 0.0]]]], requires_grad=True)
    pairs = torch.tensor([[0, 0, 1], [0, 0, 2]])
    # A cosine of 0.6, and one below 0 that costs nothing.
    assert distant_loss(vectors, pairs).item() == pytest.approx(0.36 / 2)
    nothing = distant_loss(vectors, torch.zeros((0, 3), dtype=torch.int64))
    assert nothing.item() == 0


@pytest.mark.parametrize("geometric", [0.0, 1.0])
def test_crops_show_annotation_and_invent_none(geometric: float) -> None:
    labels = np.full((200, 260), UNANNOTATED, np.int32)
    labels[0:6, 0:6], labels[100:110, 200:210], labels[190:, 100:105] = 1, 2, 0
    item = AnnotatedImage(np.zeros((1, 200, 260), np.float32), labels)
    augmentation = AugmentationSettings(geometric_probability=geometric, scale=(0.7, 1.4))
    settings = TrainingSettings(crop=64, batch_size=120, augmentation=augmentation)
    crops = [ids for _, ids in CropSampler([item], settings).crops(0)]
    shown = [set(np.unique(ids)) - {UNANNOTATED} for ids in crops]
    assert sum(map(bool, shown)) >= 0.98 * len(shown)
    for number in (0, 1, 2):
        assert sum(number in ids for ids in shown) > 10
    # Beyond the edges of the image nothing is annotated: corner 1 is never mirrored.
    largest = max((ids == 1).sum() for ids in crops)
    assert largest <= 36 * 1.4**2 * 1.3


def test_beyond_the_edges_of_dense_images_labels_are_mirrored() -> None:
    labels = np.ones((20, 20), np.int32)
    rng = np.random.default_rng(0)
    image = np.zeros((1, 20, 20), np.float32)
    settings = AugmentationSettings()
    assert (augmented_crop(image, labels, 64, settings, rng)[1] == 1).all()
    _, ids = augmented_crop(image, labels, 64, settings, rng, focus=(10, 10))
    assert set(np.unique(ids)) == {UNANNOTATED, 1}


def test_sparse_images_are_drawn_by_their_objects() -> None:
    one, many = (np.full((64, 64), UNANNOTATED, np.int32) for _ in range(2))
    one[:9, :9] = 1
    many.reshape(-1)[::64] = np.arange(2, 66)
    items = [AnnotatedImage(np.zeros((1, 64, 64), np.float32), ids) for ids in (one, many)]
    sampler = CropSampler(items, TrainingSettings(crop=64, batch_size=100))
    drawn = sum(1 in ids for _, ids in sampler.crops(0))
    assert drawn <= 8
