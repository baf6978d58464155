"""From affinities and settings to raw labels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_pea.core.affinity import label_affinities, pixel_major
from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import InputError
from napari_pea.core.field import AffinityField
from napari_pea.core.mutex import EmbeddingWatershed, mutex_watershed
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.partition import (
    LivePartition,
    foreground_mask,
    partition_affinities,
    partition_embedding,
    partition_evidence,
)
from napari_pea.core.predict import Embedding
from napari_pea.core.settings import PARTITIONERS, SegmentationSettings

SETTINGS = SegmentationSettings(ranges=(1, 3), strides=2)


def random_problem(settings=SETTINGS, shape=(12, 13)):
    rng = np.random.default_rng(0)
    neighborhood = settings.neighborhood(len(shape))
    affinities = rng.random((len(neighborhood.offsets), *shape), dtype=np.float32)
    return affinities, neighborhood, rng.random(shape, dtype=np.float32)


@pytest.mark.parametrize(
    "truth",
    [
        np.kron([[1, 1, 2], [3, 0, 2], [3, 4, 4]], np.ones((5, 5), int)),
        np.kron([[[1, 2], [1, 0]], [[3, 2], [3, 3]]], np.ones((4, 4, 4), int)),
    ],
    ids=["2D", "3D"],
)
def test_perfect_affinities_give_the_truth(truth):
    settings = SETTINGS.updated(strides=1)
    neighborhood = settings.neighborhood(truth.ndim)
    affinities, _ = label_affinities(truth, neighborhood.offsets)
    labels = partition_affinities(
        affinities, neighborhood, settings, (truth > 0).astype(np.float32)
    )
    pairs = np.unique(np.stack([truth.ravel(), labels.ravel()]), axis=1)
    assert pairs.shape[1] == truth.max() + 1
    assert pairs[1, 0] == 0
    assert sorted(pairs[1]) == list(range(truth.max() + 1))


def test_strides_of_the_settings_reach_the_mutex_watershed():
    affinities, neighborhood, _ = random_problem()
    for strides in (1, (2, 3)):
        labels = partition_affinities(
            affinities, neighborhood, SETTINGS.updated(strides=strides), None
        )
        expected = mutex_watershed(affinities, neighborhood.offsets, strides=strides)
        assert np.array_equal(labels, expected)


def test_pixels_at_the_threshold_belong_to_objects():
    affinities, neighborhood, foreground = random_problem()
    foreground[:2] = 0.7
    settings = SETTINGS.updated(foreground_threshold=float(np.float32(0.7)))
    labels = partition_affinities(affinities, neighborhood, settings, foreground)
    assert np.array_equal(labels > 0, foreground >= np.float32(0.7))
    assert (labels[:2] > 0).all()


def test_without_foreground_every_pixel_belongs_to_an_object():
    affinities, neighborhood, _ = random_problem()
    assert foreground_mask(None, SETTINGS) is None
    assert (partition_affinities(affinities, neighborhood, SETTINGS, None) > 0).all()


def test_objects_are_connected():
    affinities, neighborhood, foreground = random_problem(shape=(8, 9, 10))
    labels = partition_affinities(affinities, neighborhood, SETTINGS, foreground)
    pieces = [ndimage.label(labels == label)[1] for label in range(1, labels.max() + 1)]
    assert set(pieces) == {1}


def test_foreground_of_another_image_is_named():
    affinities, neighborhood, foreground = random_problem()
    with pytest.raises(InputError, match="shape of the image"):
        partition_affinities(affinities, neighborhood, SETTINGS, foreground[1:])


def test_affinities_of_another_neighborhood_are_named():
    affinities, _, _ = random_problem()
    with pytest.raises(InputError, match="need one offset"):
        partition_affinities(
            affinities, SETTINGS.neighborhood(3), SETTINGS.updated(strides=1), None
        )


def smooth_embedding(seed, shape=(40, 44)):
    rng = np.random.default_rng(seed)
    vectors = ndimage.gaussian_filter(rng.normal(size=(4, *shape)), (0, 3, 3))
    vectors /= np.sqrt((vectors**2).sum(axis=0))
    return Embedding(pixel_major(vectors), rng.random(shape, dtype=np.float32))


def test_live_partition_is_the_partition_whatever_was_asked_before():
    live = LivePartition()
    first, second = smooth_embedding(0), smooth_embedding(1)
    cut = Constraints(np.zeros((0, 2), np.int64), np.array([[0, 500]]))
    base = SegmentationSettings(ranges=(1, 3), strides=1, foreground_threshold=0.2)
    asked = [
        (first, base, None),
        (first, base.updated(ranges=(1, 5, 9), connectivity=8), None),
        (first, base.updated(ranges=(1, 3, 5)), None),
        (first, base.updated(ranges=(1, 7, 41)), None),
        (first, base.updated(strides=3), None),
        (first, base.updated(bias=0.3), None),
        (first, base.updated(foreground_threshold=0.4), cut),
        (second, base.updated(foreground_threshold=0.4), None),
        (first, base, None),
    ]
    for embedding, settings, constraints in asked:
        neighborhood = settings.neighborhood(2)
        expected = partition_embedding(
            embedding.vectors, neighborhood, settings, embedding.foreground, constraints
        )
        found = live(embedding, neighborhood, settings, constraints)
        np.testing.assert_array_equal(found, expected)


def test_live_partition_of_a_field_is_that_of_its_channels():
    live = LivePartition()
    known = Neighborhood((1, 2, 5, 9), 8).offset_list
    fields = []
    for seed in (0, 1):
        embedding = smooth_embedding(seed)
        # Noted at the other end, in another order, and in half precision.
        offsets = tuple(tuple(-step for step in offset) for offset in known[::-1])
        values = embedding.affinities(offsets).astype(np.float16)
        fields.append(AffinityField(values, offsets, embedding.foreground))
    base = SegmentationSettings(ranges=(1, 2), strides=1, foreground_threshold=0.2)
    cut = Constraints(np.zeros((0, 2), np.int64), np.array([[0, 500]]))
    for field, changes, constraints in [
        (fields[0], {}, None),
        (fields[0], {"ranges": (1, 5, 9)}, None),
        (fields[0], {"ranges": (1, 2, 5), "connectivity": 8, "strides": 2}, None),
        (fields[0], {"bias": -0.2}, cut),
        (fields[1], {"bias": -0.2}, cut),
        (fields[1], {"partitioner": "average"}, None),
        (fields[0], {"partitioner": "multicut"}, None),
    ]:
        settings = base.updated(**changes)
        neighborhood = settings.neighborhood(2)
        shown = neighborhood.first(1) if settings.partitioner == "multicut" else neighborhood
        expected = partition_affinities(
            field.affinities(shown.offset_list), shown, settings, field.foreground, constraints
        )
        for evidence in (field, field.prepared()):
            found = live(evidence, neighborhood, settings, constraints)
            np.testing.assert_array_equal(found, expected)
    with pytest.raises(InputError, match="offset"):
        live(fields[0], base.updated(ranges=(1, 3)).neighborhood(2), base)


def test_live_partition_keeps_what_ranges_do_not_change(monkeypatch):
    live = LivePartition()
    embedding = smooth_embedding(0)
    settings = SegmentationSettings(ranges=(1, 3), strides=1)
    live(embedding, settings.neighborhood(2), settings)

    def not_again(*_, **__):
        raise AssertionError("done once")

    monkeypatch.setattr(EmbeddingWatershed, "__init__", not_again)
    wider = settings.updated(ranges=(1, 3, 9), strides=2)
    live(embedding, wider.neighborhood(2), wider)
    with pytest.raises(AssertionError, match="done once"):
        live(embedding, wider.neighborhood(2), wider.updated(bias=0.1))


@pytest.mark.parametrize("name", PARTITIONERS)
def test_every_partitioner_finds_objects_from_an_embedding(name):
    truth = np.kron([[1, 2], [0, 3]], np.ones((20, 20), int))
    settings = SegmentationSettings(ranges=(1, 3), strides=1, partitioner=name)
    vectors = pixel_major(np.eye(4, dtype=np.float32)[:, truth])
    foreground = (truth > 0).astype(np.float32)
    neighborhood = settings.neighborhood(2)
    labels = partition_embedding(vectors, neighborhood, settings, foreground)
    assert not labels[truth == 0].any()
    # Watersheds may give a border pixel to either side.
    assert (labels[5:35:10, 5:35:10] > 0).sum() == (truth[5:35:10, 5:35:10] > 0).sum()
    assert len(np.unique(labels[[10, 10, 30], [10, 30, 30]])) == 3
    again = LivePartition()(Embedding(vectors, foreground), neighborhood, settings)
    np.testing.assert_array_equal(again, labels)


@pytest.mark.parametrize("name", [name for name in PARTITIONERS if name != "mutex"])
def test_partitioners_that_cannot_keep_cuts_say_so(name):
    embedding = smooth_embedding(0)
    cut = Constraints(np.zeros((0, 2), np.int64), np.array([[0, 500]]))
    settings = SegmentationSettings(ranges=(1, 3), partitioner=name)
    with pytest.raises(InputError, match=f"{name!r} cannot keep cuts"):
        partition_evidence(embedding, settings.neighborhood(2), settings, cut)


def test_mean_shift_needs_an_embedding():
    affinities, neighborhood, _ = random_problem()
    with pytest.raises(InputError, match="needs an embedding"):
        partition_affinities(
            affinities, neighborhood, SETTINGS.updated(partitioner="mean-shift"), None
        )
