"""What napari learns about the plugin without importing it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npe2 import PluginManifest
from npe2.cli import app
from typer.testing import CliRunner

import napari_pea
from napari_pea.core.device import DEVICE_NAMES
from napari_pea.core.tiling import DEFAULT_TILE
from napari_pea.models.catalogue import load_model

MANIFEST = Path(napari_pea.__file__).parent / "napari.yaml"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


def test_the_manifest_is_valid() -> None:
    result = CliRunner().invoke(app, ["validate", str(MANIFEST)])
    assert result.exit_code == 0
    assert "valid" in result.output


def test_the_installed_package_brings_it() -> None:
    assert PluginManifest.from_distribution("napari-pea").name == "napari-pea"


def test_what_it_names_exists(manifest: PluginManifest) -> None:
    manifest.validate_imports()


def test_widgets_and_menus(manifest: PluginManifest) -> None:
    contributions = manifest.contributions
    names = [widget.display_name for widget in contributions.widgets]
    assert names == ["Segment", "Train", "Batch", "Models"]
    commands = [item.command for item in contributions.menus["napari/layers/segment"]]
    assert commands == [widget.command for widget in contributions.widgets]


def test_samples_open(npe2pm: Any, manifest: PluginManifest) -> None:
    npe2pm.register(manifest)
    opened = {sample.key: sample.open() for sample in manifest.contributions.sample_data}
    (pixels, arguments, kind), *_ = opened["nuclei"]
    assert (pixels.ndim, arguments["name"], kind) == (2, "nuclei", "image")
    assert [layer[2] for layer in opened["annotated-nuclei"]] == ["image", "labels"]


def test_preferences_are_those_of_the_core(manifest: PluginManifest, tiny_model_path: Path) -> None:
    compute = manifest.contributions.configurations["compute"].properties
    assert compute["device"].enum == list(DEVICE_NAMES)
    assert compute["tile_size"].default == DEFAULT_TILE
    image = np.arange(400).reshape(20, 20)
    model = load_model(tiny_model_path, "cpu")
    assert model.embed(image, tile=compute["tile_size"].minimum).shape == (20, 20)


def test_the_docks_and_their_list_of_models_do_without_torch(
    tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(tiny_model_path.parent))
    code = (
        "import sys, napari_pea.widgets.segment_dock, napari_pea.models.catalogue as catalogue\n"
        "import napari_pea.widgets.training_dock, napari_pea.widgets.models_dock\n"
        "import napari_pea.widgets.batch_dock\n"
        "assert 'tiny' in [entry.name for entry in catalogue.list_models()]\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
