from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pea.core.affinity import embedding_affinities, unit_vectors
from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.margins import affinity_margins, embedding_margins, warm_up
from napari_pea.core.margins_kernel import attractive_pairs, merge_forest, repulsive_pairs
from napari_pea.core.mutex import embedding_mutex_watershed
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.progress import CancelToken

KERNELS: tuple[Any, ...] = (attractive_pairs, merge_forest, repulsive_pairs)


def by_definition(affinities, offsets, n_attractive, strides, mask, bias, constraints) -> Any:
    """The Mutex Watershed and its margins, pair by pair, in plain Python."""
    shape = mask.shape
    flat = np.arange(mask.size).reshape(shape)
    attractive, repulsion = [], {}
    for channel, offset in enumerate(offsets):
        for place in product(*map(range, shape)):
            partner = tuple(np.add(place, offset))
            if not all(0 <= i < n for i, n in zip(partner, shape, strict=True)):
                continue
            if not (mask[place] and mask[partner]):
                continue
            p, q = int(flat[place]), int(flat[partner])
            a = np.float32(affinities[(channel, *place)])
            if channel < n_attractive:
                attractive.append((-(a + np.float32(bias)), channel, p, q))
            elif all(i % s == 0 for i, s in zip(place, strides, strict=True)):
                for pair in ((p, q), (q, p)):
                    repulsion[pair] = max(repulsion.get(pair, -1), np.float32(1) - a)
    cannot = {tuple(pair) for pair in constraints.cannot_link.tolist()}
    cannot |= {(q, p) for p, q in cannot}
    cluster = {int(p): {int(p)} for p in flat[mask]}
    inside = dict.fromkeys(cluster, np.inf)

    def unite(p: int, q: int, margin: float) -> None:
        both = cluster[p] | cluster[q]
        lowest = min(margin, *(inside[pixel] for pixel in both))
        for pixel in both:
            cluster[pixel], inside[pixel] = both, lowest

    for p, q in constraints.must_link.tolist():
        if p in cluster and q in cluster and q not in cluster[p]:
            unite(p, q, np.inf)
    blocked = []
    for negative, _, p, q in sorted(attractive):
        if q in cluster[p]:
            continue
        pairs = list(product(cluster[p], cluster[q]))
        strongest = max(repulsion.get(pair, np.float32(-np.inf)) for pair in pairs)
        if cannot.intersection(pairs) or strongest > -negative:
            blocked.append((p, q))
        else:
            unite(p, q, max(-negative, 0) - max(strongest, 0))
    labels = np.zeros(mask.size, dtype=np.uint32)
    for p in sorted(cluster):
        if not labels[p]:
            labels[list(cluster[p])] = labels.max() + 1
    by_id = {int(labels[p]): inside[p] for p in cluster}
    gaps = {}
    for p, q in blocked:
        ends = tuple(sorted((int(labels[p]), int(labels[q]))))
        pairs = list(product(cluster[p], cluster[q]))
        if not cannot.intersection(product(cluster[p], cluster[q])):
            attraction = max(
                -negative for negative, _, u, v in attractive if {(u, v), (v, u)} & set(pairs)
            )
            gaps[ends] = max(repulsion.get(pair, 0) for pair in pairs) - attraction
    return labels.reshape(shape), by_id, gaps


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    ndim = draw(st.sampled_from((2, 3)))
    shape = draw(st.sampled_from(((5, 6), (1, 8)) if ndim == 2 else ((2, 3, 4),)))
    ranges = draw(st.sampled_from(((1,), (1, 2), (1, 2, 3))))
    connectivity = draw(st.sampled_from((4, 8) if ndim == 2 else (6, 26)))
    neighborhood = Neighborhood(ranges, connectivity, ndim)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_levels = draw(st.sampled_from((4, 1000)))  # few levels: many ties
    affinities = rng.integers(0, n_levels + 1, (len(neighborhood.offsets), *shape)) / n_levels
    size = int(np.prod(shape))
    constraints = Constraints.none()
    if draw(st.booleans()):
        order = rng.permutation(size)[:4]
        constraints = Constraints(order[None, :2], order[None, 2:])
    return {
        "affinities": affinities.astype(np.float32),
        "neighborhood": neighborhood,
        "strides": draw(st.sampled_from(((1,) * ndim, (2,) * ndim))),
        "mask": rng.random(shape) < draw(st.sampled_from((0.7, 1.0))),
        "bias": draw(st.sampled_from((0.0, -0.25, 0.125))),
        "constraints": constraints,
    }


@settings(max_examples=60)
@given(problem=problems())
def test_margins_are_those_of_the_definition(problem: dict[str, Any]) -> None:
    neighborhood = problem["neighborhood"]
    offsets, n_attractive = neighborhood.offset_list, neighborhood.n_attractive
    options = {key: problem[key] for key in ("strides", "bias", "constraints")}
    labels, inside, gaps = by_definition(
        problem["affinities"], offsets, n_attractive, mask=problem["mask"], **options
    )
    margins = affinity_margins(labels, problem["affinities"], offsets, n_attractive, **options)
    assert len(margins.inside) == labels.max() + 1
    for label, expected in inside.items():
        value = margins.inside[label]
        assert (np.isnan(value) and np.isinf(expected)) or value == np.float32(expected)
    found = dict(zip(map(tuple, margins.pairs.tolist()), margins.gaps.tolist(), strict=True))
    assert found == pytest.approx(gaps)
    assert not (margins.inside < 0).any()
    assert not (margins.outside < 0).any()
    for label in inside:
        around = [gap for pair, gap in gaps.items() if label in pair]
        assert margins.outside[label] == pytest.approx(min(around, default=np.nan), nan_ok=True)


