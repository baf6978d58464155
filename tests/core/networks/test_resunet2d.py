from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_pea.core.errors import InputError
from napari_pea.core.networks import ARCHITECTURES, ResUNet2D, build_network
from napari_pea.core.networks.base import count_parameters


def on_paper(**arguments) -> ResUNet2D:
    """Return a network of which only the shapes exist: quick, however large."""
    with torch.device("meta"):
        return ResUNet2D(**arguments)


def test_the_paper_network_has_the_parameters_of_the_paper() -> None:
    network = on_paper(in_channels=3)
    assert count_parameters(network) == 4_715_938
    assert count_parameters(network.stem) == 3_312
    assert [count_parameters(block) for block in network.down] == [
        18_720, 74_304, 296_064, 1_181_952,
    ]  # fmt: skip
    assert [count_parameters(block) for block in network.up] == [
        1_771_776, 1_033_344, 258_624, 64_800,
    ]  # fmt: skip
    assert [count_parameters(head) for head in network.pyramid_heads] == [
        1_040, 2_064, 4_112, 4_112,
    ]  # fmt: skip
    assert count_parameters(network.embedding_head) == 528
    assert count_parameters(network.foreground_head) == 1_186
    assert 4_715_938 - count_parameters(network.pyramid_heads) == 4_704_610


@pytest.mark.parametrize(
    ("widths", "expected"),
    [((32, 64, 128, 256, 512), 18_820_338), ((8, 16, 32, 64, 128), 1_184_442)],
)
def test_doubled_and_halved_widths_have_the_parameters_of_the_paper(
    widths: tuple[int, ...], expected: int
) -> None:
    assert count_parameters(on_paper(in_channels=3, widths=widths)) == expected


