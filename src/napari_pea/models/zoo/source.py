"""The code of a network as one file that needs PyTorch alone, taken from our own modules."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PACKAGE = "napari_pea"
HEADER = '''"""{title}

Taken from napari-pea {version}, BSD-3-Clause, as it stands there; only imports were put together.
"""

from __future__ import annotations

'''


@dataclass(frozen=True)
class _Import:
    """Where a name of a module comes from; no `name` for the module itself."""

    module: str
    name: str | None


class _Module:
    """What a module defines and imports at its top level.

    Parameters
    ----------
    name : str
        Of the module.
    """

    def __init__(self, name: str) -> None:
        text = inspect.getsource(importlib.import_module(name))
        self.lines = text.splitlines()
        self.definitions: dict[str, ast.stmt] = {}
        self.imports: dict[str, _Import] = {}
        for node in ast.parse(text).body:
            self._add(node)

    def _add(self, node: ast.stmt) -> None:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                for each in node.body:
                    self._add(each)
            case ast.FunctionDef() | ast.ClassDef():
                self.definitions[node.name] = node
            case ast.Assign(targets=[ast.Name(id=target)]):
                self.definitions[target] = node
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr()):
                self.definitions[target] = node
            case ast.Import():
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = _Import(alias.name, None)
            case ast.ImportFrom(module=str(source)) if source != "__future__":
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = _Import(source, alias.name)

    def segment(self, name: str) -> str:
        """Return the text of a definition, comments above it and decorators included."""
        node = self.definitions[name]
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1
        while first and self.lines[first - 1].startswith("#"):
            first -= 1
        return "\n".join(self.lines[first : node.end_lineno])


class _Collector:
    """Puts definitions one after the other, each below what it needs."""

    def __init__(self) -> None:
        self.modules: dict[str, _Module] = {}
        self.imports: dict[str, _Import] = {}
        self.owners: dict[str, str] = {}
        self.segments: list[str] = []
        self.begun: set[str] = set()

    def take(self, module_name: str, name: str) -> None:
        """Add a definition and all that it needs.

        Raises
        ------
        ValueError
            If two modules mean something else by one name.
        """
        module = self.modules.setdefault(module_name, _Module(module_name))
        if name not in module.definitions:
            found = module.imports[name]
            if found.module.partition(".")[0] == PACKAGE:
                if found.name != name:
                    raise ValueError(f"{module_name} imports {found} under another name")
                self.take(found.module, name)
            elif self.imports.setdefault(name, found) != found:
                raise ValueError(f"{name} is {found} in {module_name} and something else before")
            return
        if self.owners.setdefault(name, module_name) != module_name:
            raise ValueError(f"{name} is defined in {module_name} and in {self.owners[name]}")
        if name in self.begun:
            return
        self.begun.add(name)
        for used in _names(module.definitions[name]):
            if used in module.definitions or used in module.imports:
                self.take(module_name, used)
        self.segments.append(module.segment(name))

    def text(self) -> str:
        """Return imports and definitions."""
        return "\n".join(sorted(map(_statement, self.imports, self.imports.values()))) + (
            "\n\n\n" + "\n\n\n".join(self.segments) + "\n"
        )


def standalone_source(title: str, *wanted: Callable[..., Any], end: str = "") -> str:
    """Return a module that defines functions or classes and needs nothing of this program.

    Parameters
    ----------
    title : str
        The first line of its docstring.
    *wanted : callable
        Functions or classes at the top level of modules of this program.
    end : str
        Code that is put at the end.

    Returns
    -------
    str
        Definitions are copied letter by letter.

    Raises
    ------
    ValueError
        If the definitions cannot stand in one module, because names mean different things.
    """
    from napari_pea import __version__

    collector = _Collector()
    for each in wanted:
        collector.take(each.__module__, each.__qualname__)
    return HEADER.format(title=title, version=__version__) + collector.text() + end


def _statement(name: str, found: _Import) -> str:
    if found.name is None:
        return f"import {found.module}" + (f" as {name}" if name != found.module else "")
    renamed = f" as {name}" if name != found.name else ""
    return f"from {found.module} import {found.name}{renamed}"


def _names(node: ast.AST) -> list[str]:
    """Return the names that occur in code, annotations included."""
    return sorted({each.id for each in ast.walk(node) if isinstance(each, ast.Name)})
