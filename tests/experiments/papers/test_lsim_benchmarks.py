from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.experiments.papers.lsim_benchmarks import choose, made_up


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
    with pytest.raises(InputError, match="no data set 'cvppp': use flyem or bbbc039"):
        choose(tmp_path, "cvppp")
