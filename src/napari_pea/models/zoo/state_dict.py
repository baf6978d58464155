"""Weights in PyTorch's file format, read without unpickling anything.

``torch.load(weights_only=True)`` runs no code, but a crafted file can still make it allocate
any amount of memory. Here the few instructions that a saved state dict consists of are followed
by hand, and all others refused.
"""

from __future__ import annotations

import pickletools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pea.core.errors import InputError
from napari_pea.models.zoo.archive import Archive, open_archive

if TYPE_CHECKING:
    import torch

#: The most that the list of weights, and all weights together, may take in bytes.
MAX_LIST, MAX_WEIGHTS = 1 << 23, 1 << 28
#: The storages that weights have, and the types that they hold.
STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_REBUILD = "torch._utils _rebuild_tensor_v2"
_ORDERED = "collections OrderedDict"


class _Strange(Exception):  # noqa: N818 - never leaves this module
    """The file holds something else than weights by name."""


@dataclass(frozen=True)
class _Global:
    """A name of a module, which is never imported."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """Where values lie: a file of the archive, and their type."""

    key: str
    dtype: str


@dataclass(frozen=True)
class _Tensor:
    """Which values of a storage a tensor consists of."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a file that ``torch.save`` has written.

    Parameters
    ----------
    path : Path
        The file, in the zip format that PyTorch uses since version 1.6.

    Returns
    -------
    dict
        Tensors on the CPU by name.

    Raises
    ------
    InputError
        If it is damaged, or holds anything but finite weights by name.
    """
    with open_archive(path) as archive:
        try:
            return _read(archive)
        except (_Strange, AttributeError, IndexError, KeyError, TypeError, RecursionError):
            raise InputError(
                f"The weights {path.name} are damaged, or hold more than weights by name: "
                "they are not opened."
            ) from None


def _read(archive: Archive) -> dict[str, torch.Tensor]:
    lists = [name for name in archive.names if name.split("/")[1:] == ["data.pkl"]]
    if len(lists) != 1:
        raise _Strange
    root = lists[0].partition("/")[0]
    if f"{root}/byteorder" in archive and archive.read(f"{root}/byteorder", 16) != b"little":
        raise _Strange
    found = _follow(archive.read(lists[0], MAX_LIST))
    shared = Counter(value.storage for value in found.values() if isinstance(value, _Tensor))
    storages: dict[_Storage, torch.Tensor] = {}
    weights: dict[str, torch.Tensor] = {}
    used = 0

    def count(more: int) -> None:
        nonlocal used
        used += more
        if used > MAX_WEIGHTS:
            raise InputError(
                f"The weights {archive.path.name} take more than {MAX_WEIGHTS >> 20} MB: "
                "they are not opened."
            )

    for name, value in found.items():
        if not isinstance(value, _Tensor):
            raise _Strange
        if value.storage not in storages:
            file = f"{root}/data/{value.storage.key}"
            count(archive.size(file))
            storages[value.storage] = _values(archive.read(file, MAX_WEIGHTS), value.storage.dtype)
        view = _view(storages[value.storage], value)
        if shared[value.storage] > 1:
            # Two weights may be one; each of ours has its own memory, which counts too.
            count(view.numel() * view.element_size())
            view = view.clone()
        weights[name] = view
    return weights


def _values(raw: bytes, dtype: str) -> torch.Tensor:
    """Return the values of a storage."""
    import torch

    kind: torch.dtype = getattr(torch, dtype)
    if not raw or len(raw) % kind.itemsize:
        raise _Strange
    return torch.frombuffer(bytearray(raw), dtype=kind)


def _view(storage: torch.Tensor, tensor: _Tensor) -> torch.Tensor:
    """Return a tensor, if it lies inside its storage."""
    if prod(tensor.shape) > len(storage):  # strides of 0 could make any size of one value
        raise _Strange
    last = tensor.offset + sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if tensor.offset < 0 or last >= len(storage):
        raise _Strange
    view = storage.as_strided(tensor.shape, tensor.strides, tensor.offset)
    if view.is_floating_point() and not bool(view.isfinite().all()):
        raise InputError("The weights hold values that are no numbers: get the file again.")
    return view


def _follow(text: bytes) -> dict[str, Any]:
    """Return the weights that a pickled state dict speaks of."""
    mark = object()
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        start = len(stack) - 1
        while stack[start] is not mark:
            start -= 1
            if start < 0:
                raise _Strange
        items = stack[start + 1 :]
        del stack[start:]
        return items

    try:
        argument: Any
        for instruction, argument, _ in pickletools.genops(text):
            match instruction.name:
                case "PROTO" | "FRAME":
                    pass
                case "MARK":
                    stack.append(mark)
                case "EMPTY_TUPLE":
                    stack.append(())
                case "EMPTY_DICT":
                    stack.append({})
                case "NONE":
                    stack.append(None)
                case "NEWTRUE" | "NEWFALSE":
                    stack.append(instruction.name == "NEWTRUE")
                case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINUNICODE" | "SHORT_BINUNICODE":
                    stack.append(argument)
                case "GLOBAL":
                    stack.append(_Global(argument))
                case "BINPUT" | "LONG_BINPUT":
                    memo[argument] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "TUPLE":
                    stack.append(tuple(since_mark()))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    number = int(instruction.name[-1])
                    if len(stack) < number:
                        raise _Strange
                    stack[-number:] = [tuple(stack[-number:])]
                case "BINPERSID":
                    stack.append(_storage(stack.pop()))
                case "REDUCE":
                    arguments, function = stack.pop(), stack.pop()
                    stack.append(_reduced(function, arguments))
                case "SETITEM":
                    value, key = stack.pop(), stack.pop()
                    _put(stack[-1], key, value)
                case "SETITEMS":
                    items = since_mark()
                    for key, value in zip(items[::2], items[1::2], strict=True):
                        _put(stack[-1], key, value)
                case "BUILD":
                    stack.pop()  # versions of layers, which only PyTorch's own loading asks for
                case "STOP":
                    break
                case _:
                    raise _Strange
    except ValueError:  # the pickle is cut off, or a number in it is none
        raise _Strange from None
    if len(stack) != 1 or not isinstance(stack[0], dict):
        raise _Strange
    return stack[0]


def _put(target: Any, key: Any, value: Any) -> None:
    if not isinstance(target, dict) or not isinstance(key, str):
        raise _Strange
    target[key] = value


def _storage(persistent: Any) -> _Storage:
    """Return the storage that a persistent id names."""
    kind, module, key, _location, _count = persistent
    prefix, _, name = module.name.partition(" ")
    if kind != "storage" or prefix != "torch" or not isinstance(key, str):
        raise _Strange
    return _Storage(key, STORAGES[name])


def _reduced(function: Any, arguments: Any) -> Any:
    """Return what one of the two functions makes that a state dict needs."""
    if function == _Global(_ORDERED) and arguments == ():
        return {}
    if function != _Global(_REBUILD):
        raise _Strange
    storage, offset, shape, strides = arguments[:4]
    check: Callable[[Any], bool] = lambda value: type(value) is int and value >= 0  # noqa: E731
    if (
        not isinstance(storage, _Storage)
        or len(shape) != len(strides)
        or len(shape) > 8
        or not all(check(value) for value in (offset, *shape, *strides))
    ):
        raise _Strange
    return _Tensor(storage, offset, tuple(shape), tuple(strides))