@pytest.mark.parametrize("shape", [(14, 15), (3, 7, 8)])
def test_an_embedding_has_the_margins_of_its_affinities(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    vectors = unit_vectors(rng.normal(size=(5, *shape)) + 2 * rng.normal(size=(5, *shape[:-1], 1)))
    neighborhood = Neighborhood((1, 2, 4), None, len(shape))
    strides = (2,) * len(shape)
    affinities = embedding_affinities(vectors, neighborhood.offsets)
    labels = embedding_mutex_watershed(vectors, neighborhood.offsets, strides=strides, bias=0.1)
    assert labels.max() > 3
    ours = embedding_margins(labels, vectors, neighborhood, strides=strides, bias=0.1)
    theirs = affinity_margins(labels, affinities, neighborhood.offsets, strides=strides, bias=0.1)
    np.testing.assert_allclose(ours.inside, theirs.inside, atol=1e-6)
    np.testing.assert_array_equal(ours.pairs, theirs.pairs)
    np.testing.assert_allclose(ours.gaps, theirs.gaps, atol=1e-6)
    assert not (ours.inside < 0).any()
    assert not (ours.gaps < 0).any()


def three_in_a_row() -> tuple[np.ndarray, np.ndarray, Neighborhood]:
    """Pieces 1, 1, 2, 2, 3 with repulsions over two pixels."""
    neighborhood = Neighborhood((1, 2))
    affinities = np.zeros((4, 1, 5), dtype=np.float32)
    affinities[1, 0] = [0, 0.9, 0.5, 0.8, 0.25]  # to the left neighbour
    affinities[3, 0] = [0, 0, 0.125, 0.375, 0.0]
    return np.array([[1, 1, 2, 2, 3]], dtype=np.uint32), affinities, neighborhood


def test_margins_of_a_row() -> None:
    labels, affinities, neighborhood = three_in_a_row()
    margins = affinity_margins(labels, affinities, neighborhood.offsets)
    np.testing.assert_allclose(margins.inside, [np.nan, 0.9, 0.8, np.nan], rtol=1e-6)
    assert margins.pairs.tolist() == [[1, 2], [2, 3]]
    # 0.875 against 0.5, and 1 against 0.25.
    np.testing.assert_allclose(margins.gaps, [0.375, 0.75])
    np.testing.assert_allclose(margins.outside, [np.nan, 0.375, 0.375, 0.75])


def test_refined_objects_have_the_smallest_margin_of_their_pieces() -> None:
    labels, affinities, neighborhood = three_in_a_row()
    margins = affinity_margins(labels, affinities, neighborhood.offsets)
    inside, outside = margins.refined(labels, np.array([[7, 7, 7, 7, 2]]))
    np.testing.assert_allclose(inside[[2, 7]], [np.nan, 0.8], rtol=1e-6)
    np.testing.assert_allclose(outside[[2, 7]], [0.75, 0.75])
    inside, outside = margins.refined(labels, np.array([[1, 1, 2, 2, 0]]))
    np.testing.assert_allclose(outside[1:], [0.375, 0.375])
    assert np.isnan([inside[0], outside[0]]).all()


def test_no_objects_have_no_margins() -> None:
    labels, affinities, neighborhood = three_in_a_row()
    margins = affinity_margins(np.zeros_like(labels), affinities, neighborhood.offsets)
    assert margins.inside.shape == margins.outside.shape == (1,)
    assert margins.pairs.shape == (0, 2)


def test_arrays_that_do_not_fit_are_refused() -> None:
    labels, affinities, neighborhood = three_in_a_row()
    with pytest.raises(InputError, match="do not fit"):
        affinity_margins(labels, affinities[:3], neighborhood.offsets)
    with pytest.raises(InputError, match="do not fit"):
        embedding_margins(labels[:, 1:], affinities, neighborhood)


def test_margins_can_be_cancelled() -> None:
    labels, affinities, neighborhood = three_in_a_row()
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        affinity_margins(labels, affinities, neighborhood.offsets, cancel=token)


def test_after_warming_up_nothing_is_compiled() -> None:
    warm_up()
    compiled = [len(kernel.signatures) for kernel in KERNELS]
    assert all(compiled)
    vectors = unit_vectors(np.random.default_rng(0).normal(size=(16, 5, 6)))
    constraints = Constraints(np.array([[0, 1]]), np.array([[3, 9]]))
    embedding_margins(
        np.ones((5, 6), dtype=np.uint32),
        vectors,
        Neighborhood((1, 2, 3)),
        strides=(2, 2),
        bias=0.5,
        constraints=constraints,
    )
    assert [len(kernel.signatures) for kernel in KERNELS] == compiled
