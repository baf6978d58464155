"""The table of the objects, as napari shows it and saves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.certainty import certainty

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_pea.widgets.sources import ImagePart


def layer_features(table: pd.DataFrame, source: Image, part: ImagePart) -> pd.DataFrame:
    """Return the features of a labels layer, in the units of its world.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for each object, in pixels: see `napari_pea.core.table.region_table`. It may
        have further columns; ``plane`` is the position along the first plane axis of
        `part`.
    source : napari.layers.Image
        The image that was segmented.
    part : ImagePart
        Which part of it.

    Returns
    -------
    pandas.DataFrame
        The columns

        - ``index``: the id of the object, by which napari finds its row,
        - ``area`` (of volumes: the volume) and ``equivalent_diameter``,
        - ``centroid-0``, …: one for each axis of the labels layer, in world coordinates,
        - ``unit``: the unit of length of the above, such as "micrometer" or "pixel",
        - the others of `table` as they are, and ``certainty`` if it can be told.
    """
    axes = part.plane_axes
    linear, offset = _to_world(source)
    in_plane = linear[:, axes]
    sides = np.linalg.norm(in_plane, axis=0)
    upright = in_plane / sides
    # The world's picture of a pixel: a parallelogram if the image is sheared.
    pixel_area = float(sides.prod() * np.sqrt(np.linalg.det(upright.T @ upright)))
    places = np.zeros((len(table), source.ndim))
    for axis, position in part.plane:
        places[:, axis] = position
    if "plane" in table and part.plane:
        places[:, part.plane[0][0]] = table["plane"]
    for n, (axis, first) in enumerate(zip(axes, part.start, strict=True)):
        places[:, axis] = table[f"centroid-{n}"] + first
    world = places @ linear.T + offset
    columns: dict[str, Any] = {
        "index": table["label"],
        "area": table["area"] * pixel_area,
        **{f"centroid-{n}": world[:, axis] for n, axis in enumerate(part.kept_axes)},
        "equivalent_diameter": table["equivalent_diameter"] * pixel_area ** (1 / len(axes)),
        "unit": " × ".join(dict.fromkeys(str(source.units[axis]) for axis in axes)),
    }
    done = {"label", *columns, *(f"centroid-{n}" for n in range(len(axes)))}
    columns |= {str(name): table[name] for name in table.columns if name not in done}
    sure = certainty(table)
    if sure is not None:
        columns["certainty"] = sure
    from pandas import DataFrame  # not needed to open the dock

    return DataFrame(columns, index=table.index)


def _to_world(layer: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return matrix and shift that lead from data pixels to the world."""
    from napari.utils.transforms import Affine

    place = Affine(
        scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear
    )
    matrix = layer.affine.affine_matrix @ place.affine_matrix
    return matrix[:-1, :-1], matrix[:-1, -1]
