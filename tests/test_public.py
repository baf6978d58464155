"""What the package offers explains itself: shapes, units, errors."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import napari_pea

ARRAY = re.compile(r"NDArray|ndarray|ArrayLike")
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    """Return the sections of a numpydoc docstring by their headings."""
    names = ["", *SECTION.findall(text)]
    return dict(zip(names, SECTION.split(text)[::2], strict=True))


def callables() -> Iterator[Any]:
    """Give every public function, class, method and property of the public names."""
    for name in napari_pea.__all__:
        thing = getattr(napari_pea, name)
        yield pytest.param(thing, id=name)
        if not inspect.isclass(thing):
            continue
        for key, member in inspect.getmembers(thing):
            is_ours = str(getattr(member, "__module__", "")).startswith("napari_pea")
            if key.startswith("_") or not (isinstance(member, property) or is_ours):
                continue
            yield pytest.param(member, id=f"{name}.{key}")


EVERYTHING = list(callables())
CALLED = [param for param in EVERYTHING if not isinstance(param.values[0], property)]


def described(text: str) -> set[str]:
    """Return the names that a section of parameters describes."""
    lines = [line for line in text.splitlines() if line and not line[0].isspace()]
    names = [part.strip(" *`") for line in lines for part in line.split(" : ")[0].split(",")]
    return set(names)


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(function).parameters)
    found.pop("self", None)
    return found


@pytest.mark.parametrize("thing", EVERYTHING)
def test_every_public_name_says_what_it_is(thing: Any) -> None:
    first = (inspect.getdoc(thing) or "").partition("\n")[0]
    assert first.endswith((".", ":", ")."))
    assert len(first.split()) > 2


@pytest.mark.parametrize("thing", CALLED)
def test_every_parameter_is_described(thing: Any) -> None:
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return
    parts = sections(inspect.getdoc(thing))
    text = parts.get("Parameters", "") + parts.get("Attributes", "")
    if dataclasses.is_dataclass(thing):
        wanted = {field.name for field in dataclasses.fields(thing) if field.init}
    else:
        wanted = {name for name in parameters(thing) if name != "_"}
    # One argument may be told in the sentence itself.
    if len(wanted) == 1 and not text:
        text = "\n".join(re.findall(r"`?(\w+)`?", parts[""]))
    assert wanted <= described(text)


@pytest.mark.parametrize("thing", CALLED)
def test_arrays_have_shapes_and_functions_say_what_comes_back(thing: Any) -> None:
    text = inspect.getdoc(thing)
    hints = [str(hint) for hint in inspect.get_annotations(thing).values()]
    if any(ARRAY.search(hint) for hint in hints):
        assert "shape" in text
    if inspect.isfunction(thing) and thing.__annotations__.get("return") != "None":
        assert "Returns" in sections(text) or re.match("(Return|Predict|Give|Score|Load)", text)


@pytest.mark.parametrize("name", ["evaluate", "load_model", "mutex_watershed", "segment", "train"])
def test_functions_say_when_they_refuse(name: str) -> None:
    raised = sections(inspect.getdoc(getattr(napari_pea, name)))["Raises"]
    assert "InputError" in described(raised)
