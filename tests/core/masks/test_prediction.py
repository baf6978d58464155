"""What a network of masks says about whole images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.masks.lattice import MaskLattice
from napari_pea.core.masks.prediction import (
    averaged_field,
    offsets_of,
    predict_masks,
    trained_offsets,
)
from napari_pea.core.neighborhood import Neighborhood, graph_offsets, sparse_offsets
from napari_pea.core.networks import MaskUNet
from napari_pea.core.progress import CancelToken

SMALL = {"widths": (4, 8, 8, 8), "decoder_widths": (8, 8, 8), "code_dim": 8}
LATTICES = (MaskLattice((1, 1)), MaskLattice((4, 4)))


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((1, 37, 50), dtype=np.float32)


def network(**arguments) -> MaskUNet:
    torch.manual_seed(0)
    return MaskUNet(1, 2, **SMALL, **arguments).eval()


def test_what_a_user_may_choose_and_what_lsim_partitions_with_is_trained() -> None:
    flat = trained_offsets(LATTICES)
    assert set(Neighborhood((1, 2, 3, 4, 8, 12), 8).offset_list) <= set(flat)
    assert set(graph_offsets(2)) <= set(flat)
    deep = trained_offsets((MaskLattice((1, 1, 1)), MaskLattice((1, 4, 4))))
    assert set(graph_offsets(3)) <= set(deep)
    assert len(set(deep)) == len(deep)


def test_maps_have_the_size_of_the_image_and_affinities_lie_between_0_and_1(image) -> None:
    offsets = trained_offsets(LATTICES)
    made = network(dense=(1, 2, 3), sparse=(1, 2), offsets=offsets, foreground=True)
    found = predict_masks(made, image)
    assert [codes.shape for codes in found.codes] == [(8, 37, 50)] * 2
    assert found.direct.offsets == offsets_of(made) == offsets
    assert found.sparse.offsets == sparse_offsets(0, 2)
    for field in (found.direct, found.sparse):
        assert field.values.shape == (len(field.offsets), 37, 50)
        assert 0 <= field.values.min() < field.values.max() <= 1
    assert found.foreground.shape == (37, 50)


def test_affinities_are_those_of_the_head_and_of_the_sparse_branch(image) -> None:
    made = network(dense=(1,), sparse=(1,), offsets=[(0, -1), (-2, 0)])
    padded = np.pad(image, [(0, 0), (0, 3), (0, 6)], mode="symmetric")
    with torch.inference_mode():
        output = made(torch.from_numpy(padded)[None])
        apart = made.affinity_head(made.fine_codes(output))[0].numpy()
    found = predict_masks(made, image, precision="full")
    np.testing.assert_allclose(found.direct.values, 1 - apart[:, :37, :50], atol=1e-5)
    np.testing.assert_allclose(
        found.sparse.values, 1 - output.sparse[0][0].numpy()[:, :37, :50], atol=1e-5
    )


def test_without_masks_there_are_the_affinities_of_the_sparse_branch(image) -> None:
    made = network(dense=(), sparse=(1, 2, 3))
    found = predict_masks(made, image)
    assert found.direct is found.sparse
    assert offsets_of(made) == sparse_offsets(0, 2)
    with pytest.raises(InputError, match="no masks"):
        averaged_field(made, found, offsets_of(made))


def test_averaged_masks_tell_how_much_they_disagree(image) -> None:
    made = network(dense=(1, 2, 3))
    found = predict_masks(made, image)
    assert found.direct is None
    field = averaged_field(made, found, offsets_of(made))
    assert field.offsets == trained_offsets(LATTICES)
    assert field.variances.shape == field.values.shape
    assert field.variances.max() > 0
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        averaged_field(made, found, offsets_of(made), cancel=token)


def test_averaging_tells_how_many_masks_are_decoded(image) -> None:
    made = network(dense=(1, 2, 3))
    found = predict_masks(made, image)
    told: list[tuple[int, int]] = []
    averaged_field(made, found, offsets_of(made), progress=lambda *step: told.append(step))
    masks = 2 * 37 * 50  # of both branches at full resolution
    assert {total for _, total in told[:-1]} == {masks}
    assert [done for done, _ in told[:-1]] == sorted(done for done, _ in told[:-1])
    assert told[-2][0] == masks - 1
    assert told[-1] == (1, 1)


def test_the_sparse_branch_is_kept_on_request(image) -> None:
    offsets = trained_offsets(LATTICES)
    made = network(dense=(1,), sparse=(1,), offsets=offsets)
    assert predict_masks(made, image, keep_sparse=False).sparse is None
    assert predict_masks(made, image).sparse is not None
    alone = network(dense=(), sparse=(1,))
    assert predict_masks(alone, image, keep_sparse=False).direct is not None
