"""A picture of what happens between an image and its labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Colour of the outlines, as red, green and blue.
OUTLINE = (1.0, 0.85, 0.1)
#: Dots per inch; each panel is 5 inches wide.
DPI = 150


def save_overview(
    path: Path, image: NDArray[Any], colors: NDArray[np.floating], labels: NDArray[np.integer]
) -> None:
    """Draw image, embedding and labels side by side.

    Parameters
    ----------
    path : Path
        The PNG to write.
    image : array, shape (Y, X)
        Raw intensities.
    colors : array of float, shape (Y, X, 3)
        The embedding (see `napari_pea.core.colors.embedding_colors`).
    labels : array of int, shape (Y, X)
        Object ids.

    Raises
    ------
    InputError
        If the picture cannot be saved.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from skimage.color import label2rgb
    from skimage.segmentation import find_boundaries

    low, high = np.percentile(image, (1, 99.8))
    grey = np.clip((image - low) / max(high - low, 1e-12), 0, 1)
    filled = label2rgb(labels, grey, alpha=0.35, bg_label=0)
    filled[find_boundaries(labels, mode="inner")] = OUTLINE
    panels = {
        "image": grey,
        "embedding (principal components)": colors,
        f"labels ({len(np.unique(labels[labels > 0]))} objects)": filled,
    }
    height = 5 * image.shape[0] / image.shape[1] + 0.4
    figure = Figure(figsize=(5 * len(panels), height), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, picture) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        axes.imshow(picture, cmap="gray", interpolation="nearest")
        axes.set_title(title)
        axes.set_axis_off()
    try:
        with atomic_write(path) as temporary:
            figure.savefig(temporary, dpi=DPI, format="png")
    except OSError as error:
        raise InputError(f"{path} could not be saved: {error.strerror or error}.") from error
