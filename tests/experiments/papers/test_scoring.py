from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logit

from napari_pea.core.affinity import label_affinities
from napari_pea.core.errors import InputError
from napari_pea.core.metrics import evaluate
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.networks.base import EmbeddingNetwork, NetworkOutput
from napari_pea.core.predict import Embedding
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.papers.benchmarks import made_up
from napari_pea.experiments.papers.scoring import (
    by_affinities,
    by_mean_shift,
    by_mutex,
    raw_output,
    score_ways,
)
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.model import Model
from napari_pea.training.labelled import LabelledImage

DISCS = made_up().held_out[0]
SETTINGS = SegmentationSettings(ranges=(1, 3, 5), strides=1)
NEIGHBORHOOD = SETTINGS.neighborhood(2)
FOREGROUND = (DISCS.labels > 0).astype(np.float32)


class Told(EmbeddingNetwork):
    """A network that knows its output for the only image it is ever given."""

    in_channels = 1

    def __init__(self, vectors: np.ndarray) -> None:
        super().__init__()
        self.ndim = vectors.ndim - 1
        self.divisor = self.receptive_radius = self.halo = (16,) * self.ndim
        self.tile = (256,) * self.ndim
        self.vectors = torch.nn.Parameter(torch.from_numpy(vectors.astype(np.float32)))
        self.embedding_dim = len(vectors)

    def forward(self, image: torch.Tensor, *, pyramid: bool = False) -> NetworkOutput:
        logits = torch.zeros(1, 2, *self.vectors.shape[1:])
        return NetworkOutput(self.vectors[None], logits, ())


def told(vectors: np.ndarray) -> Model:
    metadata = ModelMetadata(name="told", architecture="resunet2d", recommended=SETTINGS)
    return Model(Told(vectors), metadata, torch.device("cpu"))


def far_apart() -> np.ndarray:
    """Return vectors that differ in length between objects that touch, not in direction."""
    centers = np.array([[0, 0], [4, 0], [8, 0], [0, 4], [0, 8]])
    noise = np.random.default_rng(0).normal(0, 0.1, (2, *DISCS.labels.shape))
    return centers[DISCS.labels].transpose(2, 0, 1) + noise


def is_right(labels: np.ndarray) -> bool:
    return evaluate(labels, DISCS.labels, ["aji"])["aji"] == 1


def test_the_length_of_vectors_survives() -> None:
    vectors = np.random.default_rng(1).normal(0, 30, (5, *DISCS.labels.shape))
    vectors[:, 3, 4] = 0
    found = raw_output(told(vectors), DISCS)
    np.testing.assert_allclose(found.vectors, vectors, rtol=1e-4, atol=1e-3)
    assert found.foreground is not None
    np.testing.assert_allclose(found.foreground, 0.5)


def blocks() -> tuple[LabelledImage, np.ndarray]:
    """Return a volume of two blocks, and what is predicted if its neighbours are all known."""
    labels = np.ones((16, 32, 32), np.int32)
    labels[:, :, 16:] = 2
    wanted, _ = label_affinities(labels, SETTINGS.neighborhood(3).offset_list)
    return LabelledImage(labels.astype(np.float32), labels), logit(wanted.clip(0.01, 0.99))


def test_volumes_are_scored_by_what_is_split_and_merged() -> None:
    item, affinities = blocks()
    scores = score_ways(
        told(affinities),
        [item],
        ["affinities", "affinities-multicut"],
        trained=SETTINGS.neighborhood(3),
    )
    for way in ("affinities", "affinities-multicut"):
        assert scores[f"{way}/voi"] == pytest.approx(0, abs=1e-9)
        assert scores[f"{way}/n_labels"] == 2
    # Vectors in two directions, one of them long.
    vectors = np.where(item.labels == 1, [[[[5.0]]], [[[0.0]]]], [[[[0.0]]], [[[1.0]]]])
    scores = score_ways(
        told(vectors), [item], ["multicut", "mutex"], trained=SETTINGS.neighborhood(3)
    )
    assert scores["multicut/arand"] == scores["mutex/arand"] == 0
    one = score_ways(
        told(np.ones_like(vectors)), [item], ["multicut"], trained=SETTINGS.neighborhood(3)
    )
    # Two equal halves in one object: one bit is lost.
    assert one["multicut/voi_merge"] == one["multicut/voi"] == pytest.approx(1)


def test_mean_shift_tells_lengths_apart_and_cosines_do_not() -> None:
    raw = Embedding(far_apart().astype(np.float32), FOREGROUND)
    assert is_right(by_mean_shift(raw, SETTINGS, NEIGHBORHOOD))
    pairs = np.where(DISCS.labels > 0, (DISCS.labels + 1) // 2, 0)
    assert evaluate(by_mutex(raw, SETTINGS, NEIGHBORHOOD), pairs, ["ap50"])["ap50"] == 1


def test_affinities_are_those_of_the_network() -> None:
    wanted, _ = label_affinities(DISCS.labels, NEIGHBORHOOD.offset_list)
    raw = Embedding(logit(wanted.clip(0.01, 0.99)).astype(np.float32), FOREGROUND)
    assert is_right(by_affinities(raw, SETTINGS, NEIGHBORHOOD))
    # Of what it predicts some ranges can be left out, but none added.
    by_affinities(raw, SETTINGS.updated(ranges=(1, 5)), NEIGHBORHOOD)
    with pytest.raises(InputError, match="take ranges out of 1, 3, 5"):
        by_affinities(raw, SETTINGS.updated(ranges=(1, 9)), NEIGHBORHOOD)
    with pytest.raises(InputError, match="predicts 6 affinities for the 4 offsets"):
        by_affinities(raw, SETTINGS, Neighborhood((1, 3)))


def test_every_way_and_group_is_scored_apart() -> None:
    model = told(far_apart())
    other = LabelledImage(DISCS.image, np.where(DISCS.labels == 4, 0, DISCS.labels), group="A2")
    scores = score_ways(
        model,
        [DISCS, other],
        ["mean-shift", "mutex"],
        trained=NEIGHBORHOOD,
        given_foreground=True,
    )
    assert scores["mean-shift/aji"] == scores["mean-shift/sbd"] == 1
    assert scores["mean-shift/authors' aji"] == 1
    assert scores["A2/mean-shift/n_true"] == 3
    assert scores["mutex/n_images"] == 1
    # The network's own foreground is everywhere: the background is an object then.
    (own,) = {score_ways(model, [DISCS], ["mean-shift"], trained=NEIGHBORHOOD)["mean-shift/dic"]}
    assert own > 0
