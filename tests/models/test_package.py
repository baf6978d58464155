from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import sparse_offsets
from napari_pea.core.networks import ARCHITECTURES, build_network
from napari_pea.core.normalization import Normalization
from napari_pea.core.settings import SegmentationSettings
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.models.package import load_network, read_metadata, save_model

METADATA = ModelMetadata(
    name="tiny",
    description="For tests.",
    architecture="resunet2d",
    arguments={"widths": [4, 4, 4, 4, 4], "embedding_dim": 5},
    normalization=Normalization("min-max"),
    recommended=SegmentationSettings(ranges=(1, 4), strides=(2, 3), min_size=7),
    training_ranges=(1, 4),
    data=(DataSource(name="made up", licence="CC0-1.0"),),
    scores={"validation": {"aji": 0.5}},
    parent="older",
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = build_network(METADATA.architecture, METADATA.arguments)
    return save_model(tmp_path / "tiny", network, METADATA)


def test_metadata_survive(saved: Path) -> None:
    assert saved.name == "tiny.pea.safetensors"
    assert read_metadata(saved) == METADATA


def test_scores_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    told = METADATA.model_dump() | {
        "scores": {"validation": {"aji": 0.5, "ap50": float("nan")}, "test": {"aji": float("-inf")}}
    }
    metadata = ModelMetadata(**told)
    assert metadata.scores == {"validation": {"aji": 0.5}, "test": {}}
    assert ModelMetadata.model_validate_json(metadata.model_dump_json()) == metadata
    with pytest.raises(ValueError, match="scores"):
        ModelMetadata(**told | {"scores": {"validation": 0.5}})


def test_weights_survive_in_half_precision(saved: Path) -> None:
    torch.manual_seed(0)
    original = build_network(METADATA.architecture, METADATA.arguments).state_dict()
    network, _ = load_network(saved)
    for name, value in network.state_dict().items():
        expected = original[name]
        torch.testing.assert_close(value, expected.to(value.dtype), rtol=1e-3, atol=1e-4)
        assert value.dtype in (torch.float32, torch.int64)
    stored = load_file(saved)
    assert all(stored[name].dtype == torch.float16 for name, _ in network.named_parameters())


def test_statistics_beyond_half_precision_survive(saved: Path) -> None:
    network, metadata = load_network(saved)
    network.stem.body[1].running_var.fill_(1e6)
    again, _ = load_network(save_model(saved, network, metadata))
    assert again.stem.body[1].running_var[0] == 1e6


def damaged(saved: Path, change: str) -> Path:
    if change == "truncated":
        saved.write_bytes(saved.read_bytes()[:-100])
    elif change == "empty":
        saved.write_bytes(b"")
    elif change == "noise":
        saved.write_bytes(np.random.default_rng(0).bytes(5000))
    elif change == "no metadata":
        save_file(load_file(saved), saved)
    elif change == "not json":
        save_file(load_file(saved), saved, metadata={"napari_pea": "{"})
    elif change == "deep json":
        save_file(load_file(saved), saved, metadata={"napari_pea": "[" * 100_000})
    elif change == "later format":
        later = {**json.loads(METADATA.model_dump_json()), "format_version": 99}
        save_file(load_file(saved), saved, metadata={"napari_pea": json.dumps(later)})
    elif change == "unknown architecture":
        other = METADATA.model_copy(update={"architecture": "dreamnet"})
        save_file(load_file(saved), saved, metadata={"napari_pea": other.model_dump_json()})
    elif change == "wrong arguments":
        other = METADATA.model_copy(update={"arguments": {"depth": 3}})
        save_file(load_file(saved), saved, metadata={"napari_pea": other.model_dump_json()})
    elif change == "weights missing":
        weights = load_file(saved)
        weights.pop("embedding_head.bias")
        save_file(weights, saved, metadata={"napari_pea": METADATA.model_dump_json()})
    elif change == "weights not numbers":
        weights = load_file(saved)
        weights["embedding_head.bias"][0] = float("nan")
        save_file(weights, saved, metadata={"napari_pea": METADATA.model_dump_json()})
    return saved


@pytest.mark.parametrize(
    "change",
    [
        "truncated",
        "empty",
        "noise",
        "no metadata",
        "not json",
        "deep json",
        "later format",
        "unknown architecture",
        "wrong arguments",
        "weights missing",
        "weights not numbers",
    ],
)
def test_damaged_files_get_one_sentence(saved: Path, change: str) -> None:
    with pytest.raises(InputError) as caught:
        load_network(damaged(saved, change))
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model file"):
        read_metadata(tmp_path / "none.pea.safetensors")


def test_settings_of_later_versions_are_left_out(saved: Path) -> None:
    later = json.loads(METADATA.model_dump_json())
    later["recommended"]["mood"] = "sunny"
    save_file(load_file(saved), saved, metadata={"napari_pea": json.dumps(later)})
    assert read_metadata(saved).recommended == METADATA.recommended


def test_a_full_disk_keeps_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr("safetensors.torch.save_file", full)
    network, metadata = load_network(saved)
    with pytest.raises(InputError, match="No space left"):
        save_model(saved, network, metadata)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_the_axes_and_the_voxels_of_a_model_are_known_without_its_network(saved: Path) -> None:
    with torch.device("meta"):
        built = {name: make() for name, make in ARCHITECTURES.items()}
    for name, network in built.items():
        assert ModelMetadata(name="m", architecture=name).ndim == network.ndim
    network, metadata = load_network(saved)
    metadata = metadata.model_copy(update={"pixel_size_um": (2.0, 0.5, 0.5)})
    path = save_model(saved.with_name("voxels"), network, metadata)
    assert read_metadata(path).pixel_size_um == (2.0, 0.5, 0.5)


def test_a_model_of_masks_says_which_affinities_it_knows(tmp_path: Path) -> None:
    offsets = ((-1, 0), (0, -1), (-4, 0), (0, -4))
    arguments = {
        "widths": (16, 16, 16, 16),
        "decoder_widths": (16, 16, 16),
        "dense": (1, 2),
        "sparse": (),
        "offsets": offsets,
    }
    metadata = ModelMetadata(name="masks", architecture="maskunet2d", arguments=arguments)
    network = build_network("maskunet2d", arguments)
    said = read_metadata(save_model(tmp_path / "masks", network, metadata))
    assert said.offsets == offsets
    assert said.can_average
    sparse = {**arguments, "dense": (), "sparse": (1,), "offsets": ()}
    network = build_network("maskunet2d", sparse)
    metadata = metadata.model_copy(update={"arguments": sparse})
    said = read_metadata(save_model(tmp_path / "sparse", network, metadata))
    assert said.offsets == sparse_offsets(0, 2)
    assert not said.can_average


def test_texts_of_strangers_command_no_terminal(saved: Path) -> None:
    network, metadata = load_network(saved)
    update = {"description": "A\x1b[2J\nB", "parent": "\x07x"}
    path = save_model(saved.with_name("loud"), network, metadata.model_copy(update=update))
    assert read_metadata(path).description == "A [2J\nB"
    assert read_metadata(path).parent == " x"
