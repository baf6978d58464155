from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pea.core.errors import InputError
from napari_pea.core.networks.resunet3d import ResUNet3D
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments import volume_model
from napari_pea.experiments.volume_model import Mirrored, measure_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import save_model


def test_an_image_goes_on_as_in_mirrors() -> None:
    image = np.arange(6).reshape(2, 3)
    whole = Mirrored(image, (5, 8))
    expected = np.pad(image, ((0, 3), (0, 5)), mode="symmetric")
    assert np.array_equal(whole[...], expected)
    assert np.array_equal(whole[1:4, 2:7], expected[1:4, 2:7])


def test_a_model_segments_a_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"widths": [2, 3, 3, 3, 3], "embedding_dim": 4, "pyramid": False}
    torch.manual_seed(0)
    metadata = ModelMetadata(
        name="tiny",
        architecture="resunet3d",
        arguments=arguments,
        recommended=SegmentationSettings(ranges=(1,), strides=1, min_size=0),
    )
    save_model(tmp_path / "tiny.pea.safetensors", ResUNet3D(**arguments), metadata)
    (tmp_path / "flyem").mkdir()
    draw = np.random.default_rng(0)
    image = draw.random((6, 20, 20), dtype=np.float32)
    np.savez(tmp_path / "flyem" / "validation.npz", image=image, label=np.ones((6, 20, 20)))
    monkeypatch.setattr(volume_model, "SIDE", 32)
    sent = []
    given = (image, 8 * 32 * 32 * 4 / 1e9, (8, 32, 16), None, None, "cpu")
    volume_model._measured(sent.append, str(tmp_path / "tiny.pea.safetensors"), *given)
    row = sent[-1]
    assert row["shape"] == [8, 32, 32]
    assert row["blocks"] == 2
    assert row["objects"] > 0
    assert row["overhead"] > 1
    with pytest.raises(InputError, match=r"validation\.npz"):
        measure_model("nuclei", tmp_path / "nowhere")
