"""The recipe of the shipped model `nuclei`.

Run it with ``python -m napari_pea.experiments.nuclei DATA RUN``; started again on the same
folder it goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from skimage.morphology import remove_small_objects

from napari_pea.core.device import choose_device
from napari_pea.core.networks import build_network
from napari_pea.core.normalization import Normalization
from napari_pea.experiments.datasets import BBBC039_SMALLEST, Pair, bbbc039, dsb2018, read_pairs
from napari_pea.training.checkpoint import CHECKPOINT_NAME
from napari_pea.training.data import AnnotatedImage
from napari_pea.training.settings import (
    AugmentationSettings,
    ObjectiveSettings,
    TrainingSettings,
)
from napari_pea.training.trainer import Trainer

logger = logging.getLogger(__name__)

ARCHITECTURE = "resunet2d"
ARGUMENTS = {
    "in_channels": 1,
    "embedding_dim": 16,
    "widths": (16, 24, 48, 96, 192),
    "full_resolution_skip": True,
}
NORMALIZATION = Normalization("percentile", 1.0, 99.8)
SETTINGS = TrainingSettings(
    iterations=5500,
    objective=ObjectiveSettings(ranges=(1, 3, 5, 9, 15, 27), cross_weight=0.0),
    augmentation=AugmentationSettings(scale=(0.7, 1.4)),
)
#: How often a crop comes from BBBC039; the rest comes from dsb2018.
BBBC039_SHARE = 0.55


def load(pairs: Sequence[Pair], weight: float, smallest: int = 0) -> list[AnnotatedImage]:
    """Read and normalise pairs that share `weight` among them."""
    items = []
    for image, labels in read_pairs(pairs):
        grey = image if image.ndim == 2 else image[..., :3].mean(axis=-1)
        if smallest:
            labels = remove_small_objects(labels, max_size=smallest - 1)
        items.append(AnnotatedImage(NORMALIZATION(grey[None]), labels, weight / len(pairs)))
    return items


def main(data: Path, run: Path) -> None:
    """Train the model, or go on training it."""
    training = load(bbbc039(data / "bbbc039", "training"), BBBC039_SHARE, BBBC039_SMALLEST)
    training += load(dsb2018(data / "dsb2018", "training"), 1 - BBBC039_SHARE)
    validation = load(bbbc039(data / "bbbc039", "validation"), 1.0, BBBC039_SMALLEST)
    validation += load(dsb2018(data / "dsb2018", "validation"), 1.0)
    torch.manual_seed(SETTINGS.seed)
    network = build_network(ARCHITECTURE, ARGUMENTS)
    trainer = Trainer(
        network, training, SETTINGS, folder=run, validation=validation, device=choose_device()
    )
    if (run / CHECKPOINT_NAME).exists():
        trainer.resume()

    def report(done: int, total: int) -> None:
        if done % 50 == 0:
            loss = trainer.history.rows[-1]["loss"] if trainer.history.rows else np.nan
            logger.info("%d / %d, loss %.4g", done, total, loss)

    trainer.run(progress=report)


if __name__ == "__main__":
    import sys

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
