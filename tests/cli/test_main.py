from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

import napari_pea
from napari_pea.cli import console
from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from typer.testing import Result


def test_help_names_every_command(run: Callable[..., Result]) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in ("segment", "evaluate", "train", "demo", "models", "benchmark"):
        assert command in result.stdout


@pytest.mark.parametrize("command", ["segment", "evaluate", "train", "demo", "models"])
def test_every_command_has_help(run: Callable[..., Result], command: str) -> None:
    result = run(command, "-h")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_version(run: Callable[..., Result]) -> None:
    assert run("--version").stdout == f"napari-pea {napari_pea.__version__}\n"


def test_program_starts_without_its_heavy_parts() -> None:
    code = (
        "import sys, napari_pea.cli; "
        "print(*(m for m in ('torch', 'napari', 'qtpy', 'skimage', 'pandas', 'matplotlib') "
        "if m in sys.modules))"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(("text", "numbers"), [("1,3, 5", (1, 3, 5)), ("7", (7,)), (None, None)])
def test_lists_of_numbers(text: str | None, numbers: tuple[int, ...] | None) -> None:
    assert console.whole_numbers(text, "--ranges") == numbers


@pytest.mark.parametrize("text", ["", "1,,3", "1;3", "1.5", "a"])
def test_what_is_no_list_of_numbers(text: str) -> None:
    with pytest.raises(InputError, match="--ranges takes whole numbers with commas"):
        console.whole_numbers(text, "--ranges")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_too_little_memory_is_one_sentence(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BaseException, match="2"), console.readable_errors():
        raise error
    sentence = capsys.readouterr().err
    assert "There is not enough memory" in sentence
    # Not every command has it.
    assert "--tile" not in sentence


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="a bug"), console.readable_errors():
        raise RuntimeError("a bug")
