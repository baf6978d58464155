"""What the recipes of the shipped models have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_pea.core.networks import build_network
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.experiments.tuning import Trial, score, tune
from napari_pea.models.catalogue import load_model, model_of
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.model import Model
from napari_pea.models.package import SUFFIX, save_model
from napari_pea.training.checkpoint import CHECKPOINT_NAME, Checkpoint
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.session import train_model
from napari_pea.training.settings import TrainingSettings
from napari_pea.training.validation import DECISIVE_SCORE


@dataclass(frozen=True)
class Recipe:
    """How a shipped model is made.

    Attributes
    ----------
    model : ModelMetadata
        What is made.
    settings : TrainingSettings
        The run.
    training, validation : sequence of LabelledImage
        Its data.
    start : str, optional
        The model whose weights the training starts from.
    choices : mapping, optional
        The values to try for each recommended setting; by default those of `tuning`.
    metric : str
        By which they are chosen, a name in `napari_pea.core.metrics.METRICS`.
    """

    model: ModelMetadata
    settings: TrainingSettings
    training: Sequence[LabelledImage]
    validation: Sequence[LabelledImage]
    start: str | None = None
    choices: Mapping[str, Sequence[Any]] | None = None
    metric: str = DECISIVE_SCORE

    def train(
        self,
        run: Path,
        *,
        device: str = "auto",
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> Path:
        """Train the model, or go on with a run that was interrupted.

        Parameters
        ----------
        run : Path
            The run's folder.
        device : str
            "auto", "cuda", "mps" or "cpu".
        progress : callable
            Told the iterations done and the iterations in all.
        cancel : CancelToken, optional
            Stops the run when set.

        Returns
        -------
        Path
            The model file.
        """
        return train_model(
            self.training,
            self.validation,
            self.model,
            self.settings,
            run,
            start=self.start,
            resume=(run / CHECKPOINT_NAME).exists(),
            device=device,
            progress=progress,
            cancel=cancel,
        )

    def tune(
        self,
        run: Path,
        *,
        device: str = "auto",
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> Trial:
        """Choose version and recommended settings on validation data and record the scores.

        Two versions are tried: the one that validated best while it was trained, and the last
        one, whose learning rate had come down to 0.

        Parameters
        ----------
        run : Path
            The folder of a finished run; its model file is rewritten.
        device : str
            "auto", "cuda", "mps" or "cpu".
        progress : callable
            Told the trials of a version done and its trials in all.
        cancel : CancelToken, optional
            Stops the search when set; the file then stays as it was.

        Returns
        -------
        Trial
            The best settings and what they scored.
        """
        path = run / f"{self.model.name}{SUFFIX}"
        best = load_model(path, device)
        found = [
            (
                tune(
                    model,
                    self.validation,
                    self.model.recommended,
                    self.choices,
                    self.metric,
                    progress=progress,
                    cancel=cancel,
                )[0],
                model,
            )
            for model in (best, last_version(run, best))
        ]
        trial, model = max(found, key=lambda pair: pair[0].value)
        scores = score(model, self.validation, trial.settings, cancel=cancel)
        metadata = model.metadata.model_copy(
            update={
                "recommended": trial.settings,
                "scores": {
                    f"{group}, validation": {
                        name: round(value, 4) for name, value in summary.items()
                    }
                    for group, summary in scores.items()
                },
            }
        )
        save_model(path, model.network, metadata)
        return trial


def last_version(run: Path, best: Model) -> Model:
    """Return the model as it was at the end of a run.

    Parameters
    ----------
    run : Path
        The run's folder.
    best : Model
        Another version of the model.
    """
    checkpoint = Checkpoint.load(run)
    network = build_network(best.metadata.architecture, best.metadata.arguments)
    prefix = "module."
    network.load_state_dict(
        {
            name.removeprefix(prefix): value
            for name, value in checkpoint.average.items()
            if name.startswith(prefix)
        }
    )
    for parameter in network.parameters():
        # As it will be stored, so that the scores are those of the file.
        parameter.data = parameter.data.half().float()
    training = {**best.metadata.training, "best_iteration": checkpoint.iteration}
    metadata = best.metadata.model_copy(update={"training": training})
    return model_of(network, metadata, best.device)
