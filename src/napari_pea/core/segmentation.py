"""What segmenting gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from napari_pea.core.settings import SegmentationSettings


@dataclass(frozen=True)
class Segmentation:
    """Labels and what they were made with.

    Attributes
    ----------
    labels : array of uint32, shape (*spatial)
        Object ids from 1; 0 is background.
    table : pandas.DataFrame
        One row for each object.
    settings : SegmentationSettings
        The settings used.
    model : str
        The name of the model.
    pieces : array of uint32, shape (*spatial), or None
        What the partition found, before the user's joins and before refining.
    """

    labels: NDArray[np.uint32]
    table: pd.DataFrame
    settings: SegmentationSettings
    model: str
    pieces: NDArray[np.uint32] | None = None

    def with_ids(self, ids: NDArray[np.uint32], labels: NDArray[np.uint32]) -> Segmentation:
        """Return the same objects with other ids.

        Parameters
        ----------
        ids : array of uint32
            The new id of each label.
        labels : array of uint32, shape (*spatial)
            ``ids[self.labels]``.
        """
        table = self.table.assign(label=ids[self.table["label"]])
        table = table.sort_values("label", ignore_index=True)
        return replace(self, labels=labels, table=table)
