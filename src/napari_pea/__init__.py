"""Interactive instance segmentation by pixel-embedded affinity.

Importing the package is quick: what is named below is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_pea.api import segment, train
    from napari_pea.core.errors import InputError
    from napari_pea.core.metrics import evaluate
    from napari_pea.core.mutex import mutex_watershed
    from napari_pea.core.neighborhood import Neighborhood
    from napari_pea.core.predict import Embedding
    from napari_pea.core.segmentation import Segmentation
    from napari_pea.core.segmenter import Segmenter
    from napari_pea.core.settings import SegmentationSettings
    from napari_pea.models.catalogue import list_models, load_model
    from napari_pea.models.model import Model
    from napari_pea.training.settings import TrainingSettings

__all__ = [
    "Embedding",
    "InputError",
    "Model",
    "Neighborhood",
    "Segmentation",
    "SegmentationSettings",
    "Segmenter",
    "TrainingSettings",
    "evaluate",
    "list_models",
    "load_model",
    "mutex_watershed",
    "segment",
    "train",
]

_HOMES = {
    "Embedding": "core.predict",
    "InputError": "core.errors",
    "Model": "models.model",
    "Neighborhood": "core.neighborhood",
    "Segmentation": "core.segmentation",
    "SegmentationSettings": "core.settings",
    "Segmenter": "core.segmenter",
    "TrainingSettings": "training.settings",
    "evaluate": "core.metrics",
    "list_models": "models.catalogue",
    "load_model": "models.catalogue",
    "mutex_watershed": "core.mutex",
    "segment": "api",
    "train": "api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # most of the time of importing the package

        return version("napari-pea")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
