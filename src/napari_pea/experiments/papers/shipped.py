"""The validation images of every shipped model, and what counts on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_pea.experiments import neurons_em, nuclei_3d
from napari_pea.experiments.cells import usiigaci_images
from napari_pea.experiments.nuclei import bbbc039_images
from napari_pea.experiments.papers import bbbc039
from napari_pea.experiments.papers.benchmarks import USIIGACI_SOURCE
from napari_pea.experiments.papers.files import check_sorted, check_volumes
from napari_pea.experiments.papers.neuron_benchmarks import FLYEM_SOURCE
from napari_pea.training.labelled import LabelledImage

#: How the models of the second method are called that learn from the same images.
LSIM_SUFFIX = "-lsim"


@dataclass(frozen=True)
class Validation:
    """What a shipped model is judged by.

    Attributes
    ----------
    folder : str
        The data set's, within the folder of all data.
    images : callable
        Given the folder of all data, returns the validation images as a user has them.
    metric : str
        By which the recommended settings are chosen.
    shown : tuple of str
        What a table tells.
    """

    folder: str
    images: Callable[[Path], list[LabelledImage]]
    metric: str = "aji"
    shown: tuple[str, ...] = ("sbd", "dic", "aji", "pq", "ap50")


def _nuclei(data: Path) -> list[LabelledImage]:
    """Return the validation list of BBBC039, in either layout."""
    folder = data / "bbbc039"
    if bbbc039.is_published_layout(folder):
        return [item.read() for item in bbbc039.fields(folder)["validation"]]
    check_sorted(folder, "BBBC039v1", bbbc039.SOURCE, ("validation",))
    return bbbc039_images(data, "validation")


def _cells(data: Path) -> list[LabelledImage]:
    """Return the validation list of Usiigaci."""
    check_sorted(data / "usiigaci", "Usiigaci", USIIGACI_SOURCE, ("validation",))
    return usiigaci_images(data, "validation")


def _neurons(data: Path) -> list[LabelledImage]:
    """Return the validation block of FlyEM."""
    check_volumes(data / "flyem", "FlyEM", FLYEM_SOURCE, ("validation.npz",))
    return [neurons_em.volume(data, "validation")]


#: By the names of the models; those of the second method have a suffix.
SHIPPED = {
    "nuclei": Validation("bbbc039", _nuclei),
    "cells": Validation("usiigaci", _cells),
    "nuclei-3d": Validation("bbbc050", lambda data: nuclei_3d.volumes(data, "validation")),
    "neurons-em": Validation(
        "flyem",
        _neurons,
        "cremi",
        ("voi_split", "voi_merge", "arand", "cremi", "ap50"),
    ),
}


def validation_of(model: str) -> Validation | None:
    """Return what a shipped model is judged by, or None if it is not known here."""
    return SHIPPED.get(model.removesuffix(LSIM_SUFFIX))
