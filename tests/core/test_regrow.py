"""Crumbs go to the objects around them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_pea.core.affinity import label_affinities
from napari_pea.core.agglomeration import boundary_map
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.mutex import signed_mutex_watershed
from napari_pea.core.neighborhood import graph_offsets
from napari_pea.core.progress import CancelToken
from napari_pea.core.regrow import connected, regrown


def halves(shape):
    labels = np.ones(shape, np.uint32)
    labels[..., shape[-1] // 2 :] = 2
    return labels


@pytest.mark.parametrize("shape", [(20, 40), (3, 20, 40)])
def test_crumbs_go_to_the_side_of_the_border_they_are_on(shape) -> None:
    labels = halves(shape)
    boundary = np.zeros(shape, np.float32)
    boundary[..., 19:21] = 1
    crumbs = labels.copy()
    crumbs[..., 5:9, 14:20] = 7
    crumbs[..., 5:9, 20:24] = 9
    found = regrown(crumbs, boundary, min_size=100)
    np.testing.assert_array_equal(found, labels)
    assert found.dtype == np.uint32


def test_an_object_counts_over_all_sections_but_grows_within_them() -> None:
    labels = np.zeros((3, 10, 10), np.uint32)
    labels[:, :5] = 1
    labels[0, 5:] = 2  # a crumb beside object 1
    labels[2, 5:] = 3
    found = regrown(labels, np.zeros(labels.shape, np.float32), min_size=120)
    assert (found[[0, 2]] == 1).all()
    assert not found[1, 5:].any()  # background stays
    kept = regrown(labels, np.zeros(labels.shape, np.float32), min_size=50)
    np.testing.assert_array_equal(kept > 0, labels > 0)
    assert kept.max() == 3


def test_a_crumb_alone_in_its_section_is_lost() -> None:
    labels = np.zeros((2, 8, 8), np.uint32)
    labels[0], labels[1, :2, :2] = 1, 2
    found = regrown(labels, np.zeros(labels.shape, np.float32), min_size=10)
    assert found.max() == 1
    assert not found[1].any()


def test_pieces_become_objects() -> None:
    labels = np.array([[5, 5, 0, 5], [0, 2, 2, 2]], np.uint32)
    assert connected(labels).tolist() == [[1, 1, 0, 2], [0, 3, 3, 3]]
    parted = np.array([[1, 1, 1, 2, 1, 1, 1]] * 3)
    # The crumb in the middle goes to a side: one object again.
    found = regrown(parted, np.zeros(parted.shape, np.float32), min_size=4)
    assert (found == 1).all()


def test_nothing_is_changed_in_place() -> None:
    labels = halves((6, 8))
    before = labels.copy()
    regrown(labels, np.zeros(labels.shape, np.float32), min_size=30)
    np.testing.assert_array_equal(labels, before)


def test_wrong_input_and_cancelling() -> None:
    labels = halves((6, 8))
    with pytest.raises(InputError, match="same shape"):
        regrown(labels, np.zeros((6, 9), np.float32))
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        regrown(labels, np.zeros(labels.shape, np.float32), cancel=cancel)


def test_the_partition_of_lsim_ends_in_whole_objects() -> None:
    truth = np.kron([[1, 2], [3, 4]], np.ones((24, 30), int))
    offsets = graph_offsets(2)
    affinities, _ = label_affinities(truth, offsets)
    # Masks near borders are empty, so nothing attracts there.
    rim = ndimage.maximum_filter(truth, 5) != ndimage.minimum_filter(truth, 5)
    affinities[:, rim] *= 0.3
    noise = 0.1 * np.random.default_rng(0).standard_normal(affinities.shape)
    affinities = np.clip(affinities + noise, 0, 1).astype(np.float32)
    crumbled = connected(signed_mutex_watershed(affinities, offsets))
    assert crumbled.max() > 50
    boundary = boundary_map(affinities[:2, None], [(0, *offset) for offset in offsets[:2]])[0]
    found = regrown(crumbled, boundary)
    assert found.max() == 4
    inner = ndimage.minimum_filter(~rim, 3)
    pairs = np.unique(np.stack([truth[inner], found[inner]]), axis=1)
    assert pairs.shape[1] == 4
