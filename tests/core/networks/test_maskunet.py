"""The network of LSIM: its size, its wiring and its branches."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_pea.core.errors import InputError
from napari_pea.core.networks.base import count_parameters
from napari_pea.core.networks.maskunet import (
    AffinityHead,
    MaskDecoder,
    MaskUNet,
    centred,
    margin_of,
)

SMALL = {"widths": (4, 4, 8, 8), "decoder_widths": (4, 8, 8), "code_dim": 4}


def on_paper(**arguments) -> MaskUNet:
    """Return a network of which only the shapes exist: quick, however large."""
    with torch.device("meta"):
        return MaskUNet(**arguments)


def small(ndim: int, **arguments) -> MaskUNet:
    """Return a small network whose norms are not trivial."""
    torch.manual_seed(0)
    network = MaskUNet(ndim=ndim, **SMALL, **arguments).eval()
    for module in network.modules():
        if isinstance(module, nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return network


def test_the_paper_network_has_the_parameters_of_the_paper() -> None:
    network = on_paper()
    assert [count_parameters(decoder) for decoder in network.decoders] == [143_732] * 4
    assert count_parameters(network) - 4 * 143_732 == 7_986_720


def test_reduced_widths_make_it_smaller() -> None:
    halved = on_paper(widths=(16, 32, 64, 128), decoder_widths=(32, 32, 64))
    assert count_parameters(halved) < 2_800_000
    assert count_parameters(on_paper(ndim=2)) < 3_000_000


def test_crops_leave_the_sizes_of_the_paper() -> None:
    network = small(3, sparse=(1, 2, 3))
    with torch.inference_mode():
        output = network(torch.rand(1, 1, 2, 272, 272), crop=True)
    assert [tuple(codes.shape[3:]) for codes in output.codes] == [
        (224, 224),
        (224, 224),
        (120, 120),
        (64, 64),
    ]
    assert [tuple(apart.shape[1:]) for apart in output.sparse] == [
        (18, 2, 224, 224),
        (10, 2, 120, 120),
        (10, 2, 64, 64),
    ]
    assert [margin_of(level) for level in range(3)] == [24, 8, 2]


@pytest.mark.parametrize("ndim", [2, 3])
def test_shapes_without_crops(ndim) -> None:
    network = small(ndim, dense=(1, 3, 4), sparse=(2,), foreground=True)
    shape = (5, 32, 40)[-ndim:]
    with torch.inference_mode():
        output = network(torch.rand(2, 1, *shape))
    assert output.codes[0].shape == (2, 4, *shape)
    assert output.codes[1].shape[-2:] == (16, 20)
    assert output.codes[2].shape[-2:] == (8, 10)
    assert output.foreground.shape == (2, 2, *shape)
    assert output.sparse[0].shape[1] == {2: 6, 3: 10}[ndim]
    assert all((codes >= 0).all() for codes in output.codes)
    assert 0 < output.sparse[0].min() < output.sparse[0].max() < 1
    assert network.lattices[2].strides[-2:] == (8, 8)
    assert [lattice.strides[-1] for lattice in network.fine_lattices] == [1]


@pytest.mark.parametrize(("dense", "sparse"), [((), (1, 2, 3)), ((1, 2, 3, 4), ()), ((2,), (3,))])
def test_branches_can_be_left_out(dense, sparse) -> None:
    network = small(2, dense=dense, sparse=sparse)
    with torch.inference_mode():
        output = network(torch.rand(1, 1, 16, 16))
    assert (len(output.codes), len(output.sparse)) == (len(dense), len(sparse))
    assert len(network.decoders) == len(dense)
    assert output.foreground is None


def test_branches_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InputError, match="from 1 to 4"):
        on_paper(dense=(0, 1))
    with pytest.raises(InputError, match="from 1 to 3"):
        on_paper(sparse=(1, 1))


def conv_norm_relu(module: nn.Sequential, features: torch.Tensor) -> torch.Tensor:
    convolution, norm, _ = module
    return functional.relu(norm(convolution(features)))


def block(module: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """A residual block, layer by layer, as the facts about the authors' network say."""
    first, second, last = module.body
    inner = last(conv_norm_relu(second, conv_norm_relu(first, features)))
    if not isinstance(module.shortcut, nn.Identity):
        features = conv_norm_relu(module.shortcut, features)
    norm, _ = module.finish
    return functional.relu(norm(inner + features))


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("ndim", [2, 3])
def test_wiring_is_that_of_the_paper(ndim, crop) -> None:
    network = small(ndim, dense=(2, 4)).double()
    side = 96
    image = torch.rand(1, 1, *(3, side, side)[-ndim:], dtype=torch.float64)
    factors = [1] * (ndim - 2) + [2, 2]

    def cut(features: torch.Tensor, margin: int) -> torch.Tensor:
        return features[..., margin:-margin, margin:-margin] if crop else features

    with torch.inference_mode():
        output = network(image, crop=crop)
        current = conv_norm_relu(network.stem, image)
        skips = []
        for stage, down in zip(network.encoder[:3], network.down, strict=True):
            assert tuple(down[0].stride) == tuple(down[0].kernel_size) == tuple(factors)
            skips.append(block(stage, current))
            current = conv_norm_relu(down, skips[-1])
        current = block(network.encoder[3], current)
        levels = {}
        for level, margin in ((2, 2), (1, 4), (0, 8)):
            rise = network.up[level]
            risen = conv_norm_relu(rise.reduce, current)
            for axis in (-2, -1):
                risen = risen.repeat_interleave(2, dim=axis)
            skip = skips[level]
            if not isinstance(rise.adapt, nn.Identity):
                skip = conv_norm_relu(rise.adapt, skip)
            current = block(rise.block, risen + centred(skip, risen.shape[2:]))
            if level == 0:
                current = conv_norm_relu(network.tail, current)
            levels[level] = current = cut(current, margin)
        for codes, head, level in zip(output.codes, network.code_heads, (0, 2), strict=True):
            torch.testing.assert_close(codes, conv_norm_relu(head, levels[level]))


