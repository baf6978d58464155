"""`napari-pea models`: what can be chosen, and keeping it in order."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from napari_pea.cli.console import cancel_on_interrupt, print_json, print_table, progress_bar
from napari_pea.core.errors import Cancelled, InputError

app = typer.Typer(
    no_args_is_help=True, help="List, rename, copy, delete, import and export models."
)


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
    print_table(rows, ["name", "source", "description"], folded=2)
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


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="A file, or an address of one.")],
    name: Annotated[str | None, typer.Option(help="What the model is to be called.")] = None,
    sha256: Annotated[str | None, typer.Option(help="The hash that the file must have.")] = None,
    trust_code: Annotated[
        bool,
        typer.Option(
            "--trust-code", help="Let code of its authors run, now and whenever it is used."
        ),
    ] = False,
    affinities: Annotated[
        Literal["guess", "same", "different"],
        typer.Option(
            help="Of a model of another program: high affinities mean the same object, or "
            "different ones."
        ),
    ] = "guess",
) -> None:
    """Take in a model file, or a package of the BioImage Model Zoo."""
    from napari_pea.models.package import SUFFIX
    from napari_pea.models.zoo import fetched, import_model, read_package

    path = Path(source)
    with cancel_on_interrupt() as cancel, ExitStack() as stack:
        if "://" in source:
            with progress_bar("Fetching") as progress:
                path = stack.enter_context(
                    fetched(source, sha256=sha256, progress=progress, cancel=cancel)
                )
        info = read_package(path)
        typer.echo(f"{info.name}: {info.description}".rstrip(": "))
        typer.echo(f"sha256 {info.sha256}")
        for reason in info.reasons:
            typer.echo(reason)
        with progress_bar("Importing") as progress:
            found = import_model(
                path,
                trust_code=trust_code,
                sha256=sha256,
                name=name,
                affinities=affinities,
                origin=source if "://" in source else None,
                progress=progress,
                cancel=cancel,
            )
    typer.echo(f"Imported as {found.name.removesuffix(SUFFIX)}: {found}")


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="A name of `models list`, or a model file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The zip archive to write.")],
    author: Annotated[
        list[str], typer.Option(help='"Name; affiliation; ORCID"; may be given again.')
    ],
    licence: Annotated[
        str | None, typer.Option(help="SPDX name, such as CC-BY-4.0; by default the model's.")
    ] = None,
    cite: Annotated[
        list[str] | None, typer.Option(help="What to cite, with a DOI; may be given again.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="By default the model's.")] = None,
    cover: Annotated[Path | None, typer.Option(help="A picture; by default made here.")] = None,
    sample: Annotated[
        Path | None, typer.Option(help="An image it is for: its tests and cover are made with it.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a package that exists already.")
    ] = False,
) -> None:
    """Write a model as a package of the BioImage Model Zoo, and run it to see that it works."""
    from napari_pea.io.reading import read_image
    from napari_pea.models.zoo import export_model
    from napari_pea.models.zoo.archive import package_path

    target = package_path(output)
    if target.exists() and not overwrite:
        raise InputError(
            f"{target} exists already: choose another name, or replace it with --overwrite."
        )
    with cancel_on_interrupt() as cancel, progress_bar("Exporting") as progress:
        path = export_model(
            name,
            target,
            authors=author,
            licence=licence,
            citation=cite,
            description=description,
            cover=cover,
            sample=None if sample is None else read_image(sample).array,
            progress=progress,
            cancel=cancel,
        )
    typer.echo(f"{name} -> {path}")


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
