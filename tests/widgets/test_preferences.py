from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManifest

from napari_pea.core.tiling import DEFAULT_TILE
from napari_pea.widgets.preferences import Preferences, preferences


@pytest.mark.usefixtures("plugin_settings")
def test_preferences_come_from_napari(npe2pm: Any) -> None:
    from napari.settings import get_plugin_settings

    assert preferences() == Preferences("auto", DEFAULT_TILE)
    npe2pm.register(PluginManifest.from_distribution("napari-pea"))
    compute = get_plugin_settings("napari-pea").compute
    compute.device, compute.tile_size = "cpu", 512
    assert preferences() == Preferences("cpu", 512)
    assert preferences().halo is None
    assert preferences().model_folder is None
    compute.halo, compute.cache_size = 16, 500
    get_plugin_settings("napari-pea").models.folder = "~/my models"
    assert preferences().halo == 16
    assert preferences().cache_bytes == 500 * 10**6
    assert preferences().model_folder == Path.home() / "my models"
    with pytest.raises(ValueError, match="device"):
        compute.device = "abacus"
