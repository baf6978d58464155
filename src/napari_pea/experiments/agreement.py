"""Whether blockwise segmentation gives what segmentation in memory gives."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_pea.core.metrics import evaluate
from napari_pea.core.partition import partition_embedding
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.refine import refine
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.datasets import bbbc039, flyem, read_pairs, read_volume
from napari_pea.experiments.seams import share_on_faces
from napari_pea.models.catalogue import load_model
from napari_pea.volumes.grid import Region
from napari_pea.volumes.job import VolumeOptions, segment_volume
from napari_pea.volumes.sources import EmbeddingSource, ModelSource

#: Side of the mosaic of nuclei in pixels.
SIDE = 4096
#: Sides of the blocks: of the mosaic, and of the neurons.
BLOCKS_2D, BLOCKS_3D = (1024, 1024), (16, 128, 128)
#: How noisy and how blurred the embedding made from the truth is.
NOISE, BLUR = 0.15, 1.0
NEURONS = SegmentationSettings(ranges=(1, 3, 9), strides=1, min_size=500, merge_fragments=False)


class TruthSource:
    """Embeds labels: a random vector for each object, blurred at borders, with noise.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        The truth; its background has a vector too.
    seed : int
        Of vectors and noise.

    Attributes
    ----------
    shape : tuple of int
        The shape of the labels.
    """

    def __init__(self, labels: NDArray[np.integer], seed: int = 0) -> None:
        draw = np.random.default_rng(seed)
        words = draw.standard_normal((16, int(labels.max()) + 1), dtype=np.float32)
        words /= np.linalg.norm(words, axis=0)
        self.shape = labels.shape
        self._vectors = np.empty((16, *labels.shape), np.float32)
        for component, word in zip(self._vectors, words, strict=True):
            ndimage.gaussian_filter(word[labels], BLUR, output=component)
            component += NOISE * draw.standard_normal(labels.shape, dtype=np.float32)
        self._vectors /= np.linalg.norm(self._vectors, axis=0)

    @property
    def identity(self) -> dict[str, Any]:
        """Nothing but the shape."""
        return {"image": "truth", "shape": list(self.shape)}

    def __call__(self, region: Region, *, cancel: CancelToken | None = None) -> Embedding:
        """Return the embedding of a region; there is no background."""
        return Embedding(self._vectors[(slice(None), *region)], None)


def measure_agreement(
    data: Path,
    *,
    model: str = "nuclei",
    neurons: str | None = None,
    side: int = SIDE,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, dict[str, Any]]:
    """Segment a mosaic of nuclei and a block of neurons both ways.

    Parameters
    ----------
    data : Path
        Holds the folders bbbc039 and flyem.
    model : str
        For the nuclei.
    neurons : str, optional
        A model for the neurons; by default their embedding is made from the truth.
    side : int
        Of the mosaic, in pixels.
    progress : callable
        Told the steps done and in all.
    cancel : CancelToken, optional
        Checked now and then.

    Returns
    -------
    dict
        ``nuclei`` and ``neurons``, each a result of `compare`.

    Raises
    ------
    InputError
        If data or models cannot be read.
    Cancelled
        If `cancel` was set.
    """
    progress(0, 2)
    loaded = load_model(model)
    found = {
        "nuclei": compare(
            ModelSource(loaded, mosaic(data / "bbbc039", side)),
            loaded.recommended,
            BLOCKS_2D,
            cancel=cancel,
        )
    }
    progress(1, 2)
    image, truth = read_volume(flyem(data / "flyem", "validation"))
    source: EmbeddingSource = TruthSource(truth)
    settings = NEURONS
    if neurons is not None:
        loaded = load_model(neurons)
        source, settings = ModelSource(loaded, image), loaded.recommended
    found["neurons"] = compare(source, settings, BLOCKS_3D, cancel=cancel)
    progress(2, 2)
    return found


def mosaic(folder: Path, side: int, split: str = "validation") -> NDArray[np.uint16]:
    """Return a square of images of BBBC039, side by side.

    Parameters
    ----------
    folder : Path
        Holds the data set.
    side : int
        In pixels.
    split : str
        Which images to take.
    """
    images = [image for image, _ in read_pairs(bbbc039(folder, split))]
    height, width = images[0].shape
    across, down = -(-side // width), -(-side // height)
    rows = [
        np.concatenate([images[(row * across + n) % len(images)] for n in range(across)], axis=1)
        for row in range(down)
    ]
    whole = np.concatenate(rows)[:side, :side]
    return np.ascontiguousarray(whole, dtype=np.uint16)


def compare(
    source: EmbeddingSource,
    settings: SegmentationSettings,
    block: tuple[int, ...],
    *,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Segment an array in memory and in blocks.

    Parameters
    ----------
    source : EmbeddingSource
        Embeds regions of the array.
    settings : SegmentationSettings
        How to segment.
    block : tuple of int
        Sides of the blocks.
    cancel : CancelToken, optional
        Checked now and then.

    Returns
    -------
    dict
        ``shape``; ``arand`` of the two results; ``objects_whole``, ``objects_blocks`` and
        ``blocks``; ``faces``, see `napari_pea.experiments.seams.share_on_faces`, and
        ``faces_whole``, the same of the labels in memory, for which the faces are any planes.
    """
    with TemporaryDirectory() as folder:
        result = segment_volume(
            source, Path(folder) / "blocks.zarr", settings, VolumeOptions(block), cancel=cancel
        )
        labels = np.asarray(result.levels()[0])
    whole = in_memory(source, settings, cancel=cancel)
    return {
        "shape": list(labels.shape),
        "arand": evaluate(labels, whole, ["arand"])["arand"],
        "objects_whole": int(whole.max()),
        "objects_blocks": result.n_objects,
        "blocks": result.n_blocks,
        "faces": share_on_faces(labels, block),
        "faces_whole": share_on_faces(whole, block),
    }


def in_memory(
    source: EmbeddingSource,
    settings: SegmentationSettings,
    *,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Return the labels of a whole array, as `napari_pea.Segmenter` finds them."""
    embedding = source(tuple(slice(0, size) for size in source.shape), cancel=cancel)
    check_cancel(cancel)
    pieces = partition_embedding(
        embedding.vectors,
        settings.neighborhood(len(source.shape)),
        settings,
        embedding.foreground,
        cancel=cancel,
    )
    return refine(pieces, settings, evidence=embedding, cancel=cancel)
