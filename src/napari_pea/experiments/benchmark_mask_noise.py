"""How well affinities from masks bear noise, in both ways to objects (LSIM, figure 5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_pea.core.files import atomic_write
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.signed_graph import ROUTES
from napari_pea.experiments.arms import write_text
from napari_pea.experiments.neurons_em import volume
from napari_pea.experiments.nuclei import bbbc039_images
from napari_pea.experiments.papers import lsim_benchmarks
from napari_pea.experiments.papers.lsim import ROUTE_TITLES, SOURCE_TITLES
from napari_pea.experiments.papers.lsim_scoring import (
    METRICS,
    affinities_of,
    better,
    objects_of,
    scored,
)
from napari_pea.experiments.papers.report import HEADINGS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.masks.prediction import MaskPrediction
    from napari_pea.models.mask_model import MaskModel
    from napari_pea.training.labelled import LabelledImage

#: What noise does to affinities.
KINDS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "in both directions": lambda noise: noise,
    "towards merging": np.abs,
    "towards splitting": lambda noise: -np.abs(noise),
}
#: Its standard deviation; affinities run from 0 to 1.
LEVELS = (0.1, 0.2, 0.4, 0.8)
#: Its blur, in pixels: networks err in places, not in single pixels.
BLUR = 2.0


@dataclass(frozen=True)
class Point:
    """Scores under noise of one kind and level.

    Attributes
    ----------
    kind : str
        One of `KINDS`; empty where there is none.
    level : float
        The standard deviation of the noise.
    source, route : str
        Where affinities come from, and how objects are made of them: see
        `napari_pea.experiments.papers.lsim_scoring`.
    by_image : list of list of float
        The score of each image, for each seed.
    """

    kind: str
    level: float
    source: str
    route: str
    by_image: list[list[float]]

    @property
    def scores(self) -> list[float]:
        """The mean over the images, for each seed."""
        return [float(np.mean(scores)) for scores in self.by_image]


@dataclass(frozen=True)
class NoiseFigures:
    """What noise does to a model.

    Attributes
    ----------
    model : str
        Its name.
    metric : str
        Of the scores.
    n_images : int
        They are means over so many.
    points : list of Point
        All that was measured.
    """

    model: str
    metric: str
    n_images: int
    points: list[Point]

    @property
    def ways(self) -> list[tuple[str, str]]:
        """Sources and routes that were measured."""
        return list(dict.fromkeys((point.source, point.route) for point in self.points))

    def curve(self, kind: str, source: str, route: str) -> list[Point]:
        """Return the points of one kind of noise and one way, from none to the most."""
        chosen = [
            point
            for point in self.points
            if (point.source, point.route) == (source, route) and point.kind in ("", kind)
        ]
        return sorted(chosen, key=lambda point: point.level)

    def markdown(self) -> str:
        """Return a table; several seeds are told as mean ± standard deviation."""
        headings = ["noise", "level", *(_title(*way) for way in self.ways)]
        rows = []
        for kind in KINDS:
            curves = [self.curve(kind, *way) for way in self.ways]
            for points in zip(*curves, strict=True):
                cells = [_cell(point.scores) for point in points]
                if points[0].kind or kind == next(iter(KINDS)):
                    rows.append([points[0].kind or "none", f"{points[0].level:g}", *cells])
        images = f"mean over {self.n_images} images" if self.n_images > 1 else "one image"
        lines = [
            f"{HEADINGS[self.metric]} of `{self.model}`, {images}.",
            *self._without_noise(),
            "",
            *(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows)),
        ]
        return "\n".join(lines) + "\n"

    def _without_noise(self) -> list[str]:
        """Return by how much one partition is better than the other if there is no noise."""
        clean = {(p.source, p.route): p.by_image[0] for p in self.points if not p.kind}
        one, other = ROUTE_TITLES
        lines = []
        for source in dict.fromkeys(source for source, _ in clean):
            pairs = zip(clean.get((source, one), ()), clean.get((source, other), ()), strict=False)
            gains = [better(self.metric, *pair) for pair in pairs]
            if len(gains) > 1:
                error = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
                lines.append(
                    f"- Without noise, {SOURCE_TITLES[source]}: {ROUTE_TITLES[one]} better than "
                    f"{ROUTE_TITLES[other]} by {np.mean(gains):+.4f} ± {error:.4f} (standard error "
                    "of the mean over images)."
                )
        return lines

    def save(self, folder: Path) -> None:
        """Write the table as Markdown and as JSON, and the curves, if any, as a picture.

        Parameters
        ----------
        folder : Path
            Receives `mask-noise-<model>` with three suffixes.
        """
        name = f"mask-noise-{self.model}"
        write_text(folder / f"{name}.md", self.markdown())
        write_text(folder / f"{name}.json", json.dumps(asdict(self), indent=1))
        if any(point.kind for point in self.points):
            self._draw(folder / f"{name}.png")

    def _draw(self, path: Path) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        sources = list(dict.fromkeys(source for source, _ in self.ways))
        colours = {source: f"C{number}" for number, source in enumerate(sources)}
        for axes, kind in zip(figure.subplots(1, len(KINDS), sharey=True), KINDS, strict=True):
            for source, route in self.ways:
                points = self.curve(kind, source, route)
                axes.errorbar(
                    [point.level for point in points],
                    [float(np.mean(point.scores)) for point in points],
                    yerr=[float(np.std(point.scores)) for point in points],
                    color=colours[source],
                    linestyle="-" if route == "mutex" else "--",
                    marker=".",
                    capsize=2,
                    label=_title(source, route),
                )
            axes.set(title=f"noise {kind}", xlabel="standard deviation of the noise")
            axes.grid(alpha=0.3)
        figure.axes[0].set_ylabel(HEADINGS[self.metric])
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        with atomic_write(path) as temporary:
            figure.savefig(temporary, dpi=110, format="png")


def noisy(
    affinities: NDArray[np.float32], level: float, kind: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return affinities with noise, clipped to 0 and 1.

    Parameters
    ----------
    affinities : array of float32, shape (N, *spatial)
        From 0 to 1.
    level : float
        The standard deviation of the noise before it is made one-sided.
    kind : str
        One of `KINDS`.
    rng : numpy Generator
        Draws it, for every channel on its own; neighbouring pixels have similar noise.
    """
    drawn = rng.standard_normal(affinities.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(drawn, (0, *[BLUR] * (affinities.ndim - 1)))
    noise /= max(float(noise.std()), 1e-12)
    return np.clip(affinities + np.float32(level) * KINDS[kind](noise), 0, 1)


def validation_images(data: Path, ndim: int, n_images: int) -> list[LabelledImage]:
    """Return what noise is tried on: images of BBBC039, or the volume of FlyEM.

    Parameters
    ----------
    data : Path
        Holds the folders `bbbc039` or `flyem`.
    ndim : int
        2 or 3.
    n_images : int
        How many of the images that show nuclei, evenly spread.
    """
    if ndim == 3:
        return [volume(data, "validation")]
    shown = [item for item in bbbc039_images(data, "validation") if item.labels.any()]
    places = np.linspace(0, len(shown) - 1, min(n_images, len(shown))).round().astype(int)
    return [shown[place] for place in places]


def made_up() -> tuple[MaskModel, list[LabelledImage]]:
    """Return a tiny untrained model and a made-up image, on which anything runs in no time."""
    from napari_pea.core.device import choose_device
    from napari_pea.core.networks import build_network
    from napari_pea.models.mask_model import MaskModel

    benchmark = lsim_benchmarks.made_up(2)
    network = build_network(benchmark.model.architecture, benchmark.model.arguments)
    model = MaskModel(network, benchmark.model, choose_device("cpu"))
    return model, list(benchmark.held_out)


def measure_noise(
    model: MaskModel,
    images: Sequence[LabelledImage],
    *,
    levels: Sequence[float] = LEVELS,
    seeds: int = 2,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> NoiseFigures:
    """Segment images by affinities with more and more noise.

    Averaged affinities, those of the head on codes and those of the sparse branch are tried, as
    far as the model has them, with the same noise in all.

    Parameters
    ----------
    model : MaskModel
        Trained.
    images : sequence of LabelledImage
        With their truth.
    levels : sequence of float
        Standard deviations of the noise.
    seeds : int
        How often noise is drawn.
    progress : callable
        Told the partitions done and in all.
    cancel : CancelToken, optional
        Checked before each partition and within it.
    """
    metric = METRICS[model.ndim][0]
    cases = [("", 0.0), *((kind, level) for kind in KINDS for level in levels)]
    found: dict[tuple[str, float, str, str], list[list[float]]] = {}
    total = len(images) * (1 + (len(cases) - 1) * seeds)
    done = 0
    for number, item in enumerate(images):
        check_cancel(cancel)
        predicted = model.predict(
            item.image,
            channel=item.channel,
            channel_axis=item.channel_axis,
            keep_sparse=True,
            cancel=cancel,
        )
        clean = affinities_of(model, predicted, _sources(predicted), cancel=cancel)
        for kind, level in cases:
            for seed in range(seeds if kind else 1):
                progress(done, total)
                for source, values in clean.items():
                    rng = np.random.default_rng((seed, number))
                    changed = noisy(values, level, kind, rng) if kind else values
                    for route in ROUTES:
                        labels = objects_of(model, predicted, changed, route, cancel=cancel)
                        runs = found.setdefault((kind, level, source, route), [])
                        if number == 0:
                            runs.append([])
                        runs[seed].append(scored(labels, item.labels)[metric])
                done += 1
    progress(total, total)
    points = [Point(*case, runs) for case, runs in found.items()]
    return NoiseFigures(model.name, metric, len(images), points)


def _sources(predicted: MaskPrediction) -> list[str]:
    """Return the sources of affinities that a model has."""
    has_head = predicted.direct is not None and predicted.direct is not predicted.sparse
    return [
        *(["averaged"] if predicted.codes else []),
        *(["head"] if has_head else []),
        *(["sparse"] if predicted.sparse is not None else []),
    ]


def _title(source: str, route: str) -> str:
    return f"{SOURCE_TITLES[source]}, {ROUTE_TITLES[route]}"


def _cell(scores: Sequence[float]) -> str:
    text = f"{np.mean(scores):.3f}"
    return text if len(scores) < 2 else f"{text} ± {np.std(scores, ddof=1):.3f}"
