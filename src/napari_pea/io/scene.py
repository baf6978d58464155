"""Names in what a saved session says beside its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What tells where a layer lies.
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
#: How an image is shown.
DISPLAY = ("contrast_limits", "gamma", "opacity", "visible")
#: Kinds of images that a session may open by itself. Sessions come from strangers too, and napari
#: also opens files that run code.
IMAGES = frozenset(
    (
        *(".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".npy", ".zarr", ".n5"),
        *(".czi", ".nd2", ".lif", ".lsm", ".ims", ".oib", ".oif", ".vsi", ".dv", ".r3d", ".stk"),
        *(".zvi", ".mrc", ".map", ".h5", ".hdf", ".hdf5", ".svs", ".ndpi", ".scn", ".nii", ".gz"),
        *(".nrrd", ".mha", ".mhd", ".dcm", ".sldy", ".lof", ".xlif", ".qptiff", ".btf"),
    )
)


def only(names: tuple[str, ...], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of some names; others could be anything."""
    return {name: told[name] for name in names if name in told}
