"""What masks are trained to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_pea.core.masks.lattice import MaskLattice
from napari_pea.core.networks.maskunet import MaskUNet
from napari_pea.training.annotation import OUTSIDE, UNANNOTATED
from napari_pea.training.mask_settings import MaskObjective
from napari_pea.training.mask_targets import (
    at_level,
    draw_masks,
    lattice_at,
    make_mask_batch,
    masks_at,
    near_others,
)

FINE = MaskLattice((1, 1))


def halves(shape=(20, 24)):
    labels = np.ones(shape, np.int32)
    labels[..., shape[-1] // 2 :] = 2
    return labels


def mask_of(labels, pixel, lattice=FINE, *, border=0, background="ignored"):
    """Return mask and valid entries of one pixel."""
    near = near_others(labels, border)
    centres = np.array([[0, *pixel]])
    masks, valid = masks_at(labels[None], near[None], lattice, centres, background)
    return masks[0], valid[0]


def test_masks_are_inverted() -> None:
    mask, valid = mask_of(halves(), (10, 10))
    assert valid.all()
    # Columns 7 to 13, of which 12 and 13 are in the other object.
    assert mask.tolist() == [[0, 0, 0, 0, 0, 1, 1]] * 7


def test_strides_reach_further() -> None:
    mask, valid = mask_of(halves(), (10, 4), MaskLattice((4, 4)))
    assert mask[3].tolist() == [0, 0, 0, 0, 0, 1, 1]
    # Columns -8 and -4, and rows -2 and 22, are not there.
    assert valid[3].tolist() == [0, 0, 1, 1, 1, 1, 1]
    assert valid[:, 3].tolist() == [0, 1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("shape", [(20, 24), (3, 20, 24)])
def test_masks_within_two_pixels_of_another_object_are_empty(shape) -> None:
    labels = halves(shape)
    near = near_others(labels, 2)
    assert near[..., 10:14].all()
    assert not near[..., :10].any()
    assert not near[..., 14:].any()
    assert not near_others(labels, 0).any()
    lattice = MaskLattice((1,) * len(shape))
    middle = tuple(side // 2 for side in shape[:-1])
    mask, _ = mask_of(labels, (*middle, 10), lattice, border=2)
    assert mask.all()
    mask, _ = mask_of(labels, (*middle, 9), lattice, border=2)
    assert mask.reshape(-1)[lattice.centre] == 0


def test_other_sections_are_no_border() -> None:
    labels = np.stack([np.full((6, 6), 1, np.int32), np.full((6, 6), 2, np.int32)])
    assert not near_others(labels, 2).any()


def test_what_is_not_annotated_is_no_border_unless_it_is_outside() -> None:
    labels = np.ones((6, 12), np.int32)
    labels[:, 6:] = UNANNOTATED
    assert not near_others(labels, 2).any()
    labels[:, 6:] = OUTSIDE
    assert near_others(labels, 2)[:, 4:8].all()
    labels[:, :6] = 0  # whether what is outside of painted objects is background is not known
    assert not near_others(labels, 2).any()


def test_background_counts_as_it_is_said_to() -> None:
    labels = np.ones((16, 16), np.int32)
    labels[:, 8:] = 0
    _, valid = mask_of(labels, (8, 6))
    assert valid[3].tolist() == [1, 1, 1, 1, 1, 0, 0]
    mask, valid = mask_of(labels, (8, 6), background="apart")
    assert valid.all()
    assert mask[3].tolist() == [0, 0, 0, 0, 0, 1, 1]
    empty, _ = mask_of(labels, (8, 12), background="apart")
    assert empty.all()
    full, _ = mask_of(labels, (8, 12), background="object")
    assert not full.any()


def test_entries_that_are_not_annotated_do_not_count() -> None:
    labels = np.ones((16, 16), np.int32)
    labels[:, 8:] = UNANNOTATED
    _, valid = mask_of(labels, (8, 6), background="object")
    assert valid[3].tolist() == [1, 1, 1, 1, 1, 0, 0]
    labels[:, 8:] = OUTSIDE
    mask, valid = mask_of(labels, (8, 6), background="object")
    assert valid.all()
    assert mask[3].tolist() == [0, 0, 0, 0, 0, 1, 1]


def draw(labels, count=1000, **more):
    more = {"spacing": (7,) * (labels.ndim - 1), **more}
    lattice = MaskLattice((1,) * (labels.ndim - 1))
    near = np.zeros(labels.shape, bool)
    return draw_masks(labels, near, lattice, count, np.random.default_rng(0), **more)


def test_pixels_are_drawn_from_a_lattice_with_a_random_start() -> None:
    labels = np.ones((30, 70, 70), np.int32)
    samples = draw(labels, spacing=(7, 7))
    rests = set()
    for image in range(30):
        places = samples.places[samples.images == image].numpy()
        assert len(places) == 100
        assert len(np.unique(places % 7, axis=0)) == 1
        rests.add(tuple(places[0] % 7))
    assert len(rests) > 10


def test_only_so_many_are_drawn_of_each_image_and_none_twice() -> None:
    samples = draw(np.ones((2, 70, 70), np.int32), count=30)
    assert np.bincount(samples.images).tolist() == [30, 30]
    drawn = np.column_stack([samples.images, samples.places])
    assert len(np.unique(drawn, axis=0)) == 60


def test_no_mask_of_an_unknown_object_is_drawn() -> None:
    labels = np.ones((1, 40, 40), np.int32)
    labels[:, :20] = 0
    labels[:, :, :20] = UNANNOTATED
    labels[:, 30:, 30:] = OUTSIDE

    def drawn(background):
        samples = draw(labels, spacing=(1, 1), background=background)
        return set(labels[0][tuple(samples.places.T.numpy())].tolist())

    assert drawn("ignored") == {1}
    assert drawn("apart") == drawn("object") == {0, 1}


def test_margins_are_left_out() -> None:
    samples = draw(np.ones((1, 9, 30, 30), np.int32), spacing=(1, 1, 1), margins=(2, 4, 4))
    places = samples.places.numpy()
    assert (places.min(axis=0) >= [2, 4, 4]).all()
    assert (places.max(axis=0) <= [6, 25, 25]).all()
    assert len(draw(np.ones((1, 3, 30, 30), np.int32), margins=(2, 0, 0)).places) == 0


def test_draws_depend_on_the_generator_alone() -> None:
    labels = np.ones((2, 40, 40), np.int32)
    assert torch.equal(draw(labels, count=9).places, draw(labels, count=9).places)


def test_levels_keep_the_middle_of_their_pixels() -> None:
    ramp = np.arange(8)
    assert at_level(ramp + ramp[:, None], 1).diagonal().tolist() == [2, 6, 10, 14]
    assert at_level(np.broadcast_to(ramp, (8, 8)), 2)[0].tolist() == [2, 6]
    assert at_level(np.broadcast_to(ramp, (8, 8)), 0)[0].tolist() == ramp.tolist()
    assert lattice_at(MaskLattice((1, 8, 8)), 2).strides == (1, 2, 2)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_batch_has_what_the_network_has(ndim) -> None:
    network = MaskUNet(
        1,
        ndim,
        (4, 4, 4, 4),
        (4, 4, 4),
        dense=(1, 3),
        sparse=(2,),
        offsets=[(0,) * (ndim - 1) + (-4,)],
    )
    shape = (7, 48, 64)[-ndim:]
    crops = [(np.zeros((1, *shape), np.float32), halves(shape))] * 2
    rng = np.random.default_rng(0)
    settings = MaskObjective(samples=(9, 9, 9, 9))
    batch = make_mask_batch(crops, network, settings, torch.device("cpu"), rng)
    assert [len(samples.masks) for samples in batch.dense] == [18, 18]
    assert batch.dense[1].places[:, -1].max() < 32  # of a level half as large
    if ndim == 3:
        assert set(batch.dense[0].places[:, 0].tolist()) <= {2, 3, 4}
    apart = batch.sparse[0].apart
    assert apart.shape[-2:] == (24, 32)
    # At the level, objects meet at column 16; the farthest pairs are 7 columns wide.
    assert apart[0, -3, ..., 16:23].all()
    assert not apart[0, -3, ..., 7:16].any()
    # Half of a section is enough for the affinities that come straight from codes.
    assert [part.stop - part.start for part in batch.window] == [*shape[:-2], 24, 32]
    wanted = np.zeros(shape, np.float32)
    wanted[..., 32:36] = 1
    counts = batch.direct.valid[0, 0]
    assert torch.equal(
        batch.direct.apart[0, 0] * counts, torch.from_numpy(wanted[batch.window]) * counts
    )
    assert not counts[..., :4].any()
    assert counts[..., 4:].all()
    assert batch.foreground.min() == 1
