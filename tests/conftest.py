"""Settings that hold for every test."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is no failure: examples are never timed. They are the same in every run, so
# that a test which passed once passes again.
settings.register_profile("napari-pea", deadline=None, derandomize=True)
settings.load_profile("napari-pea")


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with a small untrained network: quick, and its labels mean nothing."""
    import torch

    from napari_pea.core.networks import build_network
    from napari_pea.models.metadata import ModelMetadata
    from napari_pea.models.package import save_model

    arguments = {"widths": (4, 4, 4, 4, 4)}
    torch.manual_seed(0)
    network = build_network("resunet2d", arguments)
    metadata = ModelMetadata(
        name="tiny",
        architecture="resunet2d",
        arguments=arguments,
        description="A small untrained network.",
    )
    return save_model(tmp_path_factory.mktemp("models") / "tiny", network, metadata)
