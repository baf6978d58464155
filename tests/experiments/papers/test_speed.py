from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.networks import MaskUNet, build_network
from napari_pea.core.networks.base import count_parameters
from napari_pea.experiments.papers import speed
from napari_pea.experiments.papers.reproduce import reproduce
from napari_pea.models.catalogue import list_models


def test_every_network_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    (report,) = reproduce("speed", None, tmp_path, quick=True, device="cpu")
    assert (tmp_path / "table-speed.md").read_text() == report.markdown()
    for line, network in zip(report.lines, speed.TINY, strict=True):
        built = build_network(network.architecture, network.built)
        assert line.found["parameters"] == [count_parameters(built) / 1e6]
        assert len(line.found["seconds"]) == speed.REPEATS
        assert min(line.found["seconds"]) > 0
        assert line.found["memory"][0] >= 0
    assert report.lines[0].extra["image"] == "32×48"


def test_networks_have_the_size_that_the_paper_tells() -> None:
    told = [network for network in speed.PAPERS if network.parameters is not None]
    assert len(told) == 3
    for network in told:
        found = count_parameters(build_network(network.architecture, network.built)) / 1e6
        assert found == pytest.approx(network.parameters, abs=0.05)


def test_shipped_models_are_measured_too() -> None:
    found = {network.title: network for network in speed._shipped()}
    shipped = [entry for entry in list_models() if entry.source == "built-in"]
    assert set(found) == {f"model `{entry.name}`" for entry in shipped}
    # Those of masks see what the others see.
    for name in ("nuclei", "neurons-em"):
        assert found[f"model `{name}-lsim`"].shape == found[f"model `{name}`"].shape


def test_networks_of_masks_are_measured() -> None:
    (network,) = (
        replace(network, shape=(1, 32, 48))
        for network in speed._shipped()
        if network.title == "model `nuclei-lsim`"
    )
    sent: list[dict[str, list[float]]] = []
    speed._measure(sent.append, network, "cpu")
    built = build_network(network.architecture, network.built)
    assert isinstance(built, MaskUNet)
    assert sent[0]["parameters"] == [count_parameters(built) / 1e6]
    assert min(sent[0]["seconds"]) > 0


def test_a_device_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tpu"):
        reproduce("speed", None, tmp_path, quick=True, device="tpu")
