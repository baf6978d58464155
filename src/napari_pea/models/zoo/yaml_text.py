"""YAML of strangers: plain values only, and not too many of them."""

from __future__ import annotations

from typing import Any

import yaml

from napari_pea.core.errors import InputError

#: What a description of a model never exceeds.
MAX_BYTES, MAX_DEPTH, MAX_VALUES = 1 << 20, 40, 20_000


class _TooMuch(yaml.YAMLError):
    """There is more than a description of a model has."""


class _Loader(yaml.SafeLoader):
    """Composes plain values down to a depth, and not too many."""

    depth = composed = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next value."""
        self.depth += 1
        self.composed += 1
        if self.depth > MAX_DEPTH or self.composed > MAX_VALUES:
            raise _TooMuch
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_yaml(text: bytes, what: str) -> Any:
    """Return what a text says: dicts, lists, strings, numbers, booleans, dates and None.

    Parameters
    ----------
    text : bytes
        In UTF-8.
    what : str
        What it is called in messages.

    Raises
    ------
    InputError
        If it is no YAML, or more of it than a description has; values that are used again
        and again count each time.
    """
    try:
        if len(text) > MAX_BYTES:
            raise _TooMuch
        loader = _Loader(text.decode())
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _count(node, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except (_TooMuch, RecursionError, MemoryError):
        raise InputError(
            f"{what} is larger or deeper than that of any model: it is not read."
        ) from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, LookupError, AttributeError):
        raise InputError(f"{what} is damaged: it is no YAML.") from None


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for, each as often as it is used."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_VALUES  # a value that holds itself has no end
    total = 1
    if isinstance(node, yaml.MappingNode):
        total += sum(_count(part, known) for pair in node.value for part in pair)
    elif isinstance(node, yaml.SequenceNode):
        total += sum(_count(part, known) for part in node.value)
    if total > MAX_VALUES:
        raise _TooMuch
    known[id(node)] = total
    return total
