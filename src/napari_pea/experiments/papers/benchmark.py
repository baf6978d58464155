"""Data of a table, and how models are made and used on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.settings import ObjectiveSettings


@dataclass(frozen=True)
class Benchmark:
    """Data of a table, and how models are made and used on them.

    Attributes
    ----------
    name : str
        That of the folder with its runs.
    note : str
        What the reader of a table has to know about the data.
    training, held_out : sequence of LabelledImage
        Images to learn from and to score on; the group of the first scored one is the main one.
    model : ModelMetadata
        The network of the paper for these images, and the settings of the authors.
    objective : ObjectiveSettings
        That of the paper: SCM, CCM and EPM.
    given_foreground : bool
        Whether objects are looked for in the true foreground, as the authors do on CVPPP.
    settings : dict
        Values of `TrainingSettings` that suit the images on a processor.
    published_crops : dict of str to int
        How many crops the authors take for a step, and their sides (methods A7, A8).
    """

    name: str
    note: str
    training: Sequence[LabelledImage]
    held_out: Sequence[LabelledImage]
    model: ModelMetadata
    objective: ObjectiveSettings
    given_foreground: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    published_crops: Mapping[str, int] = field(default_factory=dict)
