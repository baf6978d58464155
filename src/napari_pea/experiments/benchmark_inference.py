"""How long segmenting takes, how much memory it needs, and what tiling costs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.experiments.processes import fresh_process, memory
from napari_pea.sample_data import load_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.networks import EmbeddingNetwork
    from napari_pea.models.model import Model

#: The sizes that are reported.
SMALL, LARGE = (520, 696), (4096, 4096)


def measure(
    model: str | Path,
    device: str = "cpu",
    *,
    shapes: Sequence[tuple[int, int]] = (SMALL, LARGE),
    repeats: int = 7,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Measure a model on images made from the sample.

    Parameters
    ----------
    model : str or Path
        A name from `list_models`, or a model file.
    device : str
        Where to compute.
    shapes : sequence of (int, int)
        Sizes of the images in pixels; each is measured in a fresh process.
    repeats : int
        How often prediction and bare network are timed, in turn.
    progress : callable
        Told the measurements done and in all.
    cancel : CancelToken, optional
        Checked all the time while images are segmented.

    Returns
    -------
    dict
        ``model``, ``device``, ``threads``, ``overhead`` (see `measure_overhead`) and
        ``images``, a list with the result of `measure_segmentation` for each shape.

    Raises
    ------
    InputError
        If the model or the device does not exist, or memory runs out.
    """
    import torch

    from napari_pea.models.catalogue import load_model

    if repeats < 1:
        raise InputError(f"Something is timed at least once, not {repeats} times.")
    loaded = load_model(model, device)
    total = len(shapes) + 1
    progress(0, total)
    overhead = measure_overhead(loaded, sample_image(SMALL), repeats)
    images = []
    for done, shape in enumerate(shapes, start=1):
        check_cancel(cancel)
        progress(done, total)
        images.append(_in_fresh_process(str(model), device, shape, cancel))
    progress(total, total)
    return {
        "model": loaded.name,
        "device": str(loaded.device),
        "threads": torch.get_num_threads(),
        "overhead": overhead,
        "images": images,
    }


def sample_image(shape: tuple[int, int]) -> NDArray[Any]:
    """Return the sample image, repeated and cut to a size."""
    image = load_sample("nuclei").image
    times = [-(-wanted // size) for wanted, size in zip(shape, image.shape, strict=True)]
    return np.tile(image, times)[: shape[0], : shape[1]]


def measure_overhead(model: Model, image: NDArray[Any], repeats: int) -> dict[str, Any]:
    """Compare prediction with the bare forward pass of the network.

    Both are timed in turn, so that what else the machine does meets both alike. The bare
    pass has its input ready: padded, on the device, in the best memory layout.

    Returns
    -------
    dict
        ``forward_seconds``, ``predict_seconds`` and the ``ratio`` of each turn, all as
        medians over the ``repeats``.
    """
    import torch

    from napari_pea.core.device import autocast
    from napari_pea.core.image import prepare_image
    from napari_pea.core.predict import predict
    from napari_pea.core.tiling import pad_to_multiple

    network, device = model.network, model.device
    channels = model.metadata.normalization(prepare_image(image, network.in_channels, network.ndim))
    padded = pad_to_multiple(channels, network.divisor)
    batch = torch.from_numpy(padded)[None].to(device, memory_format=torch.channels_last)

    def forward() -> None:
        with torch.inference_mode(), autocast(device):
            network(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def whole() -> None:
        predict(cast("EmbeddingNetwork", network), channels, device=device)

    forward()
    whole()
    timed = [(_seconds(forward), _seconds(whole)) for _ in range(repeats)]
    bare, predicted = (median(column) for column in zip(*timed, strict=True))
    return {
        "forward_seconds": bare,
        "predict_seconds": predicted,
        "ratio": median(second / first for first, second in timed),
        "repeats": repeats,
    }


def measure_segmentation(model: str, device: str, shape: tuple[int, int]) -> dict[str, Any]:
    """Segment one image and report time and memory of this process.

    The first run on a small image warms up what is loaded on first use.

    Returns
    -------
    dict
        ``shape``, ``embed_seconds`` (the network), ``segment_seconds`` (everything),
        ``objects``, ``peak_mb`` (the most memory this process ever held, in 10^6 bytes)
        and ``program_mb`` (the same before the image; None where it is not known).
    """
    from napari_pea.core.segmenter import Segmenter
    from napari_pea.models.catalogue import load_model

    loaded = load_model(model, device)
    Segmenter(loaded, sample_image((256, 256))).segment()
    image = sample_image(shape)
    before = peak_memory()
    segmenter = Segmenter(loaded, image)
    embed_seconds = _seconds(segmenter.evidence)
    started = time.perf_counter()
    result = segmenter.segment()
    rest = time.perf_counter() - started
    return {
        "shape": list(shape),
        "embed_seconds": embed_seconds,
        "segment_seconds": embed_seconds + rest,
        "objects": len(result.table),
        "peak_mb": peak_memory(),
        "program_mb": before,
    }


def peak_memory() -> float | None:
    """Return the most memory that this process ever held, in 10^6 bytes, if it is known."""
    held = memory("VmHWM")
    if held is not None:
        return held / 1e6
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return None


def _in_fresh_process(
    model: str, device: str, shape: tuple[int, int], cancel: CancelToken | None
) -> dict[str, Any]:
    """Run `measure_segmentation` in a process that has done nothing else."""
    try:
        with fresh_process(_report, model, device, shape, cancel=cancel) as receive:
            figures: dict[str, Any] = receive()
    except EOFError as error:
        raise InputError(
            f"The measurement of {shape[0]} × {shape[1]} pixels ended early, most likely "
            "because memory ran out."
        ) from error
    return figures


def _report(
    send: Callable[[dict[str, Any]], None], model: str, device: str, shape: tuple[int, int]
) -> None:
    """Measure and send the figures."""
    send(measure_segmentation(model, device, shape))


def _seconds(job: Any) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started
