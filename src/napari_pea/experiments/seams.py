"""Whether the faces of blocks show in labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def share_on_faces(
    labels: NDArray[np.integer], block_shape: Sequence[int], start: Sequence[int] | None = None
) -> dict[str, float]:
    """Compare the borders of objects on the faces of blocks with those elsewhere.

    For each plane between two layers of pixels, the share of pixel pairs across it that lie in
    two objects, or in an object and the background.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Labels, or a part of them.
    block_shape : sequence of int
        Sides of the blocks.
    start : sequence of int, optional
        Where the part begins.

    Returns
    -------
    dict
        ``faces`` and ``elsewhere``, the mean shares; ``ratio`` of the two; ``deviations``, by how
        many standard errors the mean on faces lies above that elsewhere: chance stays below 2
        or 3.
    """
    begins = start or [0] * labels.ndim
    excess, faces, elsewhere = [], [], []
    for axis, (side, begin) in enumerate(zip(block_shape, begins, strict=True)):
        shares = _shares(labels, axis)
        is_face = (np.arange(len(shares)) + begin + 1) % side == 0
        if not is_face.any() or is_face.all():
            continue
        # Axes differ: sections may be far apart.
        excess.append((shares[is_face] - shares[~is_face].mean(), shares[~is_face].std()))
        faces.append(shares[is_face])
        elsewhere.append(np.full(is_face.sum(), shares[~is_face].mean()))
    if not faces:
        return dict.fromkeys(("faces", "elsewhere", "ratio", "deviations"), float("nan"))
    on, off = np.concatenate(faces).mean(), np.concatenate(elsewhere).mean()
    total = sum(above.sum() for above, _ in excess)
    spread = np.sqrt(sum(len(above) * error**2 for above, error in excess))
    return {
        "faces": float(on),
        "elsewhere": float(off),
        "ratio": float(on / off) if off else float("nan"),
        "deviations": float(total / spread) if spread else 0.0,
    }


def _shares(labels: NDArray[Any], axis: int) -> NDArray[np.float64]:
    """Return the share of differing pairs between a layer and the next, for each layer but one."""
    layers = np.moveaxis(labels, axis, 0)
    return np.array([np.mean(here != there) for here, there in pairwise(layers)])
