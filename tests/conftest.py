"""Settings that hold for every test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from napari_pea.core.affinity import label_affinities
from napari_pea.core.field import AffinityField
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.settings import SegmentationSettings

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


class KnownField:
    """A model of masks that knows what every pixel is, as if trained perfectly.

    Images hold ids; the affinities it predicts are those of the ids, with some noise if masks
    are not averaged. With them it tells variances, which are larger at `doubtful` ids.
    """

    name = "known"
    recommended = SegmentationSettings(
        ranges=(1, 2, 4, 8), strides=1, min_size=5, merge_fragments=False
    )

    def __init__(
        self,
        neighborhood: Neighborhood | None = None,
        *,
        can_average: bool = True,
        doubtful: int = 0,
    ) -> None:
        wide = neighborhood or Neighborhood((1, 2, 3, 4, 8, 12))
        self.ndim = wide.ndim
        self.offsets = wide.offset_list
        self.can_average = can_average
        self.doubtful = doubtful
        self.calls: list[bool] = []

    def field(self, image: Any, *, average: bool = False, **_: Any) -> AffinityField:
        """Return the affinities of the ids in an image."""
        self.calls.append(average)
        ids = np.asarray(image).astype(int)
        affinities, _ = label_affinities(ids, self.offsets)
        noise = np.random.default_rng(0).normal(0, 0.05, affinities.shape)
        variances = None
        if average:
            of_pixels = np.where(ids == self.doubtful, 0.2, 0.05) if self.doubtful else 0.05
            variances = np.broadcast_to(of_pixels, affinities.shape).astype(np.float16)
        else:
            affinities = np.clip(affinities + noise, 0, 1).astype(np.float32)
        foreground = np.where(ids > 0, 0.8, 0.1).astype(np.float32)
        return AffinityField(affinities, self.offsets, foreground, variances)


@pytest.fixture
def known_field() -> type[KnownField]:
    """A model of masks that knows what every pixel is."""
    return KnownField
