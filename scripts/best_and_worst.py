"""Where the shipped models succeed and where they fail, as pictures for their cards.

Nobody chooses the places: validation images are cut into windows, and the one with the best and the
one with the worst AJI are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.color import label2rgb
from skimage.segmentation import find_boundaries

from napari_pea import evaluate, load_model, segment
from napari_pea.core.quality import matched
from napari_pea.experiments import datasets

#: Pixels of a panel in the picture, and objects that a window must have.
PANEL, LEAST_OBJECTS = 300, 4
RED, YELLOW, GREY = (1.0, 0.25, 0.2), (1.0, 0.85, 0.1), (0.2, 0.9, 0.6)
#: Smaller true objects are not counted: specks of BBBC039, crumbs of FlyEM.
SPECKS, CRUMBS = 25, 150


@dataclass(frozen=True)
class Window:
    """A piece of a validation image with what was found in it."""

    image: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    score: float


def windows(model: str, data: Path, side: int) -> Iterator[Window]:
    """Cut a few validation images of a model into windows."""
    loaded = load_model(model, "cpu")
    least = SPECKS
    if loaded.ndim == 3:
        image, truth = datasets.read_volume(datasets.flyem(data / "flyem", "validation"))
        labels = segment(image, model=loaded).labels
        least = CRUMBS
        planes = [(image[z], labels[z], truth[z]) for z in (5, 15, 25)]
    else:
        read = datasets.usiigaci if model == "cells" else datasets.bbbc039
        folder = data / ("usiigaci" if model == "cells" else "bbbc039")
        pairs = read(folder, "validation")[:6]
        if model == "nuclei":
            pairs = [*pairs, *datasets.dsb2018(data / "dsb2018", "validation")[:8]]
        planes = [
            (image, segment(image, model=loaded).labels, truth)
            for image, truth in datasets.read_pairs(pairs)
        ]
    for image, labels, truth in planes:
        for top in range(0, image.shape[0] - side + 1, side):
            for left in range(0, image.shape[1] - side + 1, side):
                here = np.s_[top : top + side, left : left + side]
                pieces = image[here], labels[here], truth[here]
                scores = evaluate(*pieces[1:], ["aji", "n_true"], min_truth_size=least)
                if scores["n_true"] >= LEAST_OBJECTS:
                    yield Window(*pieces, scores["aji"])


def panels(window: Window) -> list[np.ndarray]:
    """Return the image, the objects in colours, and the errors: found in red, missed in yellow."""
    low, high = np.percentile(window.image, (1, 99.8))
    grey = np.clip((window.image - low) / max(float(high - low), 1e-12), 0, 1)
    plain = np.repeat(grey[..., None], 3, axis=2)
    found = label2rgb(window.labels, grey, alpha=0.4, bg_label=0)
    errors = plain.copy()
    for labels, partner, color in (
        (window.truth, window.labels, YELLOW),
        (window.labels, window.truth, RED),
    ):
        right = matched(labels, partner)[labels] | (labels == 0)
        outlines = find_boundaries(labels, mode="inner")
        errors[outlines & ~right] = color
        errors[outlines & right & (labels > 0)] = GREY
    return [plain, found, errors]


def picture(model: str, data: Path, side: int) -> Image.Image:
    """Return the best window of a model above the worst."""
    ordered = sorted(windows(model, data, side), key=lambda window: window.score)
    rows = [panels(ordered[-1]), panels(ordered[0])]
    gap = 6
    sheet = Image.new("RGB", (3 * (PANEL + gap) - gap, 2 * (PANEL + gap) - gap), "white")
    for row, columns in enumerate(rows):
        for column, panel in enumerate(columns):
            pixels = Image.fromarray((255 * np.clip(panel, 0, 1)).astype(np.uint8))
            place: Any = (column * (PANEL + gap), row * (PANEL + gap))
            sheet.paste(pixels.resize((PANEL, PANEL), Image.Resampling.BILINEAR), place)
    return sheet


#: The side of the windows in pixels; no pictures of BBBC050, whose licence is not sure.
MODELS = {
    "nuclei": 200,
    "cells": 340,
    "neurons-em": 125,
    "nuclei-lsim": 200,
    "neurons-em-lsim": 125,
}
