"""`napari-pea benchmark fuzz`: damaged and malicious model files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from napari_pea.cli.console import (
    SOME_FAILED,
    cancel_on_interrupt,
    print_json,
    print_table,
    progress_bar,
)


def fuzz(
    files: Annotated[int, typer.Option(help="How many files are opened.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Decides what is changed in them.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Import damaged and malicious model files and packages; all have to be refused in peace."""
    from napari_pea.experiments.fuzz import fuzz as open_all

    with cancel_on_interrupt() as cancel, progress_bar("Opening") as progress:
        found = open_all(files, seed=seed, progress=progress, cancel=cancel)
    if as_json:
        print_json(asdict(found))
    else:
        rows = [
            ("files", f"{found.files}"),
            ("refused in one sentence", f"{found.refused}"),
            ("still whole, opened", f"{found.accepted}"),
            ("anything else", f"{len(found.failures)}"),
            ("peak memory of a process", f"{found.peak_mb:.0f} MB"),
            ("slowest file", f"{found.slowest:.1f} s"),
        ]
        print_table(rows, ["what", "figure"])
        for failure in found.failures:
            typer.echo(failure)
    if found.failures:
        raise typer.Exit(SOME_FAILED)
