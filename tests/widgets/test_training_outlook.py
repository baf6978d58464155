"""What is said about the annotation before it is learned from."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.settings import TrainingSettings
from napari_pea.widgets.training_layers import painted_layers
from napari_pea.widgets.training_outlook import Outlook, look_ahead
from napari_pea.widgets.training_state import LayerPair

PARENT = ModelMetadata(name="old", architecture="resunet2d", object_diameter=30.0)
SETTINGS = TrainingSettings(hold_out=0.2)


def look(image: Any, *labels: Any, scale: float = 1.0, whole: bool = True, **more: Any) -> Outlook:
    layers = [(Image(image, name="cells"), Labels(ids)) for ids in labels]
    pairs = [painted_layers(LayerPair(ref(one), ref(other), **more)) for one, other in layers]
    return look_ahead(pairs, SETTINGS, PARENT, scale=scale, whole_objects=whole)


def test_held_out_objects_are_whole_and_of_the_paint(
    squares: np.ndarray, painted: np.ndarray
) -> None:
    outlook = look(squares, painted, painted)
    assert outlook.n_objects == 24
    assert outlook.n_held_out == 5
    assert outlook.text.startswith("24 painted objects, 5 of them held out for validation.")
    ids = [set(np.unique(held)) - {0} for held in outlook.held_out]
    assert sum(len(each) for each in ids) == 5
    for held in outlook.held_out:
        np.testing.assert_array_equal(held > 0, np.isin(painted, list(set(np.unique(held)) - {0})))


def test_what_is_shown_as_held_out_is_what_training_holds_out(
    squares: np.ndarray, painted: np.ndarray
) -> None:
    from napari_pea.core.networks import build_network
    from napari_pea.training.holdout import hold_out
    from napari_pea.training.labelled import annotated

    pair = LayerPair(image := ref(kept := Image(squares)), ref(labels := Labels(painted)))
    layers = painted_layers(pair)
    model = ModelMetadata(name="new", architecture="resunet2d", scale=0.5)
    network = build_network("resunet2d", {"widths": (4, 4, 4, 4, 4)})
    items = annotated(layers.read(whole_objects=True), model, network)
    _, held, _ = hold_out(items, SETTINGS.hold_out, SETTINGS.seed)
    outlook = look_ahead([layers], SETTINGS, None, scale=0.5, whole_objects=True)
    assert set(np.unique(outlook.held_out[0])) == set(np.unique(held[0].truth))
    assert image() is kept
    assert labels.data is painted


def test_objects_of_another_size_are_offered_a_scale(
    squares: np.ndarray, painted: np.ndarray
) -> None:
    outlook = look(squares, painted)
    assert outlook.offer == pytest.approx(30 / 11.3, abs=0.02)
    assert "an image scale of 2.65 makes them alike" in outlook.text
    rescaled = look(squares, painted, scale=2.65)
    assert rescaled.offer is None
    assert "Images are resized by 2.65." in rescaled.text


def test_models_of_fixed_pairs_are_offered_none(squares: np.ndarray, painted: np.ndarray) -> None:
    pair = painted_layers(LayerPair(ref(kept := Image(squares)), ref(labels := Labels(painted))))
    masks = PARENT.model_copy(update={"offsets": ((-1, 0), (0, -1))})
    outlook = look_ahead([pair], SETTINGS, masks, scale=1.0, whole_objects=True)
    assert outlook.offer is None
    assert "resizing the images by 2.65 makes them alike" in outlook.text
    assert kept.data is squares
    assert labels.data is painted


@pytest.mark.parametrize(
    ("painted_ids", "more", "whole", "sentence"),
    [
        ([1], {}, False, "Nothing says where one object ends"),
        ([1, 2, 3], {}, True, "With 3 painted objects none can be held out"),
        ([1, 2, 3], {}, True, "No background is painted"),
        ([], {}, True, "No object is painted"),
    ],
)
def test_what_is_missing_is_said(
    painted_ids: list[int],
    more: dict[str, Any],
    whole: bool,
    sentence: str,
    squares: np.ndarray,
    painted: np.ndarray,
) -> None:
    labels = np.where(np.isin(painted, painted_ids), painted, 0)
    assert sentence in look(squares, labels, whole=whole, **more).text


def test_a_single_painted_pixel_and_negative_ids(squares: np.ndarray, painted: np.ndarray) -> None:
    dot = np.zeros_like(painted)
    dot[5, 5] = 3
    assert look(squares, dot).problem.startswith("The largest painted object has 1 pixel, too few")
    problem = look(squares, painted.astype(np.int16) - 4).problem
    assert problem.startswith("cells: Labels cannot be negative")


def test_label_0_is_background_where_the_user_says_so(
    squares: np.ndarray, painted: np.ndarray
) -> None:
    outlook = look(squares, painted, zero="background")
    assert outlook.zeros == ("background",)
    assert "No background" not in outlook.text
    assert look(squares, painted).zeros == ("not-annotated",)
