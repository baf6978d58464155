from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from napari_pea.core.networks import ResUNet2D


@pytest.fixture
def make_network() -> Callable[..., ResUNet2D]:
    """Return networks that are untrained, but whose every layer matters.

    With PyTorch's own initial values the deep layers hardly count, and errors at the edge of
    what an output pixel sees would go unnoticed.
    """

    def make(widths=(4, 8, 8, 16, 16), seed: int = 0, **arguments) -> ResUNet2D:
        generator = torch.Generator().manual_seed(seed)
        network = ResUNet2D(widths=widths, **arguments).eval()
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.Conv2d):
                    inputs = module.weight[0].numel()
                    module.weight.normal_(0, (2 / inputs) ** 0.5, generator=generator)
                elif isinstance(module, nn.BatchNorm2d):
                    module.running_mean.normal_(0, 0.3, generator=generator)
                    module.running_var.uniform_(0.25, 1.75, generator=generator)
                    module.weight.uniform_(0.5, 1.5, generator=generator)
                    module.bias.normal_(0, 0.3, generator=generator)
        return network

    return make
