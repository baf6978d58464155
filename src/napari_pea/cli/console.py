"""What all commands share: errors as sentences, progress, and stopping with Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from napari_pea.core.errors import Cancelled, InputError, is_out_of_memory
from napari_pea.core.progress import CancelToken, Progress

#: Exit codes: some images failed; nothing was done; stopped by the user.
SOME_FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
#: Columns of a table that goes to a file or another program.
FILE_WIDTH = 1000
STOPPING = b"\nStopping; press Ctrl-C again to stop at once.\n"


def print_error(message: str) -> None:
    """Write one sentence to the standard error stream."""
    typer.secho(f"Error: {message}", err=True, fg=typer.colors.RED)


def print_json(value: Any) -> None:
    """Write a value that a program may read; what is not a number becomes null."""
    typer.echo(json.dumps(_plain(value), indent=2, allow_nan=False, ensure_ascii=False))


def print_table(
    rows: Sequence[Sequence[str]], columns: Sequence[str], *, last: int = 0, folded: int = 0
) -> None:
    """Write a table of which one column may be folded; the others are kept whole.

    Parameters
    ----------
    rows : sequence of sequence of str
        The cells.
    columns : sequence of str
        The headings.
    last : int
        How many rows at the end stand below a line.
    folded : int
        Which column may be folded.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, padding=(0, 1), pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number != folded, overflow="fold")
    for number, row in enumerate(rows):
        if last and number == len(rows) - last:
            table.add_section()
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        # In a file nothing needs to be cut to the width of a window.
        console = Console(width=FILE_WIDTH)
    console.print(table, crop=False)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn errors that are the user's to mend into one sentence and an exit code."""
    try:
        yield
    except InputError as error:
        _stop(str(error), WRONG_INPUT)
    except (Cancelled, KeyboardInterrupt):
        typer.echo("Stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _stop(
            "There is not enough memory: close other programs, or make images or batches smaller.",
            WRONG_INPUT,
        )


@contextmanager
def cancel_on_interrupt() -> Iterator[CancelToken]:
    """Give a token that Ctrl-C sets; pressed a second time it stops the program at once."""
    token = CancelToken()

    def stop(number: int, frame: object) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()
        # Streams of Python must not be written to here: they may be in use.
        os.write(2, STOPPING)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield token
    finally:
        signal.signal(signal.SIGINT, before)


def get_ready() -> None:
    """Compile what segmenting needs, and say on a terminal that it takes long the first time."""
    from napari_pea.core.warm import is_ready, warm_up

    if not is_ready() and sys.stderr.isatty():
        typer.echo("Getting ready, which takes about a minute the first time.", err=True)
    warm_up()


@contextmanager
def progress_bar(description: str) -> Iterator[Progress]:
    """Show a bar on the standard error stream if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=None)

        def show(done: int, total: int, /) -> None:
            bar.update(task, completed=done, total=total)

        yield show


def whole_numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """Return the numbers of a list such as 1,3,5; None stays None.

    Raises
    ------
    InputError
        If something else was typed.
    """
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{option} takes whole numbers with commas between them, such as 1,3,5, not {text!r}."
        ) from None


def numbers_above_zero(text: str | None, option: str) -> tuple[float, ...] | None:
    """Return the numbers of a list such as 2,0.5; None stays None.

    Raises
    ------
    InputError
        If something else was typed.
    """
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(number > 0 for number in numbers):
        raise InputError(
            f"{option} takes numbers above 0 with commas between them, such as 2,0.5, not {text!r}."
        )
    return numbers


def one_of(value: str | None, choices: Sequence[str], option: str) -> None:
    """Make sure that a value, if given, is among the choices.

    Raises
    ------
    InputError
        If it is not.
    """
    if value is not None and value not in choices:
        raise InputError(f"{option} is one of {', '.join(choices)}, not {value!r}.")


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given, so that the others keep their defaults."""
    return {name: value for name, value in options.items() if value is not None}


def _stop(message: str, code: int) -> NoReturn:
    print_error(message)
    raise typer.Exit(code) from None


def _plain(value: Any) -> Any:
    """Return a value with NaN replaced, because JSON has no such number."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value != value:
        return None
    return value
