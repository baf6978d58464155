from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.experiments.papers.shipped import SHIPPED, validation_of
from napari_pea.models.catalogue import list_models


def test_every_shipped_model_is_judged_by_images_of_its_own_kind() -> None:
    for entry in list_models():
        if entry.source == "built-in":
            found = validation_of(entry.name)
            assert found is not None, entry.name
            assert found.metric in found.shown
    # Those of the second method learn from the same images.
    assert validation_of("nuclei-lsim") is SHIPPED["nuclei"]
    assert validation_of("my own") is None


def test_images_are_those_that_a_user_has(tmp_path: Path, save_sorted) -> None:
    save_sorted(tmp_path / "usiigaci")
    save_sorted(tmp_path / "bbbc039")
    for model in ("nuclei", "cells"):
        (image,) = SHIPPED[model].images(tmp_path)
        assert (image.name, image.labels.shape) == ("2", (40, 60))
    # The images of the training are not looked at.
    (tmp_path / "usiigaci" / "images" / "0.png").unlink()
    assert SHIPPED["cells"].images(tmp_path)
    (tmp_path / "usiigaci" / "validation.txt").write_text("")
    with pytest.raises(InputError, match=r"validation\.txt names no images"):
        SHIPPED["cells"].images(tmp_path)


def test_volumes_are_read_without_crumbs(tmp_path: Path) -> None:
    (tmp_path / "flyem").mkdir()
    with pytest.raises(InputError, match=r"validation\.npz is missing"):
        SHIPPED["neurons-em"].images(tmp_path)
    labels = np.zeros((10, 12, 14), np.uint32)
    labels[:, :, :12], labels[0, 0, 13] = 7, 9
    np.savez(tmp_path / "flyem" / "validation.npz", image=labels.astype(np.uint8), label=labels)
    (volume,) = SHIPPED["neurons-em"].images(tmp_path)
    np.testing.assert_array_equal(np.unique(volume.labels), [0, 7])
