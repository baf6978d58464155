from __future__ import annotations

import pytest

from napari_pea.core.networks import build_network
from napari_pea.core.networks.base import count_parameters
from napari_pea.experiments.arms import Arm
from napari_pea.experiments.papers.tables import BACKBONES
from napari_pea.experiments.papers.trained import wider
from napari_pea.models.metadata import ModelMetadata

MODEL = ModelMetadata(name="any", architecture="resunet2d", arguments={"embedding_dim": 16})
#: Of the paper's U-Net.
WIDTHS = (16, 32, 64, 128, 256)


def parameters(arm: Arm) -> int:
    model = arm.of(MODEL)
    return count_parameters(build_network(model.architecture, model.arguments))


@pytest.mark.parametrize("arm", BACKBONES.values(), ids=BACKBONES)
def test_every_backbone_becomes_narrower_with_the_widths(arm: Arm) -> None:
    assert parameters(wider(arm, ())) == parameters(wider(arm, WIDTHS)) == parameters(arm)
    half = wider(arm, [width // 2 for width in WIDTHS])
    assert parameters(arm) / 5 < parameters(half) < parameters(arm) / 3
