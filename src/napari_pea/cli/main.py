"""The program and its commands."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from napari_pea.cli import (
    benchmark,
    demo,
    evaluate,
    models,
    recipe,
    reproduce,
    segment,
    train,
    volume,
)
from napari_pea.cli.console import readable_errors
from napari_pea.cli.train_settings import HeadedCommand


class Commands(TyperGroup):
    """Commands whose errors are sentences."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with readable_errors():
            return super().invoke(ctx)


app = typer.Typer(
    name="napari-pea",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # boxes cut long option names off
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all went well, 1 some images failed, 2 wrong input, 130 stopped.",
)
app.command("segment")(segment.segment)
app.command("volume")(volume.volume)
app.command("evaluate")(evaluate.evaluate)
app.command("train", cls=HeadedCommand)(train.train)
app.command("demo")(demo.demo)
app.command("reproduce")(reproduce.reproduce)
app.add_typer(models.app, name="models")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(recipe.app, name="recipe")


def _show_version(asked: bool) -> None:
    if asked:
        from napari_pea import __version__

        typer.echo(f"napari-pea {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Instance segmentation by pixel-embedded affinity."""
    # The reader of TIFF reports damage on the side; here the sentence about the file says it.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
