from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.experiments.papers import neurons
from napari_pea.experiments.papers.lsim_benchmarks import choose, made_up
from napari_pea.training.labelled import LabelledImage


@pytest.mark.parametrize("ndim", [2, 3])
def test_made_up_images_have_objects_that_touch(ndim: int) -> None:
    benchmark = made_up(ndim)
    assert benchmark.model.architecture == f"maskunet{ndim}d"
    for item in (*benchmark.training, *benchmark.held_out):
        assert item.labels.ndim == ndim
        assert item.labels.max() == (4 if ndim == 3 else 2)
        apart = np.diff(item.labels, axis=-1)
        assert ((apart != 0) & (item.labels[..., 1:] > 0) & (item.labels[..., :-1] > 0)).any()


def test_volumes_are_what_is_asked_for_without_a_name(tmp_path: Path) -> None:
    assert choose(None, None).name == "lsim-made-up-3d"
    assert choose(None, "bbbc039").name == "lsim-made-up-2d"
    with pytest.raises(InputError, match="no data set 'cvppp': use cremi, flyem, bbbc039"):
        choose(tmp_path, "cvppp")


def test_the_papers_data_are_taken_if_they_are_there(tmp_path, monkeypatch) -> None:
    labels = np.kron(np.array([[1, 2], [3, 4]], np.int32), np.ones((4, 4), np.int32))[:, :7]
    item = LabelledImage(np.stack([labels * 10.0] * 3), np.stack([labels] * 3), "C", group="cremi")
    monkeypatch.setattr(neurons, "cremi", lambda folder: neurons.Split([item], [item], []))
    (tmp_path / "cremi").mkdir()
    benchmark = choose(tmp_path, None)
    assert benchmark.name == "lsim-cremi"
    (held_out,) = benchmark.held_out
    # Half of the size within sections; the odd column is left out.
    assert held_out.image.shape == held_out.labels.shape == (3, 4, 3)
    assert held_out.labels[0].tolist() == [[1, 1, 2], [1, 1, 2], [3, 3, 4], [3, 3, 4]]
    np.testing.assert_allclose(held_out.image, held_out.labels * 10)
