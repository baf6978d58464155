"""Making the next batch while the network is busy with the present one."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

import numpy as np

from napari_pea.training.learners import Learner
from napari_pea.training.sampling import CropSampler
from napari_pea.training.settings import TrainingSettings

AnyBatch = TypeVar("AnyBatch")


class BatchLoader(Generic[AnyBatch]):
    """Makes the batches of a run in a thread of its own, one ahead.

    Every draw is numbered, so a batch is the same whenever it is made.

    Parameters
    ----------
    sampler : CropSampler
        Draws the crops.
    settings : TrainingSettings
        The run.
    learner : Learner
        Makes batches of crops.
    """

    def __init__(
        self, sampler: CropSampler, settings: TrainingSettings, learner: Learner[AnyBatch]
    ) -> None:
        self._sampler = sampler
        self._settings = settings
        self._learner = learner
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: tuple[int, Future[AnyBatch]] | None = None

    def __enter__(self) -> BatchLoader[AnyBatch]:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="napari-pea batches")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
        self._thread = self._ahead = None

    def batch(self, iteration: int) -> AnyBatch:
        """Return the batch of an iteration, and begin with the one after it.

        Outside of a ``with`` block nothing is made ahead.
        """
        if self._ahead is not None and self._ahead[0] == iteration:
            batch = self._ahead[1].result()
        else:
            batch = self._make(iteration)
        following = iteration + 1
        if self._thread is not None and following < self._settings.iterations:
            self._ahead = following, self._thread.submit(self._make, following)
        return batch

    def wait(self) -> None:
        """Return when nothing is being made."""
        if self._ahead is not None:
            self._ahead[1].exception()

    def _make(self, iteration: int) -> AnyBatch:
        settings = self._settings
        rng = np.random.default_rng((settings.seed, iteration, settings.batch_size + 1))
        return self._learner.batch(list(self._sampler.crops(iteration)), rng)
