"""How long the Mutex Watershed takes and how much memory it needs, beside other packages."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.experiments.processes import fresh_process, memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The neighborhoods of images, by their number of channels, and that of volumes.
IMAGES = {
    10: Neighborhood((1, 3, 5, 9, 11), 4),
    18: Neighborhood((1, 3, 5, 7, 9, 11, 15, 19, 27), 4),
    36: Neighborhood((1, 3, 5, 7, 9, 11, 15, 19, 27), 8),
}
VOLUMES = Neighborhood((1, 3, 9, 27), None, 3, (1, 2, 3, 4))
#: What is measured when nothing else is asked for.
SIZES, VOLUME = (256, 512, 1024, 2048, 4096), (64, 256, 256)
#: Sources of embeddings; see `embedding_of`.
SOURCES = ("objects", "field", "nuclei")
#: Other packages that are compared with.
OTHERS = ("bioimage-cpp", "mwatershed")
#: The dimension of made embeddings.
DEPTH = 16


@dataclass(frozen=True)
class Case:
    """One problem to be solved in every way.

    Attributes
    ----------
    source : str
        One of `SOURCES`.
    shape : tuple of int
        Of the image or volume.
    neighborhood : Neighborhood
        The pairs.
    """

    source: str
    shape: tuple[int, ...]
    neighborhood: Neighborhood

    @property
    def n_channels(self) -> int:
        """Number of affinities of each pixel."""
        return len(self.neighborhood.offset_list)


def measure(
    *,
    sizes: Sequence[int] = SIZES,
    channels: Sequence[int] = tuple(IMAGES),
    sources: Sequence[str] = SOURCES,
    volume: tuple[int, int, int] | None = VOLUME,
    data: Path | None = None,
    repeats: int = 3,
    limit: float = 600.0,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Solve problems of growing size with our own kernel and with other packages.

    Every problem is solved in a process of its own, all ways one after the other, so that
    what else the machine does meets them alike.

    Parameters
    ----------
    sizes : sequence of int
        Edges of square images in pixels.
    channels : sequence of int
        Numbers of affinities, keys of `IMAGES`.
    sources : sequence of str
        Of `SOURCES`.
    volume : tuple of int, optional
        Shape of a volume; None for none.
    data : Path, optional
        Folder that holds the folder bbbc039: its validation images are then used for the
        source "nuclei", instead of the sample image.
    repeats : int
        How often each is timed; the shortest time counts. Other packages are timed once if
        that takes longer than a few seconds.
    limit : float
        Seconds; what is expected to take longer is left out.
    progress : callable
        Told the problems solved and how many there are.
    cancel : CancelToken, optional
        Checked all the time.

    Returns
    -------
    dict
        ``cases``: a list with the result of `measure_case` for each problem.

    Raises
    ------
    InputError
        If there is no such source or number of channels.
    """
    if unknown := [name for name in sources if name not in SOURCES]:
        raise InputError(f"There is no source {unknown[0]!r}: use {', '.join(SOURCES)}.")
    if wrong := [number for number in channels if number not in IMAGES]:
        raise InputError(
            f"There is no neighborhood of {wrong[0]} channels: use {', '.join(map(str, IMAGES))}."
        )
    if repeats < 1 or min(sizes, default=1) < 1:
        raise InputError("Repeats and sizes must be at least 1.")
    cases = [
        Case(source, (size, size), IMAGES[number])
        for source in sources
        for number in channels
        for size in sorted(sizes)
    ]
    if volume is not None:
        cases += [Case(source, volume, VOLUMES) for source in sources if source != "nuclei"]
    tile = _embedded(data) if any(case.source == "nuclei" for case in cases) else None
    found: list[dict[str, Any]] = []
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for done, case in enumerate(cases):
        progress(done, len(cases))
        family = f"{case.source} {case.n_channels}"
        needs = {name: known[family, name] for name in OTHERS if (family, name) in known}
        row = _in_fresh_process(case, tile, repeats, limit, needs, cancel)
        for name in OTHERS:
            if row["ways"].get(name, {}).get("seconds"):
                known[family, name] = row["ways"][name] | {"pixels": row["pixels"]}
        found.append(row)
    progress(len(cases), len(cases))
    return {"cases": found}


