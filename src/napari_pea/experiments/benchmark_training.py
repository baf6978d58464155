"""What the trainer adds to the bare passes through its network."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from napari_pea.core.device import autocast, choose_device
from napari_pea.core.networks.base import Network
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.models.catalogue import find_model
from napari_pea.models.package import load_network
from napari_pea.sample_data import load_sample
from napari_pea.training.annotation import UNANNOTATED
from napari_pea.training.control import TrainingHooks, TrainingStatus
from napari_pea.training.data import AnnotatedImage, Batch
from napari_pea.training.loading import BatchLoader
from napari_pea.training.optimization import make_optimizer
from napari_pea.training.presets import preset_settings
from napari_pea.training.sampling import CropSampler
from napari_pea.training.settings import TrainingSettings
from napari_pea.training.trainer import Trainer

#: Of the painted case, one object in so many is painted.
PAINTED = 3
#: Iterations that are not counted: memory is taken, and code is compiled.
WARM_UP = 3


def cases() -> dict[str, TrainingSettings]:
    """Return the runs that are timed, by name.

    The paper's has every object labelled and the cross term; the dock's some painted objects,
    with the cross term and, as the dock trains, without.
    """
    paper = TrainingSettings().updated(cross_weight=1.0)
    dock = preset_settings("standard", TrainingSettings(), start=True)
    return {
        "all labelled": paper,
        "painted": dock.updated(cross_weight=1.0),
        "painted, without cross term": dock,
    }


def measure_training(
    model: str = "nuclei",
    device: str = "cpu",
    *,
    iterations: int = 20,
    runs: Mapping[str, TrainingSettings] | None = None,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Time iterations of the trainer and the bare passes of the same network, in turn.

    Bare are the passes forward (two with the cross term), the pass backward from the mean of
    what comes out, and the step of the optimiser, on crops that are there already. What the
    trainer does in its iteration on top of that is its own: crops, augmentation, targets,
    losses, averaging of the weights, its log.

    Parameters
    ----------
    model : str
        A name from `list_models`, whose network is trained.
    device : str
        "auto" or the name of a device.
    iterations : int
        How many are counted, for each case.
    runs : mapping of str to TrainingSettings, optional
        The cases; by default `cases`.
    progress : callable
        Told the iterations done and in all.
    cancel : CancelToken, optional
        Checked before each iteration.

    Returns
    -------
    dict
        ``cases``: for each name ``trainer_seconds`` and ``bare_seconds``, medians, and
        ``ratio``, the median of the ratios of neighbours; ``device`` and ``threads``.

    Raises
    ------
    InputError
        If there is no such model or device.
    """
    where = choose_device(device)
    wanted = cases() if runs is None else dict(runs)
    rounds = iterations + WARM_UP
    total = rounds * len(wanted)
    found = {}
    for number, (name, settings) in enumerate(wanted.items()):

        def step(done: int, _: int, before: int = number * rounds) -> None:
            progress(before + done, total)

        found[name] = _measure(model, where, settings.updated(iterations=rounds), step, cancel)
    return {
        "model": model,
        "device": str(where),
        "threads": torch.get_num_threads(),
        "iterations": iterations,
        "cases": found,
    }


def _measure(
    model: str,
    device: torch.device,
    settings: TrainingSettings,
    progress: Progress,
    cancel: CancelToken | None,
) -> dict[str, float]:
    """Return the figures of one case."""
    network, metadata = load_network(find_model(model))
    sample = load_sample("nuclei")
    labels = sample.truth.astype(np.int32)
    if settings.objective.distant_pairs:
        labels = np.where((labels > 0) & (labels % PAINTED == 0), labels, UNANNOTATED)
    items = [AnnotatedImage(metadata.normalization(sample.image[None]), labels.astype(np.int32))]
    bare = _Bare.of(network, items, settings, device)
    turns = _Turns(bare)
    hooks = TrainingHooks(on_status=turns.take)
    trainer = Trainer(network.train(), items, settings, hooks=hooks, device=device)
    turns.loader = trainer.loader
    turns.began = time.perf_counter()
    trainer.run(progress=progress, cancel=cancel)
    check_cancel(cancel)
    ours, theirs = (np.array(times[WARM_UP:]) for times in (turns.trainer, turns.bare_seconds))
    return {
        "trainer_seconds": float(np.median(ours)),
        "bare_seconds": float(np.median(theirs)),
        # Neighbours in time meet the same load of the machine.
        "ratio": float(np.median(ours / theirs)),
    }


@dataclass
class _Bare:
    """The passes of an iteration through a network of its own, and nothing else."""

    network: Network
    images: torch.Tensor
    optimizer: torch.optim.Optimizer
    two_passes: bool
    pyramid: bool
    device: torch.device

    @classmethod
    def of(
        cls,
        network: Network,
        items: list[AnnotatedImage],
        settings: TrainingSettings,
        device: torch.device,
    ) -> _Bare:
        own: Network = copy.deepcopy(network).to(  # type: ignore[call-overload]
            device, memory_format=torch.channels_last
        )
        crops = CropSampler(items, settings).crops(0)
        images = torch.from_numpy(np.stack([image for image, _ in crops]))
        return cls(
            own.train(),
            images.to(device, memory_format=torch.channels_last),
            make_optimizer(own, settings),
            settings.objective.cross_weight > 0,
            settings.objective.pyramid_weight > 0,
            device,
        )

    def __call__(self) -> float:
        """Do them; return how long they took, in seconds."""
        started = time.perf_counter()
        with autocast(self.device, training=True):
            output = self.network(self.images, pyramid=self.pyramid)
            if self.two_passes:
                with torch.no_grad():
                    self.network(self.images)
        heads = [output.embedding, output.foreground, *output.pyramid]
        loss = torch.stack([head.float().mean() for head in heads if head is not None]).sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - started


@dataclass
class _Turns:
    """Lets the bare passes follow every iteration of the trainer."""

    bare: _Bare
    trainer: list[float] = field(default_factory=list)
    bare_seconds: list[float] = field(default_factory=list)
    began: float = 0.0
    loader: BatchLoader[Batch] | None = None

    def take(self, status: TrainingStatus) -> None:
        """Take the time of an iteration that has ended, and do the bare passes."""
        if status.phase != "training":
            return
        # What is made ahead belongs to the trainer.
        if self.loader is not None:
            self.loader.wait()
        self.trainer.append(time.perf_counter() - self.began)
        self.bare_seconds.append(self.bare())
        self.began = time.perf_counter()
