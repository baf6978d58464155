"""The arms that the benchmark of sparse paint compares, and the table of their outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_pea.experiments.paint import paint
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.presets import chosen_settings
from napari_pea.training.settings import TrainingSettings

START = "nuclei"
SCORES = ("ap50", "aji", "sbd")


@dataclass(frozen=True)
class Arm:
    """One way to come to a model.

    Attributes
    ----------
    name : str
        Of its folder.
    title : str
        For the table.
    count : int, optional
        Objects that are painted; None for all images densely labelled.
    start : str, optional
        The model that training starts from.
    trained : bool
        Whether anything is trained at all.
    keep : bool
        Whether the model must still do what the start does.
    """

    name: str
    title: str
    count: int | None = None
    start: str | None = START
    trained: bool = True
    keep: bool = False


COUNTS = (10, 30, 100, 300)
ARMS: tuple[Arm, ...] = (
    Arm("untrained", f"`{START}`, no training", trained=False),
    Arm("dense", f"from `{START}`, all objects of all images"),
    *(Arm(f"painted-{count}", f"from `{START}`, {count} painted objects", count)
      for count in COUNTS),
    Arm("painted-100-kept", "the same with 100, keeping what it knows", 100, keep=True),
    Arm("new-dense", "from nothing, all objects of all images", start=None),
    *(Arm(f"new-{count}", f"from nothing, {count} painted objects", count, None)
      for count in COUNTS),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What an arm came to.

    Attributes
    ----------
    arm, title : str
        Name and title of the arm.
    iterations : int
        Of the training.
    seconds : float
        Wall clock of the training, as far as it was watched.
    scale : float
        By which the images were resized.
    scores : dict of str to float
        Means over the validation images, with the counts of `summarize`.
    known : dict of str to float
        Likewise on validation images of the kind that the start knows, at their own size;
        empty if the arm starts from nothing.
    """

    arm: str
    title: str
    iterations: int
    seconds: float
    scale: float
    scores: dict[str, float]
    known: dict[str, float]


def arm_settings(
    arm: Arm, iterations: int, seed: int, changes: Mapping[str, Any]
) -> TrainingSettings:
    """Return how an arm is trained.

    Parameters
    ----------
    arm : Arm
        The arm.
    iterations : int
        That fit into the time.
    seed : int
        Of the run.
    changes : mapping
        What all arms share.
    """
    settings = chosen_settings(arm.start, sparse=True, keep=arm.keep).updated(**changes)
    settings = settings.updated(
        iterations=iterations,
        validate_every=max(1, iterations // 10),
        checkpoint_every=50,
        seed=seed,
        # From nothing the same pairs are trained.
        ranges=chosen_settings(START).objective.ranges,
    )
    if arm.count is None:
        settings = settings.updated(hold_out=0.0, validate_every=iterations)
    return settings


def painted_images(
    images: Sequence[LabelledImage], count: int | None, seed: int
) -> list[LabelledImage]:
    """Return images with some of their objects painted, those without any left out.

    Parameters
    ----------
    images : sequence of LabelledImage
        With all their objects.
    count : int or None
        Objects to paint; with None the images are returned as they are.
    seed : int
        Decides which.
    """
    if count is None:
        return list(images)
    return [
        LabelledImage(
            item.image, done.labels, item.name, zero="not-annotated", background=done.background
        )
        for item, done in zip(
            images, paint([item.labels for item in images], count, seed), strict=True
        )
        if done.labels.any()
    ]


def markdown(outcomes: Sequence[Outcome], minutes: float, seed: int) -> str:
    """Return the outcomes as a Markdown table with a sentence about the budget.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Shares are taken of the AP50 of the arm `dense`.
    minutes : float
        Time for each arm.
    seed : int
        Of paint and training.
    """
    trained = max(outcome.iterations for outcome in outcomes)
    dense = {outcome.arm: outcome for outcome in outcomes}.get("dense")
    lines = [
        f"{trained} steps, which take {minutes:g} minutes, for each arm; seed {seed}; scored on "
        f"{int(outcomes[0].scores['n_images'])} validation images.",
        "",
        "| how | AP50 | of that of all objects | AJI | SBD | AJI on nuclei |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for outcome in outcomes:
        share = ""
        if dense is not None and dense.scores["ap50"] > 0:
            share = f"{outcome.scores['ap50'] / dense.scores['ap50']:.0%}"
        cells = [outcome.title, f"{outcome.scores['ap50']:.4f}", share]
        cells += [f"{outcome.scores[name]:.4f}" for name in ("aji", "sbd")]
        cells.append(f"{outcome.known['aji']:.4f}" if outcome.known else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
