"""Table 7 of PEA: other ranges and neighbourhoods on the same embeddings, without training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.metrics import evaluate, summarize
from napari_pea.core.neighborhood import CONNECTIVITIES
from napari_pea.core.predictors import known_offsets
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.scaling import scaled_settings
from napari_pea.core.segmenter import Segmenter
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.arms import fingerprint, write_text
from napari_pea.experiments.papers import benchmarks
from napari_pea.experiments.papers.published import TABLE_7
from napari_pea.experiments.papers.report import HEADINGS, Line, Report
from napari_pea.experiments.papers.request import Request
from napari_pea.experiments.papers.shipped import SHIPPED, Validation, validation_of
from napari_pea.models.catalogue import list_models, load_model
from napari_pea.models.model import Model
from napari_pea.training.labelled import LabelledImage

FIVE, NINE = (1, 3, 5, 9, 27), (1, 3, 5, 7, 9, 11, 19, 27, 35)
#: What is compared, in pixels that the network sees, by the number of axes; each differs from
#: the one before in one point. The first ones are the paper's.
CHOICES: dict[int, dict[str, dict[str, Any]]] = {
    2: {
        "five-4": {"ranges": FIVE, "connectivity": 4},
        "five-8": {"ranges": FIVE, "connectivity": 8},
        "nine-8": {"ranges": NINE, "connectivity": 8},
    },
    3: {
        "five-6": {"ranges": FIVE, "connectivity": 6},
        "five-26": {"ranges": FIVE, "connectivity": 26},
        "nine-26": {"ranges": NINE, "connectivity": 26},
    },
}
#: Choices that are not of the paper: what the model recommends, and the same ranges with all
#: diagonals, or with none where it recommends them.
RECOMMENDED, OTHERWISE = "recommended", "recommended-otherwise"


def make_adaptive(request: Request) -> list[Report]:
    """Measure table 7 on every shipped model whose validation images are there.

    Raises
    ------
    InputError
        If there are none, or the folder holds figures of other models.
    Cancelled
        If the request was cancelled.
    """
    data = request.data_folder()
    judged: dict[str, tuple[Validation, list[LabelledImage]]] = {}
    if data is None:
        judged["nuclei"] = SHIPPED["nuclei"], list(benchmarks.made_up().held_out)
    else:
        for entry in list_models():
            found = validation_of(entry.name) if entry.source == "built-in" else None
            if found is None or request.on not in (None, found.folder):
                continue
            if (data / found.folder).is_dir():
                judged[entry.name] = found, found.images(data)
    if not judged:
        folders = ", ".join(dict.fromkeys(validation.folder for validation in SHIPPED.values()))
        raise InputError(
            f"{data} holds none of the folders {folders}: table 7 needs the validation images of "
            "a shipped model."
        )
    total = sum(len(images) for _, images in judged.values())
    before = 0
    reports = []
    for name, (validation, images) in judged.items():
        called = "table-7-made-up" if data is None else f"table-7-{name}"

        def advance(done: int, _: int, /, before: int = before) -> None:
            request.progress(before + done, total)

        report = measure_adaptive(
            load_model(name, request.device),
            images,
            request.folder,
            metric=validation.metric,
            shown=validation.shown,
            called=called,
            progress=advance,
            cancel=request.cancel,
        )
        report.save(request.folder, called)
        reports.append(report)
        before += len(images)
    return reports


def adaptive_settings(model: Model) -> dict[str, SegmentationSettings]:
    """Return the settings that are compared, by name.

    Everything but ranges and connectivity is as the model recommends. The ranges are those of
    the paper in the pixels that the network sees; of a model that predicts the affinities of
    fixed offsets (LSIM) they are all that it knows, and what it does not know is left out.
    """
    own = model.recommended
    small, *_, widest = CONNECTIVITIES[model.ndim]
    other = small if own.connectivity == widest else widest
    more = {RECOMMENDED: own, OTHERWISE: own.updated(connectivity=other)}
    known = known_offsets(model)
    if known.is_limited:
        all_of_it = {
            f"all-{near}": known.updated(own, ranges=known.ranges, connectivity=near)
            for near in (small, widest)
        }
        return {
            name: settings
            for name, settings in (all_of_it | more).items()
            if all(map(known.knows, settings.neighborhood(model.ndim).offset_list))
        }
    scale = model.metadata.scale
    choices = {}
    for name, choice in CHOICES[model.ndim].items():
        seen = scaled_settings(own, scale).updated(**choice)
        choices[name] = own.updated(
            ranges=scaled_settings(seen, 1 / scale).ranges, connectivity=choice["connectivity"]
        )
    return choices | more


def measure_adaptive(
    model: Model,
    images: Sequence[LabelledImage],
    folder: Path,
    *,
    metric: str = "aji",
    shown: Sequence[str] = ("sbd", "dic", "aji", "pq", "ap50"),
    called: str = "",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Report:
    """Segment images with every choice of ranges and neighbourhood and compare the scores.

    The network runs once for each image. Started again on the same folder, this goes on with
    the images that are left.

    Parameters
    ----------
    model : Model
        Trained.
    images : sequence of LabelledImage
        Validation images with names of their own and with their truth.
    folder : Path
        Receives what was measured.
    metric : str
        Of which differences are told.
    shown : sequence of str
        The columns.
    called : str
        How the names of files begin; by default "table-7-" and the name of the model.
    progress : callable
        Told the images done and the images in all.
    cancel : CancelToken, optional
        Checked before each image and within it.

    Returns
    -------
    Report
        Differences are told from the first choice, with the standard error of their mean over
        the images.

    Raises
    ------
    InputError
        If the folder holds figures of another model or of other images.
    Cancelled
        If `cancel` was set.
    """
    choices = adaptive_settings(model)
    path = folder / f"{called or f'table-7-{model.name}'}-images.json"
    record = _recorded(path, model, choices)
    measured: dict[str, dict[str, dict[str, float]]] = record["images"]
    pixels: dict[str, str] = record.setdefault("pixels", {})
    for done, item in enumerate(images):
        progress(done, len(images))
        # What records of old do not tell counts as the same.
        own = fingerprint(item)
        if pixels.setdefault(item.name, own) != own:
            raise InputError(
                f"{path} holds figures of another image called {item.name!r}: choose another "
                "folder."
            )
        if item.name in measured:
            continue
        segmenter = Segmenter(
            model, item.image, channel=item.channel, channel_axis=item.channel_axis
        )
        scores = {}
        for name, settings in choices.items():
            check_cancel(cancel)
            labels = segmenter.labels(settings, cancel=cancel)
            scores[name] = evaluate(labels, item.labels, [*shown, "n_true"])
        measured[item.name] = scores
        write_text(path, json.dumps(record))
    progress(len(images), len(images))
    found = [measured[item.name] for item in images]
    return _report(model, choices, found, metric, shown, made_up=images[0].group == "made-up")


def _recorded(
    path: Path, model: Model, choices: Mapping[str, SegmentationSettings]
) -> dict[str, Any]:
    """Return what was measured before of the same model."""
    fresh = {
        "model": model.name,
        "trained": json.loads(json.dumps(model.metadata.model_dump(mode="json"))),
        "choices": {name: settings.as_dict() for name, settings in choices.items()},
    }
    if not path.exists():
        return {**fresh, "images": {}}
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        same = all(record[name] == value for name, value in fresh.items())
        _ = record["images"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The record {path} cannot be read: delete it.") from error
    if not same:
        raise InputError(
            f"{path} holds figures of another version of {model.name!r} or of other settings: "
            "choose another folder."
        )
    return record


def _report(
    model: Model,
    choices: Mapping[str, SegmentationSettings],
    measured: Sequence[Mapping[str, Mapping[str, float]]],
    metric: str,
    shown: Sequence[str],
    *,
    made_up: bool,
) -> Report:
    """Return the comparison as a table."""
    counted = [scores for scores in measured if next(iter(scores.values()))["n_true"] > 0]
    first = next(iter(choices))
    lines = []
    for name, settings in choices.items():
        means = summarize([scores[name] for scores in measured])
        neighbours = settings.neighborhood(model.ndim).connectivity
        extra = {"ranges, neighbours": f"{_listed(settings.ranges)}, {neighbours}"}
        if name != first:
            extra[f"difference in {HEADINGS[metric]}"] = _difference(
                [scores[name][metric] - scores[first][metric] for scores in counted]
            )
        lines.append(
            Line(
                _title(model, name),
                {column: [means[column]] for column in shown},
                TABLE_7[name].figures if name in TABLE_7 else {},
                extra,
            )
        )
    said = "volume" if model.ndim == 3 else "image"
    theirs = (
        "The paper has nothing of this for volumes. Objects are scored as their ids say, not by "
        "connected components as in table 1 of LSIM."
        if model.ndim == 3
        else "The paper's figures are those of another model on other data, leaves of CVPPP A2."
    )
    return Report(
        f"PEA, table 7: adaptive affinity, model `{model.name}`",
        (
            f"{'**Made-up images**, which only show that it runs. ' if made_up else ''}"
            f"Nothing was trained for this: one pass of `{model.name}` for each of the "
            f"{len(counted)} {said}s, and everything but ranges and neighbours as the model "
            f"recommends. {theirs} Differences are means over the {said}s with their standard "
            "error.",
        ),
        tuple(shown),
        lines,
    )


def _title(model: Model, name: str) -> str:
    """Return what a choice is called."""
    if name == RECOMMENDED:
        return f"recommended by `{model.name}`"
    if name == OTHERWISE:
        return "the same ranges, other neighbours"
    if name not in CHOICES[model.ndim]:
        return f"all ranges it knows, {name.removeprefix('all-')} neighbours"
    choice = CHOICES[model.ndim][name]
    ranges = "nine ranges" if choice["ranges"] == NINE else _listed(choice["ranges"])
    return f"{ranges}, {choice['connectivity']} neighbours"


def _listed(ranges: Sequence[int]) -> str:
    return " ".join(map(str, ranges))


def _difference(values: Sequence[float]) -> str:
    """Return the mean of paired differences and its standard error."""
    if len(values) < 2:
        return f"{np.mean(values):+.4f}" if values else ""
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):+.4f} ± {error:.4f}"