def embedding_of(
    source: str, shape: tuple[int, ...], tile: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return an embedding to be partitioned, of unit length, pixel by pixel in memory.

    Parameters
    ----------
    source : str
        "objects": cells of about 600 pixels (8000 voxels) nearest to random points, each with a
        random vector, blurred with a sigma of 1 pixel, plus noise of 0.25 in each component.
        "field": no objects at all, but white noise smoothed with a sigma of 2 pixels.
        "nuclei": `tile`, repeated.
    shape : tuple of int
        Of the image.
    tile : array of float32, shape (D, y, x), optional
        An embedding of the shipped model.

    Returns
    -------
    array of float32, shape (D, *shape)
    """
    from scipy import ndimage

    from napari_pea.core.affinity import pixel_major, unit_vectors

    if source == "nuclei":
        if tile is None:
            raise InputError("An embedding of nuclei is made from one of the shipped model.")
        times = [-(-wanted // size) for wanted, size in zip(shape, tile.shape[1:], strict=True)]
        return pixel_major(np.tile(tile, (1, *times))[:, : shape[0], : shape[1]])
    rng = np.random.default_rng(0)
    if source == "field":
        vectors = rng.standard_normal((DEPTH, *shape), dtype=np.float32)
        for part in vectors:
            ndimage.gaussian_filter(part, 2, output=part)
        return pixel_major(unit_vectors(vectors))
    n_pixels = int(np.prod(shape))
    n_objects = max(2, n_pixels // (600 if len(shape) == 2 else 8000))
    elsewhere = np.ones(n_pixels, dtype=bool)
    elsewhere[rng.choice(n_pixels, min(n_objects, n_pixels), replace=False)] = False
    nearest = ndimage.distance_transform_edt(
        elsewhere.reshape(shape), return_distances=False, return_indices=True
    )
    _, objects = np.unique(np.ravel_multi_index(tuple(nearest), shape), return_inverse=True)
    lookup = rng.standard_normal((DEPTH, n_objects), dtype=np.float32)
    vectors = np.empty((DEPTH, *shape), dtype=np.float32)
    for part, values in zip(vectors, lookup, strict=True):
        ndimage.gaussian_filter(values[objects].reshape(shape), 1, output=part)
        part += np.float32(0.25) * rng.standard_normal(shape, dtype=np.float32)
    return pixel_major(unit_vectors(vectors))


def measure_case(
    case: Case,
    tile: NDArray[np.float32] | None = None,
    *,
    repeats: int = 3,
    limit: float = 600.0,
    needs: dict[str, dict[str, Any]] | None = None,
    tell: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, Any]:
    """Solve one problem in every way.

    Parameters
    ----------
    case : Case
        The problem.
    tile : array of float32, shape (D, y, x), optional
        See `embedding_of`.
    repeats, limit
        See `measure`.
    needs : dict, optional
        What other packages needed for a smaller problem of the kind.
    tell : callable
        Given the result so far before each way is tried.

    Returns
    -------
    dict
        ``source``, ``shape``, ``pixels``, ``channels``, ``objects`` and ``ways``: for each way
        ``seconds``; ``bytes``, the memory needed at the peak beyond the inputs for each pixel
        (None where it cannot be measured); ``same``, the share of our objects that are objects
        there, pixel by pixel; or ``why`` it is left out. The ways are "ours", "2 threads",
        "embedding" and `OTHERS`.
    """
    from napari_pea.core.affinity import embedding_affinities
    from napari_pea.core.mutex import embedding_mutex_watershed, mutex_watershed

    offsets, n_attract = case.neighborhood.offset_list, case.neighborhood.n_attractive
    vectors = embedding_of(case.source, case.shape, tile)
    affinities = embedding_affinities(vectors, offsets)
    solve = partial(mutex_watershed, offsets=offsets, n_attractive=n_attract)
    ways: dict[str, tuple[Callable[..., NDArray[np.uint32]], NDArray[np.float32]]] = {
        "ours": (solve, affinities),
        "2 threads": (partial(solve, threads=2), affinities),
        "embedding": (
            partial(embedding_mutex_watershed, offsets=offsets, n_attractive=n_attract),
            vectors,
        ),
        **{name: (partial(solve, backend=name), affinities) for name in OTHERS},
    }
    n_pixels = int(np.prod(case.shape))
    row: dict[str, Any] = {
        "source": case.source,
        "shape": list(case.shape),
        "pixels": n_pixels,
        "channels": case.n_channels,
        "ways": {},
    }
    first = None
    for name, (function, given) in ways.items():
        seen = (needs or {}).get(name)
        why = None if seen is None else _expected(seen, n_pixels, limit)
        if why:
            row["ways"][name] = {"why": why}
            continue
        tell(row | {"trying": name})
        small = (slice(None), *(slice(0, 8) for _ in case.shape))
        try:
            function(given[small])  # compiled, and its library loaded
            labels, seconds, peak = _solved(function, given, repeats)
        except MemoryError:
            row["ways"][name] = {"why": "no memory"}
            continue
        except InputError as error:  # a package is not installed
            row["ways"][name] = {"why": "not installed", "message": str(error)}
            continue
        first = labels if first is None else first
        row["objects"] = int(first.max(initial=0))
        row["ways"][name] = {
            "seconds": seconds,
            "bytes": None if peak is None else peak / n_pixels,
            "same": same_objects(first, labels),
        }
    return row


def same_objects(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> float:
    """Return which share of the objects of one partition are objects of another."""
    if first.size == 0:
        return 1.0
    both = first.astype(np.uint64) << np.uint64(32) | second
    pairs, common = np.unique(both, return_counts=True)
    ours, theirs = pairs >> np.uint64(32), pairs & np.uint64(2**32 - 1)
    same = (common == np.bincount(first.ravel())[ours.astype(np.intp)]) & (
        common == np.bincount(second.ravel())[theirs.astype(np.intp)]
    )
    return float(same.sum() / len(np.unique(first)))


def _solved(
    function: Callable[..., NDArray[np.uint32]], given: NDArray[np.float32], repeats: int
) -> tuple[NDArray[np.uint32], float, int | None]:
    """Return labels, the shortest time in seconds, and the bytes needed beyond the inputs."""
    before = _reset_peak()
    started = time.perf_counter()
    labels = function(given)
    best = time.perf_counter() - started
    most = None if before is None else memory("VmHWM")
    peak = None if before is None or most is None else max(0, most - before)
    for _ in range(repeats - 1 if best < 5 else 0):
        started = time.perf_counter()
        function(given)
        best = min(best, time.perf_counter() - started)
    return labels, best, peak


def _reset_peak() -> int | None:
    """Forget how much memory this process used at most; return how much it uses, in bytes."""
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before does not count as used
        Path("/proc/self/clear_refs").write_text("5")
        return memory("VmRSS")
    return None


def _expected(seen: dict[str, Any], n_pixels: int, limit: float) -> str | None:
    """Return why a larger problem is not tried; None if it is."""
    times = n_pixels / seen["pixels"]
    free = _free_memory()
    if seen["bytes"] is not None and free is not None and seen["bytes"] * n_pixels > free:
        return "no memory"
    return "too long" if seen["seconds"] * times > limit else None


def _free_memory() -> int | None:
    """Return how many bytes of memory are free on this machine."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if "MemAvailable" in line)
    return None


def _embedded(data: Path | None) -> NDArray[np.float32]:
    """Return what the shipped model makes of the sample image, or of images side by side."""
    from napari_pea.experiments.datasets import bbbc039, read_pairs
    from napari_pea.models.catalogue import load_model
    from napari_pea.sample_data import load_sample

    model = load_model("nuclei", "cpu")
    if data is None:
        return np.asarray(model.embed(load_sample("nuclei").image).vectors, dtype=np.float32)
    images = [image for image, _ in read_pairs(bbbc039(data / "bbbc039", "validation")[:4])]
    rows = [np.asarray(model.embed(image).vectors, dtype=np.float32) for image in images]
    height = min(part.shape[1] for part in rows)
    return np.concatenate([part[:, :height] for part in rows], axis=2)


def _in_fresh_process(
    case: Case,
    tile: NDArray[np.float32] | None,
    repeats: int,
    limit: float,
    needs: dict[str, dict[str, Any]],
    cancel: CancelToken | None,
) -> dict[str, Any]:
    """Run `measure_case` in a process that has done nothing else, even if it does not survive."""
    lost: dict[str, dict[str, Any]] = {}
    while True:
        tile_here = tile if case.source == "nuclei" else None
        row: dict[str, Any] = {}
        try:
            with fresh_process(
                _report, case, tile_here, repeats, limit, needs, cancel=cancel
            ) as receive:
                while "trying" in row or not row:
                    row = receive()
        except EOFError as error:
            trying = row.get("trying")
            if trying not in OTHERS:
                raise InputError(
                    f"The measurement of {' × '.join(map(str, case.shape))} pixels ended early, "
                    "most likely because memory ran out: leave this size out."
                ) from error
            # Killed for its memory: the others go on without it.
            lost[trying] = {"why": "no memory"}
            needs = needs | {trying: {"pixels": 1, "bytes": np.inf, "seconds": 0.0}}
            continue
        row["ways"].update(lost)
        return row


def _report(send: Callable[[dict[str, Any]], None], case: Case, *arguments: Any) -> None:
    """Measure and send the figures, and what is being tried."""
    tile, repeats, limit, needs = arguments
    send(measure_case(case, tile, repeats=repeats, limit=limit, needs=needs, tell=send))