@pytest.mark.parametrize("shape", [(7, 7), (5, 7, 7)])
def test_decoders_make_masks_of_any_number_of_codes(shape) -> None:
    decoder = MaskDecoder(shape, 4, 2).eval()
    with torch.inference_mode():
        masks = decoder(torch.rand(3, 4))
        single = decoder(torch.zeros(1, 4))
        none = decoder(torch.zeros(0, 4))
    assert masks.shape == (3, *shape)
    assert none.shape == (0, *shape)
    assert 0 < masks.min() < masks.max() < 1
    assert single.shape == (1, *shape)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_affinity_head_takes_the_codes_at_full_resolution(ndim) -> None:
    offsets = [(-1, 0), (0, -1), (0, -4)] if ndim == 2 else [(-1, 0, 0), (0, -4, 0)]
    network = small(ndim, dense=(1, 2, 4), offsets=offsets)
    assert isinstance(network.affinity_head, AffinityHead)
    shape = (3, 16, 24)[-ndim:]
    with torch.inference_mode():
        output = network(torch.rand(1, 1, *shape))
        codes = network.fine_codes(output)
        apart = network.affinity_head(codes)
    assert codes.shape == (1, 8, *shape)
    torch.testing.assert_close(codes[:, 4:], output.codes[1])
    assert apart.shape == (1, len(offsets), *shape)
    assert 0 < apart.min() < apart.max() < 1


def test_gradients_reach_every_weight() -> None:
    network = small(2, sparse=(1, 2, 3), foreground=True, offsets=[(0, -1)])
    output = network(torch.rand(2, 1, 32, 32))
    total = sum(apart.sum() for apart in output.sparse) + output.foreground.square().sum()
    for decoder, codes in zip(network.decoders, output.codes, strict=True):
        total = total + decoder(codes[:, :, ::4, ::4].movedim(1, -1).flatten(0, -2)).sum()
    total = total + network.affinity_head(network.fine_codes(output)).sum()
    total.backward()
    assert all(weight.grad is not None for weight in network.parameters())
