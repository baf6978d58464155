from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_pea.core.errors import InputError
from napari_pea.core.networks import build_network
from napari_pea.core.networks.base import count_parameters
from napari_pea.experiments.papers import neurons
from napari_pea.experiments.papers.benchmarks import DATA_SETS, choose, made_up, made_up_for
from napari_pea.experiments.papers.shipped import SHIPPED
from napari_pea.training.labelled import LabelledImage


def save_sorted(folder: Path) -> None:
    """Write three images into the folders of the project's own layout."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number in range(3):
        labels = np.zeros((40, 60), np.uint16)
        labels[10:30, 10:30], labels[10:30, 30:50] = 1, 2
        for part, array in (("images", 300 + 20 * labels), ("labels", labels)):
            imsave(folder / part / f"{number}.png", array, check_contrast=False)
    (folder / "training.txt").write_text("0.png 1.png")
    (folder / "validation.txt").write_text("2.png")


def test_phase_contrast_stands_in_for_leaves_at_half_its_size(tmp_path: Path) -> None:
    save_sorted(tmp_path / "usiigaci")
    found = choose(tmp_path, "cvppp")
    assert found.name == "usiigaci"
    assert found.note.startswith("**Not the paper's data**: usiigaci stands in for cvppp")
    assert found.given_foreground
    assert found.held_out[0].image.shape == found.held_out[0].labels.shape == (20, 30)
    assert found.model.recommended.ranges == found.objective.ranges == (1, 3, 5, 9, 27)
    # Shipped models see images as a user has them.
    assert SHIPPED["cells"].images(tmp_path)[0].labels.shape == (40, 60)


def test_nuclei_are_told_to_be_validation_images_only(tmp_path: Path) -> None:
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


def test_sorted_files_that_are_wrong_are_named_before_anything_starts(tmp_path: Path) -> None:
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
    (folder / "validation.txt").write_text("")
    with pytest.raises(InputError, match=r"validation\.txt names no images"):
        SHIPPED["cells"].images(tmp_path)


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