def test_align_corners_changes_the_result_but_no_parameter(make_network) -> None:
    aligned, plain = make_network(align_corners=True), make_network(align_corners=False)
    assert {name: value.shape for name, value in aligned.state_dict().items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
    aligned.load_state_dict(plain.state_dict())
    image = torch.rand(1, 1, 32, 48)
    with torch.inference_mode():
        assert not torch.allclose(aligned(image).embedding, plain(image).embedding, atol=1e-3)


def test_full_resolution_skip_widens_the_last_block_only() -> None:
    plain, skipping = on_paper(in_channels=3), on_paper(in_channels=3, full_resolution_skip=True)
    # 16 more input channels of the block's two 3x3 convolutions to 32 channels.
    assert count_parameters(skipping) - count_parameters(plain) == 2 * 16 * 32 * 9
    assert count_parameters(skipping.up[3]) - count_parameters(plain.up[3]) == 2 * 16 * 32 * 9


@pytest.mark.parametrize("in_channels", [1, 2, 3, 5])
def test_shapes_of_all_outputs(make_network, in_channels: int) -> None:
    network = make_network(in_channels=in_channels, embedding_dim=6)
    image = torch.rand(2, in_channels, 32, 48)
    with torch.inference_mode():
        output = network(image, pyramid=True)
        plain = network(image)
    assert output.embedding.shape == (2, 6, 32, 48)
    assert output.foreground.shape == (2, 2, 32, 48)
    assert [level.shape for level in output.pyramid] == [
        (2, 6, 16, 24), (2, 6, 8, 12), (2, 6, 4, 6), (2, 6, 2, 3),
    ]  # fmt: skip
    assert plain.pyramid == ()
    torch.testing.assert_close(plain.embedding, output.embedding)
    torch.testing.assert_close(plain.foreground, output.foreground)


def block(module: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """A residual block, layer by layer: conv-BN-ReLU-conv-BN beside conv-BN, add, ReLU."""
    first, norm1, _, second, norm2 = module.body
    convolution, norm3 = module.shortcut
    inner = second(torch.relu(norm1(first(features))))
    return torch.relu(norm2(inner) + norm3(convolution(features)))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("full_resolution_skip", [False, True])
def test_wiring_is_that_of_the_paper(
    make_network, align_corners: bool, full_resolution_skip: bool
) -> None:
    network = make_network(
        (3, 4, 5, 6, 7), align_corners=align_corners, full_resolution_skip=full_resolution_skip
    )
    image = torch.rand(1, 1, 32, 48)

    def double(features: torch.Tensor) -> torch.Tensor:
        size = [2 * side for side in features.shape[2:]]
        return functional.interpolate(
            features, size=size, mode="bilinear", align_corners=align_corners
        )

    with torch.inference_mode():
        output = network(image, pyramid=True)
        stem = block(network.stem, image)
        half = functional.max_pool2d(block(network.down[0], stem), 2)
        quarter = functional.max_pool2d(block(network.down[1], half), 2)
        eighth = functional.max_pool2d(block(network.down[2], quarter), 2)
        bottleneck = functional.max_pool2d(block(network.down[3], eighth), 2)
        up1 = block(network.up[0], double(bottleneck))
        up2 = block(network.up[1], double(torch.cat([up1, eighth], dim=1)))
        up3 = block(network.up[2], double(torch.cat([up2, quarter], dim=1)))
        last = double(torch.cat([up3, half], dim=1))
        if full_resolution_skip:
            last = torch.cat([last, stem], dim=1)
        up4 = block(network.up[3], last)
        hidden, norm, _, logits = network.foreground_head
        torch.testing.assert_close(output.embedding, network.embedding_head(up4))
        torch.testing.assert_close(output.foreground, logits(torch.relu(norm(hidden(up4)))))
        heads = network.pyramid_heads
        torch.testing.assert_close(output.pyramid[0], heads[0](up3))
        torch.testing.assert_close(output.pyramid[1], heads[1](up2))
        torch.testing.assert_close(output.pyramid[2], heads[2](up1))
        # The coarsest embedding is that of the bottleneck, not of a decoder stage.
        torch.testing.assert_close(output.pyramid[3], heads[3](bottleneck))


@pytest.mark.parametrize("full_resolution_skip", [False, True])
def test_nothing_beyond_the_receptive_radius_matters(
    make_network, full_resolution_skip: bool
) -> None:
    network = make_network((2, 2, 2, 2, 2), full_resolution_skip=full_resolution_skip).double()
    radius = network.receptive_radius[1]
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, 1, 16, 320, dtype=torch.float64, generator=generator)
    distance = torch.arange(320)
    with torch.inference_mode():
        before = network(image)
        for centre in range(160, 176):
            # All phases of the pooling grid; both axes are alike.
            changed = image.clone()
            far = (distance - centre).abs() > radius
            changed[..., far] += 5 * torch.rand(int(far.sum()), generator=generator).double()
            after = network(changed)
            for old, new in zip(before[:2], after[:2], strict=True):
                assert (old - new)[..., centre].abs().max() < 1e-9
                assert (old - new).abs().max() > 1e-3
                # The other axis: the same network sees the turned image.
            turned = network(changed.transpose(-1, -2)).embedding
            old = network(image.transpose(-1, -2)).embedding
            assert (turned - old)[..., centre, :].abs().max() < 1e-9


def test_the_receptive_radius_is_no_larger_than_needed() -> None:
    network = ResUNet2D(widths=(2, 2, 2, 2, 2)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            # With positive weights nothing can cancel.
            parameter.abs_().add_(0.1)
    radius = network.receptive_radius[1]
    image = torch.zeros(1, 1, 16, 320, dtype=torch.float64)

    def reaches(centre: int, distance: int) -> bool:
        changed = image.clone()
        changed[..., centre + distance] = 1e6
        change = network(changed).embedding - network(image).embedding
        return bool(change[..., centre].abs().max() > 1e-9)

    with torch.inference_mode():
        assert any(reaches(centre, radius) for centre in range(160, 176))
        assert not any(reaches(centre, radius + 1) for centre in range(160, 176))


def test_networks_are_built_by_name() -> None:
    network = build_network("resunet2d", {"in_channels": 2, "widths": [2, 2, 2, 2, 2]})
    assert isinstance(network, ResUNet2D)
    assert network.in_channels == 2
    assert (network.ndim, network.embedding_dim, network.divisor) == (2, 16, (16, 16))


@pytest.mark.parametrize(
    "arguments", [{"depth": 3}, {"widths": [2, 2]}, {"widths": [2, 2, 2, 2, -2]}, {"widths": 4}]
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InputError, match="'resunet2d' cannot be built as the model asks"):
        build_network("resunet2d", arguments)


def test_an_unknown_architecture_is_named() -> None:
    known = ", ".join(sorted(ARCHITECTURES))
    with pytest.raises(InputError, match=f"'unet9000' is not known here; known are: {known}"):
        build_network("unet9000", {})
