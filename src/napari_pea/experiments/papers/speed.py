"""How large the networks are, how long they take for an image, and the memory they need."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_pea.core.device import choose_device
from napari_pea.core.errors import InputError
from napari_pea.core.masks.prediction import predict_masks
from napari_pea.core.networks import EmbeddingNetwork, MaskUNet, Network, build_network
from napari_pea.core.networks.base import count_parameters
from napari_pea.core.predict import predict
from napari_pea.core.progress import check_cancel
from napari_pea.experiments.benchmark_inference import peak_memory
from napari_pea.experiments.papers.neuron_benchmarks import SMALL_WIDTHS
from napari_pea.experiments.papers.published import SIZES
from napari_pea.experiments.papers.report import Line, Report
from napari_pea.experiments.papers.request import Request
from napari_pea.experiments.papers.shipped import LSIM_SUFFIX
from napari_pea.experiments.processes import fresh_process
from napari_pea.models.catalogue import list_models

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

#: A picture of CVPPP, a field of BBBC039, a crop of AC3 as the authors predict it, and blocks
#: of the size that the models for volumes are validated on. Those of masks see the same.
LEAVES, NUCLEI, SECTIONS = (3, 530, 500), (1, 520, 696), (1, 18, 160, 160)
SHIPPED_SHAPES = {"nuclei-3d": (1, 51, 124, 127), "neurons-em": (1, 30, 250, 250)}
#: What is timed, after one pass that is not.
REPEATS = 5
METRICS = ("parameters", "seconds", "memory")


@dataclass(frozen=True)
class Measured:
    """A network that is measured.

    Attributes
    ----------
    title : str
        What it is.
    architecture : str
        See `napari_pea.core.networks.ARCHITECTURES`.
    shape : tuple of int
        Of the image: channels, then pixels.
    arguments : mapping
        How it is built; the channels are those of the image.
    parameters : float, optional
        Million parameters that the paper tells.
    """

    title: str
    architecture: str
    shape: tuple[int, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    parameters: float | None = None

    @property
    def built(self) -> dict[str, Any]:
        """All arguments of the network."""
        return {**self.arguments, "in_channels": self.shape[0]}


#: Networks of the paper and of what it compares with.
PAPERS = (
    Measured("ResUNet", "resunet2d", LEAVES, {}, SIZES["resunet"]),
    Measured("ResNet-50", "resnet2d", LEAVES, {"depth": 50}, SIZES["resnet50"]),
    Measured("ResNet-101", "resnet2d", LEAVES, {"depth": 101}, SIZES["resnet101"]),
    Measured("AL-Gao, 10 affinities of ResUNet", "resunet2d", LEAVES, {"embedding_dim": 10}),
    Measured("3D ResUNet", "resunet3d", SECTIONS),
    Measured("SuperHuman, 12 affinities of it", "resunet3d", SECTIONS, {"embedding_dim": 12}),
    Measured(
        "3D ResUNet for cubic voxels, as in table 4 here",
        "resunet3d",
        SHIPPED_SHAPES["neurons-em"],
        {"widths": SMALL_WIDTHS, "isotropic": True},
    ),
)
TINY = (
    Measured("2D", "resunet2d", (1, 32, 48), {"widths": (4,) * 5}),
    Measured("3D", "resunet3d", (1, 4, 16, 32), {"widths": (4,) * 5}),
)


def make_speed(request: Request) -> list[Report]:
    """Measure every network in a process of its own, and write the table.

    Raises
    ------
    InputError
        If there is no such device or memory runs out.
    Cancelled
        If the request was cancelled.
    """
    device = str(choose_device(request.device))
    networks = TINY if request.quick else (*PAPERS, *_shipped())
    lines: list[Line] = []
    for done, network in enumerate(networks):
        request.progress(done, len(networks))
        check_cancel(request.cancel)
        try:
            with fresh_process(_measure, network, device, cancel=request.cancel) as receive:
                figures = receive()
        except EOFError as error:
            raise InputError(
                f"The measurement of {network.title} ended early, most likely because memory "
                "ran out."
            ) from error
        paper = {} if network.parameters is None else {"parameters": network.parameters}
        size = "×".join(map(str, network.shape[1:]))
        lines.append(Line(network.title, figures, paper, {"image": size}))
    request.progress(len(networks), len(networks))
    report = Report(
        "Size and speed of the networks",
        (
            f"One pass of each network ({device}) over an image of noise, everything around the "
            f"pass included, in a process of its own; {REPEATS} passes after one that does not "
            "count, told as mean ± standard deviation; on a processor its time, summed over "
            "threads. Networks of masks predict codes; the masks themselves are not decoded. "
            "Parameters are all that training needs, in millions. Memory is the most that the "
            "process held beyond the program, in megabytes of the machine's memory. Weights are "
            "random, which changes neither.",
        ),
        METRICS,
        lines,
    )
    report.save(request.folder, "table-speed")
    return [report]


def _shipped() -> list[Measured]:
    """Return the networks of the shipped models, of both methods."""
    found = []
    for entry in list_models():
        model = entry.metadata
        if entry.source != "built-in" or model is None:
            continue
        shape = SHIPPED_SHAPES.get(entry.name.removesuffix(LSIM_SUFFIX), NUCLEI)
        if len(shape) == model.ndim + 1:
            found.append(
                Measured(f"model `{entry.name}`", model.architecture, shape, model.arguments)
            )
    return found


def _predict(network: Network, image: NDArray[np.float32], device: torch.device) -> None:
    """Run a network of either kind over an image."""
    if isinstance(network, MaskUNet):
        predict_masks(network, image, device=device)
    else:
        predict(cast("EmbeddingNetwork", network), image, device=device)


def _measure(send: Callable[[Any], None], network: Measured, device: str) -> None:
    """Measure a network in this process, and send the figures by the names of the columns."""
    import torch

    built = build_network(network.architecture, network.built).eval()
    image = np.random.default_rng(0).random(network.shape, dtype=np.float32)
    before = peak_memory()
    where = torch.device(device)
    _predict(built, image, where)
    seconds = []
    # What else the machine does changes processor time little.
    clock = time.process_time if where.type == "cpu" else time.perf_counter
    for _ in range(REPEATS):
        started = clock()
        _predict(built, image, where)
        seconds.append(clock() - started)
    after = peak_memory()
    held = [] if before is None or after is None else [after - before]
    send(
        {
            "parameters": [count_parameters(built) / 1e6],
            "seconds": seconds,
            "memory": held,
        }
    )
