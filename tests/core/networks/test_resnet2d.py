from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_pea.core.errors import InputError
from napari_pea.core.networks import ResNetUNet2D, build_network
from napari_pea.core.networks.base import count_parameters
from napari_pea.core.predict import predict

NARROW = {"width": 2, "decoder_widths": (3, 4, 5, 6)}


def lively(seed: int = 0, **arguments) -> ResNetUNet2D:
    """Return an untrained network in which every layer matters."""
    torch.manual_seed(seed)
    network = ResNetUNet2D(**{**NARROW, **arguments}).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return network


@pytest.mark.parametrize(
    ("depth", "trunk", "total"), [(50, 8_543_296, 15_289_810), (101, 27_535_424, 34_281_938)]
)
def test_the_paper_networks_have_the_parameters_of_the_paper(
    depth: int, trunk: int, total: int
) -> None:
    with torch.device("meta"):
        network = ResNetUNet2D(in_channels=3, depth=depth)
    stages = network.encoder_stages
    assert sum(map(count_parameters, stages)) == trunk
    # The paper says 15.3 and 34.3 million.
    assert count_parameters(network) == total
    assert [len(stage) for stage in stages[1:]] == [3, 4, {50: 6, 101: 23}[depth]]


def test_shapes_of_all_outputs() -> None:
    network = build_network("resnet2d", {"in_channels": 2, "embedding_dim": 7, **NARROW}).eval()
    image = torch.rand(2, 2, 32, 48)
    with torch.inference_mode():
        output, plain = network(image, pyramid=True), network(image)
    assert output.embedding.shape == (2, 7, 32, 48)
    assert output.foreground is not None
    assert output.foreground.shape == (2, 2, 32, 48)
    assert [level.shape for level in output.pyramid] == [
        (2, 7, 16, 24), (2, 7, 8, 12), (2, 7, 4, 6), (2, 7, 2, 3),
    ]  # fmt: skip
    assert plain.pyramid == ()
    torch.testing.assert_close(plain.embedding, output.embedding)


def test_every_weight_learns() -> None:
    network = ResNetUNet2D(**NARROW).train()
    output = network(torch.rand(2, 1, 32, 32), pyramid=True)
    assert output.foreground is not None
    terms = [output.embedding, output.foreground, *output.pyramid]
    torch.stack([term.square().mean() for term in terms]).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("depth", [50, 101])
def test_the_receptive_radius_is_how_far_the_network_sees(depth: int) -> None:
    network = ResNetUNet2D(depth=depth, width=1, decoder_widths=(1, 1, 1, 1)).double().eval()
    network.pool = nn.AvgPool2d(3, stride=2, padding=1)  # a maximum hides its other inputs
    with torch.no_grad():
        for parameter in network.parameters():
            # With positive weights nothing can cancel.
            parameter.abs_().add_(0.1)
    size = {50: 512, 101: 1056}[depth]
    reach = 0
    for centre in range(size // 2, size // 2 + 16):
        # All phases of the steps; both axes are alike.
        image = torch.ones(1, 1, 16, size, dtype=torch.float64, requires_grad=True)
        network(image).embedding[..., centre].sum().backward()
        seen = image.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        reach = max(reach, centre - int(seen.min()), int(seen.max()) - centre)
    assert network.receptive_radius == (reach, reach)


def test_tiles_do_not_show() -> None:
    network = lively()
    image = np.random.default_rng(0).random((1, 40, 660), dtype=np.float32)
    whole = predict(network, image, tile=672, precision="full")
    tiled = predict(network, image, tile=448, precision="full")
    np.testing.assert_allclose(tiled.vectors, whole.vectors, atol=1e-4)
    np.testing.assert_allclose(tiled.foreground, whole.foreground, atol=1e-4)
    shown = predict(network, image, tile=448, halo=0, precision="full")
    assert np.abs(shown.vectors - whole.vectors).max() > 0.01


@pytest.mark.parametrize("arguments", [{"depth": 34}, {"decoder_widths": (4, 4)}, {"width": -1}])
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InputError, match="'resnet2d' cannot be built as the model asks"):
        build_network("resnet2d", arguments)
