"""Comparing choices of the method under an equal budget, one change at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.experiments import nuclei
from napari_pea.experiments.arms import Arm, Outcome, compare, write_text
from napari_pea.training.settings import TrainingSettings
from napari_pea.training.validation import SCORES

#: The files that a comparison leaves in its folder beside its runs.
MARKDOWN_NAME, JSON_NAME = "ablation.md", "ablation.json"


#: Each differs in one point from the recipe of the model `nuclei` (methods A12).
NUCLEI_ARMS: tuple[Arm, ...] = (
    Arm("recipe", "recipe of `nuclei`"),
    Arm("ccm", "CCM as in the code: one direction, detached", {"cross_weight": 1.0}),
    Arm(
        "ccm-symmetric",
        "CCM in both directions, with gradient in both branches",
        {"cross_weight": 1.0, "detach_cross": False, "symmetric_cross": True},
    ),
    Arm("no-epm", "no EPM", {"pyramid_weight": 0.0}),
    Arm("plain-mean", "no class balance", {"balance_classes": False}),
    Arm(
        "plain-levels",
        "mean over channels, all levels alike; foreground at the same share",
        {
            "plain_mean": True,
            "foreground_weight": nuclei.SETTINGS.objective.foreground_weight
            / len(nuclei.SETTINGS.objective.neighborhood.offset_list),
        },
    ),
    Arm("balanced-foreground", "foreground weighted by class", {"balance_foreground": True}),
    Arm(
        "paper-optimizer",
        "optimiser of the code, constant rate (the mean rate of the recipe)",
        # The authors' 1e-4 is made for 200,000 steps and learns nothing in so few.
        {
            "optimizer": "paper",
            "schedule": "constant",
            "learning_rate": nuclei.SETTINGS.learning_rate / 2,
        },
    ),
    Arm("align-corners", "`align_corners=True`", arguments={"align_corners": True}),
    Arm("no-skip", "no skip at full resolution", arguments={"full_resolution_skip": False}),
    Arm("no-average", "no average of the weights", {"ema_decay": 0.0}),
    Arm("no-geometry", "no rotation, scaling and bending", {"geometric_probability": 0.0}),
    Arm(
        "constant-rate",
        "constant rate only (the mean rate of the recipe)",
        {"schedule": "constant", "learning_rate": nuclei.SETTINGS.learning_rate / 2},
    ),
)


def nuclei_ablation(
    data: Path,
    folder: Path,
    *,
    arms: Sequence[Arm] | None = None,
    seeds: int = 1,
    device: str = "auto",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
    **budget: Any,
) -> list[Outcome]:
    """Compare changes of the recipe of `nuclei` on the validation images of BBBC039.

    Parameters
    ----------
    data : Path
        See `napari_pea.experiments.nuclei.recipe`.
    arms : sequence of Arm, optional
        By default `NUCLEI_ARMS`.
    folder : Path
        Receives a folder for each run and, after each, the tables `ablation.md` and
        `ablation.json`.
    seeds, device, progress, cancel
        See `napari_pea.experiments.arms.compare`.
    **budget
        Values of `TrainingSettings` that all arms share, such as ``iterations=400``.
    """
    held_out = [item for item in nuclei.validation_images(data) if item.group == "bbbc039"]
    settings = nuclei.SETTINGS.updated(**budget)
    return compare(
        NUCLEI_ARMS if arms is None else arms,
        nuclei.training_images(data),
        held_out,
        nuclei.MODEL,
        settings,
        folder,
        seeds=seeds,
        device=device,
        progress=progress,
        cancel=cancel,
        tell=lambda outcomes: write_tables(outcomes, settings, folder),
    )


def write_tables(outcomes: Sequence[Outcome], settings: TrainingSettings, folder: Path) -> None:
    """Write the outcomes as `ablation.md` and `ablation.json`.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Those of the arm that the others are compared with first.
    settings : TrainingSettings
        What all arms share.
    folder : Path
        Where the files go.
    """
    write_text(folder / JSON_NAME, json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    write_text(folder / MARKDOWN_NAME, markdown(outcomes, settings))


def markdown(outcomes: Sequence[Outcome], settings: TrainingSettings) -> str:
    """Return the outcomes as a Markdown table with a sentence about the budget.

    Each row is an arm, averaged over its seeds; the difference to the first arm is taken over
    the seeds that both have.
    """
    scored = int(outcomes[0].scores["n_images"])
    lines = [
        f"{settings.iterations} steps of {settings.batch_size} crops of "
        f"{settings.crop}×{settings.crop} pixels for each run, seeds from {settings.seed} on, "
        f"scored on {scored} images.",
        "",
        "| what is different | runs | AJI | difference | PQ | Dice | AP50 | processor time |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    by_arm: dict[str, dict[int, Outcome]] = {}
    for outcome in outcomes:
        by_arm.setdefault(outcome.arm, {})[outcome.seed] = outcome
    first = by_arm[outcomes[0].arm]
    for arm in by_arm.values():
        means = {name: np.mean([run.scores[name] for run in arm.values()]) for name in SCORES}
        differences = [
            run.scores["aji"] - first[seed].scores["aji"]
            for seed, run in arm.items()
            if seed in first
        ]
        times = [run.seconds for run in arm.values() if run.seconds is not None]
        cells = [
            next(iter(arm.values())).title,
            str(len(arm)),
            f"{means['aji']:.4f}",
            "" if arm is first else f"{np.mean(differences):+.4f}",
            *(f"{means[name]:.4f}" for name in ("pq", "dice", "ap50")),
            f"{np.mean(times):.0f} s" if times else "not known",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
