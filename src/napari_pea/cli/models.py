"""`napari-pea models`: what can be chosen, and keeping it in order."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from napari_pea.cli.console import print_json, print_table
from napari_pea.core.errors import Cancelled

app = typer.Typer(no_args_is_help=True, help="List, rename, copy and delete models.")


@app.command("list")
def list_all(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the models found; damaged ones say what is wrong."""
    from napari_pea.models.catalogue import list_models, user_folder

    entries = list_models()
    if as_json:
        print_json(
            [
                {
                    "name": entry.name,
                    "source": entry.source,
                    "path": str(entry.path),
                    "description": entry.metadata.description if entry.metadata else None,
                    "problem": entry.problem,
                }
                for entry in entries
            ]
        )
        return
    if not entries:
        typer.echo(f"No model was found; copy your own model files to {user_folder()}.")
        return
    rows = [
        (
            entry.name,
            entry.source,
            entry.problem or (entry.metadata.description if entry.metadata else ""),
        )
        for entry in entries
    ]
    print_table(rows, ["name", "source", "description"])
    typer.echo(f"Copy your own model files to {user_folder()}.")


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="A name of `models list`, or a model file.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Tell what a model says about itself."""
    from napari_pea.models.catalogue import find_model
    from napari_pea.models.package import model_hash, read_metadata

    path = find_model(name)
    told: dict[str, Any] = {
        "path": str(path),
        **read_metadata(path).model_dump(mode="json", exclude={"picture"}),
        "hash": model_hash(path),
    }
    if as_json:
        print_json(told)
        return
    for key, value in told.items():
        if value in (None, "", [], {}):
            continue
        for line in _lines(key.replace("_", " "), value):
            typer.echo(line)


@app.command()
def rename(
    name: Annotated[str, typer.Argument(help="One of your models.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
) -> None:
    """Give one of your models another name."""
    from napari_pea.models.shelf import rename_model

    typer.echo(f"{name} -> {rename_model(name, new)}")


@app.command()
def duplicate(
    name: Annotated[str, typer.Argument(help="A name of `models list`.")],
    new: Annotated[str, typer.Argument(help="Of the copy; by default NAME copy.")] = "",
) -> None:
    """Copy a model into your folder."""
    from napari_pea.models.shelf import duplicate_model

    typer.echo(f"{name} -> {duplicate_model(name, new)}")


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="One of your models.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete one of your models; `models restore` brings it back."""
    from napari_pea.models.shelf import delete_model, find_entry

    find_entry(name)
    if not yes and not typer.confirm(f"Delete the model {name!r}?"):
        raise Cancelled("Cancelled.")
    delete_model(name)
    typer.echo(f"Deleted {name}; `napari-pea models restore` brings it back.")


@app.command()
def restore() -> None:
    """Bring the model back that was deleted last."""
    from napari_pea.models.shelf import restore_model

    typer.echo(f"{restore_model()} is back.")


def _lines(key: str, value: Any, indent: str = "") -> list[str]:
    """Return a value as indented lines."""
    if isinstance(value, dict):
        inner = [line for name, item in value.items() for line in _lines(name, item, indent + "  ")]
        return [f"{indent}{key}:", *inner]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [line for item in value for line in _lines(key, item, indent)]
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value)
    return [f"{indent}{key}: {value}"]
