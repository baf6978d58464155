from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_pea.core.errors import InputError
from napari_pea.experiments.papers.benchmarks import DATA_SETS, choose, made_up, made_up_for


def test_phase_contrast_stands_in_for_leaves_at_half_its_size(tmp_path: Path, save_sorted) -> None:
    save_sorted(tmp_path / "usiigaci")
    found = choose(tmp_path, "cvppp")
    assert found.name == "usiigaci"
    assert found.note.startswith("**Not the paper's data**: usiigaci stands in for cvppp")
    assert found.given_foreground
    assert found.held_out[0].image.shape == found.held_out[0].labels.shape == (20, 30)
    assert found.model.recommended.ranges == found.objective.ranges == (1, 3, 5, 9, 27)


def test_nuclei_are_told_to_be_validation_images_only(tmp_path: Path, save_sorted) -> None:
    save_sorted(tmp_path / "bbbc039")
    found = choose(tmp_path, "bbbc039")
    assert not found.note.startswith("**Not")
    assert "1 of the validation list; the paper has the test list" in found.note
    assert (len(found.training), len(found.held_out)) == (2, 1)
    assert not found.given_foreground
    assert found.published_crops == {"batch_size": 8, "crop": 256}
    assert choose(tmp_path, "cvppp", "bbbc039").note.startswith("**Not the paper's data**")


def test_what_is_not_there_is_told_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cvppp is missing, and so is usiigaci.*codalab"):
        choose(tmp_path, "cvppp")
    with pytest.raises(InputError, match=r"bbbc039 is missing: BBBC039v1 belongs there"):
        choose(tmp_path, "bbbc039")
    with pytest.raises(InputError, match=r"ac3-ac4 is missing, and so is flyem.*snemi3d"):
        choose(tmp_path, "ac3-ac4")
    with pytest.raises(InputError, match=r"'flyem' has 3D images.* 2D images: use cvppp, bbbc"):
        choose(tmp_path, "cvppp", "flyem")
    with pytest.raises(InputError, match="no data set 'leaves' here: use cvppp, bbbc039, usi"):
        choose(tmp_path, "cvppp", "leaves")
    (tmp_path / "bbbc039" / "masks").mkdir(parents=True)
    with pytest.raises(InputError, match=r"metadata/training\.txt is missing"):
        choose(tmp_path, "bbbc039")
    (tmp_path / "cvppp" / "A1").mkdir(parents=True)
    with pytest.raises(InputError, match=r"plant002_rgb\.png is missing"):
        choose(tmp_path, "cvppp")


def test_sorted_files_that_are_wrong_are_named_before_anything_starts(
    tmp_path: Path, save_sorted
) -> None:
    folder = tmp_path / "usiigaci"
    save_sorted(folder)
    (folder / "images" / "0.png").unlink()
    (folder / "labels" / "1.png").write_bytes(b"nothing")
    imsave(folder / "labels" / "2.png", np.zeros((3, 4), np.uint8), check_contrast=False)
    with pytest.raises(InputError) as caught:
        choose(tmp_path, "cvppp")
    for problem in (
        "images/0.png is missing",
        "labels/1.png cannot be read as a picture",
        "labels/2.png measures (3, 4) pixels, but its image (40, 60)",
        "https://github.com/oist/Usiigaci",
    ):
        assert problem in str(caught.value), problem


def test_made_up_discs_touch() -> None:
    first, second = made_up().training
    assert len(np.unique(first.labels)) == 5
    assert not np.array_equal(first.labels, second.labels)
    beside = first.labels[:, :-1] != first.labels[:, 1:]
    assert (beside & (first.labels[:, :-1] > 0) & (first.labels[:, 1:] > 0)).any()


@pytest.mark.parametrize("name", DATA_SETS)
def test_made_up_images_have_the_axes_of_those_they_stand_for(name: str) -> None:
    found = made_up_for(name)
    ndim = DATA_SETS[name].ndim
    assert found.model.ndim == found.objective.ndim == ndim
    assert {item.image.ndim for item in (*found.training, *found.held_out)} == {ndim}
