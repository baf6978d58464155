from __future__ import annotations

import pytest
import torch

from napari_pea.core.errors import InputError
from napari_pea.training.settings import ObjectiveSettings, TrainingSettings
from napari_pea.training.trainer import Trainer

SETTINGS = TrainingSettings(
    iterations=2,
    batch_size=1,
    crop=32,
    ema_decay=0.0,
    frozen_stages=2,
    objective=ObjectiveSettings(ranges=(1, 3)),
)


def test_frozen_stages_keep_weights_and_statistics(make_tiny_network, make_discs) -> None:
    network = make_tiny_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trainer = Trainer(network, [make_discs(0)], SETTINGS)
    trainer.run()
    for result in (network, trainer.averaged_network):
        changed = {
            name.split(".")[0] + name.split(".")[1] * (name.startswith("down"))
            for name, value in result.state_dict().items()
            if not torch.equal(value, before[name])
        }
        assert "stem" not in changed
        assert "down0" not in changed
        assert {"down1", "down2", "down3", "up", "embedding_head"} <= changed


def test_no_more_stages_can_be_frozen_than_there_are(make_tiny_network, make_discs) -> None:
    settings = SETTINGS.updated(frozen_stages=6)
    with pytest.raises(InputError, match="The encoder has 5 stages, so 6 cannot be frozen"):
        Trainer(make_tiny_network(), [make_discs(0)], settings)
