"""The training loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch

from napari_pea.core.device import Precision, autocast
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.networks.base import Network
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.training.checkpoint import Checkpoint, plain_settings
from napari_pea.training.control import Phase, Reporter, TrainingControl, TrainingHooks
from napari_pea.training.data import AnnotatedImage, check_annotated
from napari_pea.training.freezing import freeze
from napari_pea.training.history import History, Row
from napari_pea.training.learners import learner_of
from napari_pea.training.loading import BatchLoader
from napari_pea.training.optimization import (
    averaged_model,
    make_optimizer,
    make_scaler,
    make_schedule,
    quicken_statistics,
)
from napari_pea.training.sampling import CropSampler, validation_crops
from napari_pea.training.settings import TrainingSettings
from napari_pea.training.validation import DECISIVE_SCORE

#: Called with the averaged network and what may cancel it; returns named scores.
Scorer = Callable[[Network, CancelToken | None], dict[str, float]]
#: Called with the averaged network whenever it is the best so far, and its scores.
Keeper = Callable[[Network, dict[str, float], int], None]

#: Losses are averaged over this many iterations for each row of the log.
LOG_EVERY = 50
#: Gradients are scaled down to this norm.
LARGEST_GRADIENT = 5.0


class DivergenceError(InputError):
    """The loss became infinite or NaN."""


class Trainer:
    """Trains a network and keeps the version that validates best.

    Parameters
    ----------
    network : Network
        Trained in place.
    images : sequence of AnnotatedImage
        Training data.
    settings : TrainingSettings
        The run.
    folder : Path, optional
        Where checkpoints, the log and the curves go; without it nothing is written.
    validation : sequence of AnnotatedImage, optional
        Held-out data for the validation loss.
    scorer : callable, optional
        Measures the averaged network at every validation; the best one has the highest
        `DECISIVE_SCORE` (see `History.score_to_beat`). Without a scorer it has the lowest
        validation loss.
    keep : callable, optional
        Given the averaged network each time it is the best so far.
    replay : sequence of AnnotatedImage, optional
        Images that show what the network knows already.
    is_trained : bool
        Whether the network has learned something before. Then it is measured first.
    hooks : TrainingHooks, optional
        What is called while the run goes on.
    device : torch.device, optional
        Where to train.
    precision : {"auto", "mixed", "full"}
        See `napari_pea.core.device.autocast`.

    Attributes
    ----------
    loader : BatchLoader
        Makes the batches.

    Raises
    ------
    InputError
        If the data cannot be trained on.
    """

    def __init__(
        self,
        network: Network,
        images: Sequence[AnnotatedImage],
        settings: TrainingSettings,
        *,
        folder: Path | None = None,
        validation: Sequence[AnnotatedImage] = (),
        scorer: Scorer | None = None,
        keep: Keeper | None = None,
        replay: Sequence[AnnotatedImage] = (),
        is_trained: bool = False,
        hooks: TrainingHooks | None = None,
        device: torch.device | None = None,
        precision: Precision = "auto",
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.history = History()
        self.iteration = 0
        self.best_score = -np.inf
        self.best_iteration: int | None = None
        check_annotated(images, network.in_channels)
        if validation:
            check_annotated(validation, network.in_channels, "validation")
        self._device = device or torch.device("cpu")
        self._sampler = CropSampler(images, settings, replay, network.divisor)
        self._learner = learner_of(network, settings, self._device, self._sampler.factors)
        self.loader = BatchLoader(self._sampler, settings, self._learner)
        self._precision: Precision = precision
        self._network: Network = network.to(  # type: ignore[call-overload]
            self._device, memory_format=network.memory_format
        )
        quicken_statistics(network, settings.iterations)
        self._average = averaged_model(self._network, settings, self._device)
        self._frozen = freeze(self._network, settings.frozen_stages)
        self._optimizer = make_optimizer(network, settings)
        self._schedule = make_schedule(self._optimizer, settings)
        self._scaler = make_scaler(self._device, precision)
        self._scorer = scorer
        self._keep = keep
        self._is_trained = is_trained
        self._reporter = Reporter(hooks or TrainingHooks())
        self._pending: list[dict[str, float]] = []
        self._validation_crops = validation_crops(validation, settings, network.divisor)

    @property
    def averaged_network(self) -> Network:
        """The network with averaged weights: the result of the training."""
        return cast("Network", self._average.module)

    def resume(self) -> None:
        """Go back to the last checkpoint in the folder.

        Raises
        ------
        InputError
            If there is none, it is damaged, or settings or network differ from the run's.
        """
        if self.folder is None:
            raise InputError("A run without a folder has no checkpoint to resume from.")
        checkpoint = Checkpoint.load(self.folder)
        checkpoint.check_settings(self.settings)
        checkpoint.check_network(self._network)
        self._network.load_state_dict(checkpoint.network)
        self._average.load_state_dict(checkpoint.average)
        self._optimizer.load_state_dict(checkpoint.optimizer)
        self._schedule.load_state_dict(checkpoint.schedule)
        if checkpoint.scaler and self._scaler.is_enabled():
            self._scaler.load_state_dict(checkpoint.scaler)
        self.iteration = checkpoint.iteration
        self.best_score = checkpoint.best_score
        self.best_iteration = checkpoint.best_iteration
        self.history = History(checkpoint.rows)
        self._pending = checkpoint.pending

    def run(
        self,
        *,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
        control: TrainingControl | None = None,
    ) -> History:
        """Train to the end of the run.

        Parameters
        ----------
        progress : callable
            Told the iterations done and the iterations in all.
        cancel : CancelToken, optional
            Checked before every iteration and while validating; the state is saved before
            `Cancelled` is raised. A validation that was cut short is done again on resuming.
        control : TrainingControl, optional
            Looked at before every iteration. A run that is stopped is validated once more and
            saved; it can be resumed too.

        Returns
        -------
        History
            What was measured.

        Raises
        ------
        Cancelled
            If `cancel` was set.
        DivergenceError
            If the loss is no longer a number.
        InputError
            If the state cannot be saved, for example because the disk is full.
        """
        try:
            with self.loader:
                self._train(progress, cancel, control)
        except Cancelled:
            self._save()
            raise
        ended_early = self.iteration < self.settings.iterations
        self._report("stopped" if ended_early else "finished")
        return self.history

    def _train(
        self, progress: Progress, cancel: CancelToken | None, control: TrainingControl | None
    ) -> None:
        """Do the iterations that are left."""
        if self._pending and self._is_logged():
            self._log(cancel)
        if self._is_trained and self._scorer is not None and self.iteration == 0:
            self._report("validating")
            start = self.averaged_network.eval()
            self._add({"iteration": 0.0, **self._scorer(start, cancel)})
        while self.iteration < self.settings.iterations:
            check_cancel(cancel)
            if control is not None:
                self._obey(control, cancel)
                if control.stopped:
                    self._finish(cancel)
                    break
            with self._reporter.timed():
                terms = self._step()
            self._pending.append(terms)
            self.iteration += 1
            self._log(cancel)
            self._report("training", terms["loss"])
            self._reporter.preview(self.averaged_network, self.iteration)
            progress(self.iteration, self.settings.iterations)

    def _report(self, phase: Phase, loss: float | None = None) -> None:
        """Tell where the run stands."""
        self._reporter.status(
            phase,
            self.iteration,
            self.settings.iterations,
            loss=loss,
            best_score=None if self.best_iteration is None else self.best_score,
            best_iteration=self.best_iteration,
        )

    def _obey(self, control: TrainingControl, cancel: CancelToken | None) -> None:
        """Wait as long as the run is paused, with everything saved."""
        if control.paused and not control.stopped:
            self._save()
            self._report("paused")
            control.wait(cancel)

    def _finish(self, cancel: CancelToken | None) -> None:
        """Validate a run that is stopped early as if it had come to its end."""
        if self._pending:
            self._write_row(cancel, validated=True)
        if self.best_iteration is None and self._keep is not None:
            self._keep(self.averaged_network, {}, self.iteration)
        self._save()

    def _step(self) -> dict[str, float]:
        """Do one iteration and return the terms of its loss."""
        settings = self.settings
        batch = self.loader.batch(self.iteration)
        rng = np.random.default_rng((settings.seed, self.iteration, settings.batch_size))
        self._network.train()
        for stage in self._frozen:
            stage.eval()
        with autocast(self._device, self._precision, training=True):
            terms = self._learner.losses(self._network, batch, rng)
        loss = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(loss):
            raise DivergenceError(
                f"The loss is no longer a number at iteration {self.iteration}: "
                f"train again with a learning rate below {settings.learning_rate:g} or in full "
                "precision."
            )
        self._optimizer.zero_grad()
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), LARGEST_GRADIENT)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._schedule.step()
        self._average.update_parameters(self._network)
        return {"loss": loss.item(), **{name: term.item() for name, term in terms.items()}}

    def _is_validated(self) -> bool:
        """Whether the network is validated at this iteration."""
        settings = self.settings
        return (
            self.iteration == settings.iterations or self.iteration % settings.validate_every == 0
        )

    def _is_logged(self) -> bool:
        """Whether this iteration has a row in the log."""
        return self._is_validated() or self.iteration % LOG_EVERY == 0

    def _log(self, cancel: CancelToken | None) -> None:
        """Write a row of the log, validate and save, whenever it is time."""
        if self._is_logged():
            self._write_row(cancel, validated=self._is_validated())
        if self._is_validated() or self.iteration % self.settings.checkpoint_every == 0:
            self._save(curves=self._is_validated())

    def _write_row(self, cancel: CancelToken | None, *, validated: bool) -> None:
        """Write a row of the log."""
        row = {
            "iteration": float(self.iteration),
            "learning_rate": float(self._schedule.get_last_lr()[0]),
        }
        for name in self._pending[-1]:
            row[name] = float(np.mean([terms[name] for terms in self._pending]))
        if validated:
            self._report("validating", self._pending[-1]["loss"])
            row |= self._validate(cancel)
        # Not before the validation: should it be cancelled, the row is made again.
        self._pending.clear()
        self._add(row)

    def _add(self, row: Row) -> None:
        """Add a row to the history."""
        self.history.add(row)
        self._reporter.row(row)

    def _validate(self, cancel: CancelToken | None) -> dict[str, float]:
        """Measure the averaged network, and keep it if it is the best so far."""
        network = self.averaged_network
        network.eval()
        measured: dict[str, float] = {}
        score, to_beat = float(self.iteration), self.best_score
        if self._validation_crops:
            measured["validation_loss"] = self._validation_loss(network, cancel)
            score = -measured["validation_loss"]
        if self._scorer is not None:
            measured |= self._scorer(network, cancel)
            score, to_beat = measured[DECISIVE_SCORE], self.history.score_to_beat
        if score > to_beat:
            self.best_score = score
            self.best_iteration = self.iteration
            if self._keep is not None:
                self._keep(network, measured, self.iteration)
        return measured

    def _validation_loss(self, network: Network, cancel: CancelToken | None) -> float:
        """Return the mean loss over the validation crops, without the cross term."""
        losses = []
        with torch.inference_mode(), autocast(self._device, self._precision, training=True):
            for crop in self._validation_crops:
                check_cancel(cancel)
                terms = self._learner.losses(network, self._learner.batch([crop]))
                losses.append(sum(term.item() for term in terms.values()))
        return float(np.mean(losses))

    def _save(self, *, curves: bool = True) -> None:
        """Write the checkpoint and the log, and draw the curves, which takes longer."""
        if self.folder is None:
            return
        try:
            self._write(self.folder, curves=curves)
        except OSError as error:
            raise InputError(
                f"The training run could not be saved in {self.folder}: {error.strerror}; "
                "make room or mend the folder, then resume the run."
            ) from error

    def _write(self, folder: Path, *, curves: bool) -> None:
        """Write everything that belongs to the run."""
        Checkpoint(
            iteration=self.iteration,
            settings=plain_settings(self.settings),
            network=self._network.state_dict(),
            average=self._average.state_dict(),
            optimizer=self._optimizer.state_dict(),
            schedule=self._schedule.state_dict(),
            scaler=self._scaler.state_dict(),
            best_score=float(self.best_score),
            best_iteration=self.best_iteration,
            rows=self.history.rows,
            pending=self._pending,
        ).save(folder)
        if self.history.rows:
            self.history.save_csv(folder / "log.csv")
            if curves:
                self.history.save_picture(folder / "curves.png")
