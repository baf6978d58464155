from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.networks import build_network
from napari_pea.core.networks.base import count_parameters
from napari_pea.experiments.papers import neurons
from napari_pea.experiments.papers.benchmarks import choose
from napari_pea.training.labelled import LabelledImage


def save_volumes(folder: Path) -> None:
    """Write two blocks with a body each, and crumbs."""
    folder.mkdir(parents=True)
    labels = np.zeros((10, 12, 14), np.uint32)
    labels[:, :, :12] = 7
    labels[0, 0, 13] = 9
    for name in ("training", "validation"):
        np.savez(folder / f"{name}.npz", image=labels.astype(np.uint8), label=labels)


def test_cubes_stand_in_for_sections(tmp_path: Path) -> None:
    save_volumes(tmp_path / "flyem")
    found = choose(tmp_path, "ac3-ac4")
    assert found.note.startswith("**Not the paper's data**: flyem stands in for ac3-ac4")
    assert found.model.arguments["isotropic"]
    # Twelve pairs, as in the paper, and no crumbs.
    assert len(found.objective.neighborhood.offset_list) == 12
    np.testing.assert_array_equal(np.unique(found.held_out[0].labels), [0, 7])
    assert not found.published_crops
    (tmp_path / "flyem" / "training.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "flyem" / "validation.npz", image=np.zeros(3))
    with pytest.raises(InputError) as caught:
        choose(tmp_path, "ac3-ac4")
    for problem in (
        "training.npz cannot be read as an archive of NumPy",
        "validation.npz lacks the array label",
    ):
        assert problem in str(caught.value), problem


def test_sections_are_scored_as_far_as_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def split(folder: Path) -> neurons.Split:
        volume = LabelledImage(np.zeros((20, 4, 4)), np.ones((20, 4, 4), int), folder.name)
        return neurons.Split([volume], [volume], [])

    monkeypatch.setattr(neurons, "ac3_ac4", split)
    monkeypatch.setattr(neurons, "cremi", split)
    (tmp_path / "ac3-ac4").mkdir()
    found = choose(tmp_path, "ac3-ac4")
    assert "20 sections for training and its other sections for scoring; the paper" in found.note
    assert found.objective.neighborhood.offset_list[::3] == (
        (-1, 0, 0), (-2, 0, 0), (-3, 0, 0), (-4, 0, 0),
    )  # fmt: skip
    assert found.model.recommended.strides == (1, 10, 10)
    assert found.published_crops == {"batch_size": 2, "crop": 160, "crop_depth": 18}
    assert (
        count_parameters(build_network(found.model.architecture, found.model.arguments))
        == 1_481_748
    )
    assert choose(tmp_path, "ac3-ac4", "cremi").name == "cremi"
