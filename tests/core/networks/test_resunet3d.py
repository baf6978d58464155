from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_pea.core.device import mixed_dtype
from napari_pea.core.networks import ARCHITECTURES, ResUNet3D, build_network
from napari_pea.core.networks.base import count_parameters

SMALL = (2, 3, 4, 5, 6)


def on_paper(**arguments) -> ResUNet3D:
    """Return a network of which only the shapes exist: quick, however large."""
    with torch.device("meta"):
        return ResUNet3D(**arguments)


def small(**arguments) -> ResUNet3D:
    """Return a small network whose batch norms are not trivial."""
    torch.manual_seed(0)
    network = ResUNet3D(widths=SMALL, embedding_dim=3, **arguments).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network


def test_the_paper_network_has_the_parameters_of_the_paper() -> None:
    assert count_parameters(on_paper()) == 1_481_748
    assert count_parameters(on_paper(pyramid=False)) == 1_478_036
    # The same network with twelve affinities instead of sixteen components.
    assert count_parameters(on_paper(pyramid=False, embedding_dim=12)) == 1_477_920


@pytest.mark.parametrize(
    ("isotropic", "shape", "coarsest"),
    [(False, (5, 32, 48), (5, 2, 3)), (True, (16, 32, 48), (1, 2, 3))],
)
def test_shapes_of_all_outputs(isotropic: bool, shape: tuple, coarsest: tuple) -> None:
    network = small(isotropic=isotropic, foreground=True)
    with torch.inference_mode():
        output = network(torch.rand(2, 1, *shape), pyramid=True)
        plain = network(torch.rand(2, 1, *shape))
    assert output.embedding.shape == (2, 3, *shape)
    assert output.foreground.shape == (2, 2, *shape)
    assert len(output.pyramid) == 4
    assert output.pyramid[0].shape[3:] == (shape[1] // 2, shape[2] // 2)
    assert output.pyramid[-1].shape == (2, 3, *coarsest)
    assert plain.pyramid == ()


def test_there_is_a_foreground_only_if_asked_for() -> None:
    with torch.inference_mode():
        assert small()(torch.rand(1, 1, 2, 16, 16)).foreground is None


def block(module: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """A residual block, layer by layer, as the facts about the authors' network say."""
    first, norm1, _ = module.entry
    second, norm2, _, third = module.body
    assert first.kernel_size[1:] == (3, 3)
    assert all(layer.bias is None for layer in (first, second, third))
    entered = functional.elu(norm1(first(features)))
    inner = third(functional.elu(norm2(second(entered))))
    return functional.elu(module.norm(inner + entered))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("isotropic", [False, True])
def test_wiring_is_that_of_the_paper(align_corners: bool, isotropic: bool) -> None:
    network = small(isotropic=isotropic, align_corners=align_corners).double()
    factors = (2, 2, 2) if isotropic else (1, 2, 2)
    image = torch.rand(1, 1, 16, 32, 48, dtype=torch.float64)

    def rise(module: nn.Module, features: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        grown = functional.interpolate(
            features, size=skip.shape[2:], mode="trilinear", align_corners=align_corners
        )
        return block(module.block, functional.elu(module.norm(module.reduce(grown) + skip)))

    with torch.inference_mode():
        output = network(image, pyramid=True)
        levels = [block(network.down[0], functional.elu(network.stem[0](image)))]
        for stage in network.down[1:]:
            levels.append(block(stage, functional.max_pool3d(levels[-1], factors)))
        coarse = [levels[4]]
        for stage, skip in zip(network.up, levels[3::-1], strict=True):
            coarse.append(rise(stage, coarse[-1], skip))
        full = functional.elu(network.tail[0](coarse.pop()))
        torch.testing.assert_close(output.embedding, network.embedding_head(full))
        for head, found, level in zip(
            network.pyramid_heads, output.pyramid, reversed(coarse), strict=True
        ):
            torch.testing.assert_close(found, head(level))


@pytest.mark.parametrize("isotropic", [False, True])
def test_kernels_stay_within_sections_where_these_lie_apart(isotropic: bool) -> None:
    network = on_paper(isotropic=isotropic)
    depth, outer = (3, 3) if isotropic else (1, 1)
    assert network.stem[0].kernel_size == network.tail[0].kernel_size == (outer, 5, 5)
    assert {stage.entry[0].kernel_size for stage in network.down} == {(depth, 3, 3)}
    assert {stage.body[0].kernel_size for stage in network.down} == {(3, 3, 3)}


@pytest.mark.parametrize("isotropic", [False, True])
def test_nothing_beyond_the_receptive_radius_has_an_influence(isotropic: bool) -> None:
    network = small(isotropic=isotropic).double()
    radius = network.receptive_radius[1]
    image = torch.rand(1, 1, 16, 16, 2 * radius + 64, dtype=torch.float64)
    image = image[..., : image.shape[-1] // 16 * 16].requires_grad_()
    middle = image.shape[-1] // 2
    network(image).embedding[..., middle].sum().backward()
    reached = torch.nonzero(image.grad.abs().amax(dim=(0, 1, 2, 3))).squeeze(1)
    assert middle - radius <= reached.min() < reached.max() <= middle + radius


def test_sections_beyond_the_receptive_radius_have_no_influence() -> None:
    network = small().double()
    image = torch.rand(1, 1, 48, 16, 16, dtype=torch.float64, requires_grad=True)
    network(image).embedding[:, :, 24].sum().backward()
    reached = torch.nonzero(image.grad.abs().amax(dim=(0, 1, 3, 4))).squeeze(1)
    assert (reached.min(), reached.max()) == (24 - 18, 24 + 18)


@pytest.mark.parametrize("isotropic", [False, True])
def test_tiles_are_multiples_of_the_divisor_and_wider_than_their_halo(isotropic: bool) -> None:
    network = on_paper(isotropic=isotropic)
    for side, halo, divisor in zip(network.tile, network.halo, network.divisor, strict=True):
        assert side % divisor == 0
        assert side > 2 * halo


def test_it_can_be_built_by_its_name() -> None:
    assert ARCHITECTURES["resunet3d"] is ResUNet3D
    network = build_network("resunet3d", {"widths": list(SMALL), "isotropic": True})
    assert network.divisor == (16, 16, 16)
    assert len(network.encoder_stages) == 6


@pytest.mark.skipif(mixed_dtype(torch.device("cpu")) is None, reason="no bfloat16 here")
def test_two_sections_at_the_bottom_have_gradients_in_half_precision() -> None:
    """PyTorch 2.13 leaves memory that it never wrote to in the gradients of their weights."""
    network = small(isotropic=True).train()
    image = torch.rand(1, 1, 32, 32, 32)
    gradients = []
    for enabled in (False, True):
        # What was in memory before must not be seen.
        del_me = torch.full((10_000_000,), 1e30)
        del del_me
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            output = network(image)
        output.embedding.float().square().mean().backward()
        gradients.append(network.down[4].body[0].weight.grad)
    assert functional.cosine_similarity(*(grad.flatten() for grad in gradients), dim=0) > 0.9
