"""`napari-pea evaluate`: labels against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_pea.cli.console import print_json, print_table
from napari_pea.core.errors import InputError

#: What the table shows if nothing else is asked for; JSON has every metric.
SHOWN = ("aji", "dice", "pq", "ap50", "sbd", "n_true", "n_labels")


def evaluate(
    labels: Annotated[Path, typer.Argument(metavar="PRED", help="Labels: a file or a folder.")],
    truth: Annotated[
        Path,
        typer.Argument(
            metavar="TRUTH", help="True labels: a file, or a folder with the same file names."
        ),
    ],
    metrics: Annotated[
        str | None, typer.Option(help="Names with commas between them, such as aji,dice,pq.")
    ] = None,
    min_truth_size: Annotated[
        int, typer.Option(help="Truth objects with fewer pixels become background.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Means and the scores of each image as JSON.")
    ] = False,
) -> None:
    """Score label images against the truth.

    Images without a true object are left out of the means and counted.
    """
    from napari_pea.core.metrics import evaluate as score
    from napari_pea.core.metrics import summarize
    from napari_pea.io import read_labels

    pairs, left_out = _pairs(labels, truth)
    names: tuple[str, ...] | None = None if as_json else SHOWN
    if metrics is not None:
        names = tuple(name.strip() for name in metrics.split(","))
    rows = {}
    for mine, true in pairs:
        try:
            rows[mine.name] = score(
                read_labels(mine), read_labels(true), names, min_truth_size=min_truth_size
            )
        except InputError as error:
            raise InputError(f"{mine.name}: {error}") from error
    means = summarize(rows.values())
    if left_out:
        typer.echo(f"{left_out} files in {truth} have no labels in {labels}.", err=True)
    if as_json:
        images = [{"image": name, **scores} for name, scores in rows.items()]
        print_json({**means, "images": images})
        return
    _print_scores(rows, means)


def _pairs(labels: Path, truth: Path) -> tuple[list[tuple[Path, Path]], int]:
    """Return the files to compare, and how many truth files are left over."""
    from napari_pea.io import file_pairs, image_files

    mine, true = image_files(labels), image_files(truth)
    single = [paths == [given] for paths, given in ((mine, labels), (true, truth))]
    if all(single):
        return [(mine[0], true[0])], 0
    if any(single):
        raise InputError(f"Give two files or two folders: {labels} and {truth} are one of each.")
    pairs = file_pairs(mine, true)
    return pairs, len(true) - len(pairs)


def _print_scores(rows: dict[str, dict[str, float]], means: dict[str, float]) -> None:
    names = list(next(iter(rows.values())))
    cells = [
        [image, *(_number(scores[name]) for name in names)]
        for image, scores in {**rows, "mean": means}.items()
    ]
    print_table(cells, ["image", *names], last=1)
    empty = int(means["n_empty_truth"])
    if empty:
        typer.echo(
            f"Mean over {int(means['n_images'])} images; {empty} without a true object left out."
        )


def _number(value: float) -> str:
    if value != value:
        return "–"
    return f"{value:.0f}" if value > 1 and value == int(value) else f"{value:.4f}"
