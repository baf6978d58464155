from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pea.core.affinity import embedding_affinities, label_affinities
from napari_pea.core.constraints import Constraints
from napari_pea.core.corrections import Corrections
from napari_pea.core.errors import InputError
from napari_pea.core.joins import partition_joined
from napari_pea.core.mutex import mutex_watershed
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.strokes import Stroke

NEIGHBORHOOD = Neighborhood((1, 2, 4), 8)
SHAPE = (12, 14)


def pairs(*listed: tuple[int, int]) -> np.ndarray:
    return np.array(listed, dtype=np.int64).reshape(-1, 2)


def partition_of(seed: int, mask: np.ndarray | None = None) -> Callable[..., np.ndarray]:
    """Partitions noisy affinities of a few blobs."""
    rng = np.random.default_rng(seed)
    codes = np.kron(rng.normal(size=(3, 4, 3)), np.ones((1, 4, 5)))[:, : SHAPE[0], : SHAPE[1]]
    codes = codes + 0.5 * rng.normal(size=(3, *SHAPE))
    codes = codes / np.linalg.norm(codes, axis=0)
    affinities = embedding_affinities(codes.astype(np.float32), NEIGHBORHOOD.offsets)

    def partition(constraints: Constraints) -> np.ndarray:
        return mutex_watershed(
            affinities,
            NEIGHBORHOOD.offsets,
            NEIGHBORHOOD.n_attractive,
            mask=mask,
            must_link=constraints.must_link,
            cannot_link=constraints.cannot_link,
        )

    return partition


def test_without_joins_the_partition_is_left_alone() -> None:
    partition = partition_of(0)
    constraints = Constraints(pairs(), pairs((0, 1)))
    joined = partition_joined(partition, constraints)
    assert joined.labels is joined.pieces
    np.testing.assert_array_equal(joined.labels, partition(constraints))


def test_linked_pixels_bring_their_objects_together() -> None:
    labels = np.array([[1, 1, 2, 2, 3, 3, 0, 4]], dtype=np.uint32)
    joined = partition_joined(lambda _: labels, Constraints(pairs((3, 6), (6, 7)), pairs()))
    # The background between them takes no part.
    assert joined.labels.tolist() == [[1, 1, 2, 2, 3, 3, 0, 2]]
    assert joined.pieces is labels
    joined = partition_joined(lambda _: labels, Constraints(pairs((0, 4), (5, 7)), pairs()))
    assert joined.labels.tolist() == [[1, 1, 2, 2, 1, 1, 0, 1]]


def test_links_within_the_background_change_nothing() -> None:
    labels = np.array([[1, 0, 0, 2]], dtype=np.uint32)
    joined = partition_joined(lambda _: labels, Constraints(pairs((1, 2)), pairs()))
    assert joined.labels.tolist() == [[1, 0, 0, 2]]


strokes = st.builds(
    Stroke,
    kind=st.sampled_from(("join", "cut")),
    points=st.lists(
        st.tuples(st.floats(0, SHAPE[0] - 1), st.floats(0, SHAPE[1] - 1)), min_size=2, max_size=3
    ),
    width=st.floats(1, 4),
)


@settings(max_examples=60)
@given(drawn=st.lists(strokes, min_size=1, max_size=4), seed=st.integers(0, 99))
def test_strokes_hold_whatever_they_are(drawn: list[Stroke], seed: int) -> None:
    corrections = Corrections()
    for stroke in drawn:
        corrections, _ = corrections.add(stroke, SHAPE)
    mask = np.random.default_rng(seed).random(SHAPE) < 0.9
    constraints = corrections.constraints(SHAPE)
    if corrections.contradicts_itself(SHAPE):
        return
    joined = partition_joined(partition_of(seed, mask), constraints)
    labels = joined.labels.reshape(-1)
    np.testing.assert_array_equal(labels > 0, mask.reshape(-1))
    for stroke in corrections.strokes:
        if stroke.kind == "join":
            assert len(np.unique(labels[stroke.covered(SHAPE)])) <= 2  # background, one object
            assert np.unique(labels[stroke.covered(SHAPE)])[:-1].sum() == 0
        else:
            first, second = labels[stroke.sides(SHAPE)].T
            assert not ((first == second) & (first > 0)).any()
    # Pieces are never torn, and numbers have no gaps.
    assert len(np.unique(joined.pieces * 1000 + joined.labels)) == len(np.unique(joined.pieces))
    assert np.unique(joined.labels).tolist() == list(range(not mask.all() and 0, labels.max() + 1))


@settings(max_examples=60)
@given(seed=st.integers(0, 500))
def test_uniting_is_partitioning_with_all_pixels_linked(seed: int) -> None:
    """The touched objects alone change: the result is that of a whole new partition."""
    partition = partition_of(seed)
    rng = np.random.default_rng(seed)
    cannot = pairs(*rng.integers(0, SHAPE[0] * SHAPE[1], (3, 2)).tolist())
    cannot = cannot[cannot[:, 0] != cannot[:, 1]]
    linked = pairs(*rng.integers(0, SHAPE[0] * SHAPE[1], (2, 2)).tolist())
    pieces = partition(Constraints(pairs(), cannot)).reshape(-1)
    joined = partition_joined(partition, Constraints(linked, cannot))
    if not np.array_equal(joined.pieces.reshape(-1), pieces):
        return  # a union would have broken a cut
    whole = []
    for label in np.unique(joined.labels[joined.labels > 0]):
        inside = np.flatnonzero(joined.labels.reshape(-1) == label)
        if len(np.unique(pieces[inside])) > 1:
            whole.append(np.stack((inside[:-1], inside[1:]), axis=1))
    again = partition(Constraints(np.concatenate([pairs(), *whole]), cannot))
    np.testing.assert_array_equal(joined.labels, again)


def test_a_union_that_would_break_a_cut_links_the_pixels_alone() -> None:
    """A cut at one place of a border, a join across it at another."""
    labels = np.repeat([[1] * 5 + [2] * 5], 9, axis=0)
    affinities, _ = label_affinities(labels, NEIGHBORHOOD.offsets)

    def partition(constraints: Constraints) -> np.ndarray:
        return mutex_watershed(
            affinities,
            NEIGHBORHOOD.offsets,
            must_link=constraints.must_link,
            cannot_link=constraints.cannot_link,
        )

    cut = Stroke("cut", [(0, 4.5), (3, 4.5)], 1)
    join = Stroke("join", [(7, 4), (7, 5)], 1)
    corrections, dropped = Corrections((cut,)).add(join, labels.shape)
    assert not dropped
    joined = partition_joined(partition, corrections.constraints(labels.shape))
    assert joined.labels[7, 4] == joined.labels[7, 5]
    assert joined.labels[0, 3] != joined.labels[0, 6]


def test_contradictions_are_refused() -> None:
    with pytest.raises(InputError):
        partition_joined(partition_of(0), Constraints(pairs((0, 1), (1, 2)), pairs((0, 2))))
