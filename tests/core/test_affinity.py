from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_pea.core.affinity import (
    embedding_affinities,
    label_affinities,
    pair_slices,
    unit_vectors,
)
from napari_pea.core.errors import InputError
from napari_pea.training.correlation import correlate

#: Steps reach further than the images are wide, so that wrapping around would show.
shapes = st.one_of(
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
)


@st.composite
def images(draw: st.DrawFn) -> tuple[tuple[int, ...], list[tuple[int, ...]], np.random.Generator]:
    """A shape, offsets and a source of pixels."""
    shape = draw(shapes)
    offset = st.tuples(*[st.integers(-7, 7)] * len(shape))
    offsets = draw(st.lists(offset, min_size=1, max_size=4))
    return shape, offsets, np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def brute_force(
    shape: tuple[int, ...], offsets: list[tuple[int, ...]]
) -> list[tuple[int, tuple[int, ...], tuple[int, ...] | None]]:
    """Every channel and pixel with its partner, which is None outside the image."""
    rows = []
    for channel, offset in enumerate(offsets):
        for pixel in product(*map(range, shape)):
            partner = tuple(p + step for p, step in zip(pixel, offset, strict=True))
            inside = all(0 <= p < size for p, size in zip(partner, shape, strict=True))
            rows.append((channel, pixel, partner if inside else None))
    return rows


@given(images(), st.sampled_from([None, 0, 1]))
def test_label_affinities_match_brute_force(
    case: tuple[tuple[int, ...], list[tuple[int, ...]], np.random.Generator],
    ignore_label: int | None,
) -> None:
    shape, offsets, rng = case
    labels = rng.integers(0, 3, shape)
    affinities, valid = label_affinities(labels, offsets, ignore_label=ignore_label)
    assert affinities.dtype == np.float32
    assert valid.dtype == bool
    for channel, pixel, partner in brute_force(shape, offsets):
        counts = partner is not None and ignore_label not in (labels[pixel], labels[partner])
        assert valid[(channel, *pixel)] == counts
        assert affinities[(channel, *pixel)] == (counts and labels[pixel] == labels[partner])


def test_background_is_an_object_like_any_other() -> None:
    affinities, valid = label_affinities(np.array([[0, 0, 4, 4, 0]]), [(0, -1), (0, -4)])
    assert affinities[0, 0].tolist() == [0, 1, 0, 1, 0]
    assert affinities[1, 0].tolist() == [0, 0, 0, 0, 1]
    assert valid[0, 0].tolist() == [False, True, True, True, True]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64])
def test_labels_of_any_whole_type_and_memory_layout(dtype: type) -> None:
    labels = np.arange(12).reshape(3, 4).astype(dtype).T // 5
    affinities, _ = label_affinities(labels, [(-1, 0)])
    np.testing.assert_array_equal(affinities[0, 1:], labels[1:] == labels[:-1])


def random_vectors(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    return unit_vectors(rng.normal(size=(5, *shape)))


@given(images(), st.booleans())
def test_embedding_affinities_match_brute_force(
    case: tuple[tuple[int, ...], list[tuple[int, ...]], np.random.Generator], cross: bool
) -> None:
    shape, offsets, rng = case
    vectors = random_vectors(shape, rng)
    other = random_vectors(shape, rng) if cross else None
    partners = vectors if other is None else other
    affinities = embedding_affinities(vectors, offsets, other=other)
    assert affinities.dtype == np.float32
    for channel, pixel, partner in brute_force(shape, offsets):
        expected = 0.0
        if partner is not None:
            cosine = float(vectors[(slice(None), *pixel)] @ partners[(slice(None), *partner)])
            expected = min(max(cosine, 0.0), 1.0)
        assert affinities[(channel, *pixel)] == pytest.approx(expected, abs=1e-6)


@given(images())
def test_training_and_inference_compute_the_same_affinities(
    case: tuple[tuple[int, ...], list[tuple[int, ...]], np.random.Generator],
) -> None:
    shape, offsets, rng = case
    first, second = random_vectors(shape, rng), random_vectors(shape, rng)
    cosines = correlate(torch.from_numpy(first)[None], torch.from_numpy(second)[None], offsets)
    assert cosines.shape == (1, len(offsets), *shape)
    expected = embedding_affinities(first, offsets, other=second)
    np.testing.assert_allclose(cosines[0].clamp(0, 1).numpy(), expected, atol=1e-6)


def test_the_loss_sees_negative_cosines() -> None:
    vectors = torch.tensor([[1.0, -1.0]])[None, :, None]
    assert correlate(vectors, vectors, [(0, -1)])[0, 0, 0].tolist() == [0.0, -1.0]
    assert embedding_affinities(vectors[0].numpy(), [(0, -1)]).max() == 0.0


def test_pairs_longer_than_the_image_do_not_exist() -> None:
    assert pair_slices((4, 9), (-4, 0)) is None
    assert pair_slices((4, 9), (-3, 8)) == (
        (slice(3, 4), slice(0, 1)),
        (slice(0, 1), slice(8, 9)),
    )


def test_unit_vectors_have_length_one_and_zero_stays_zero() -> None:
    vectors = np.zeros((3, 2, 2))
    vectors[:, 0, 0] = 3, 0, 4
    unit = unit_vectors(vectors)
    np.testing.assert_allclose(unit[:, 0, 0], [0.6, 0, 0.8], rtol=1e-6)
    assert not unit[:, 1, 1].any()
    assert vectors[0, 0, 0] == 3


def test_what_does_not_fit_is_named() -> None:
    vectors = np.ones((4, 5, 6), np.float32)
    with pytest.raises(InputError, match=r"shape \(N, 2\) for this embedding, not \(1, 3\)"):
        embedding_affinities(vectors, [(-1, 0, 0)])
    with pytest.raises(InputError, match="Both embeddings must have the same shape"):
        embedding_affinities(vectors, [(-1, 0)], other=vectors[:, :-1])
