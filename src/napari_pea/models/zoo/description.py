"""What a package of the BioImage Model Zoo says about itself, formats 0.4 and 0.5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset
from napari_pea.models.zoo.archive import Archive
from napari_pea.models.zoo.yaml_text import MAX_BYTES, read_yaml

#: What the description of a package is called, the newest name first.
NAMES = ("bioimageio.yaml", "rdf.yaml", "model.yaml")
#: Where other programs have written the offsets of their affinities.
OFFSET_KEYS = (("mws", "offsets"), ("affinities", "offsets"), ("offsets",))
#: More offsets no model has; longer ones neither.
MAX_OFFSETS, LONGEST = 256, 1024


@dataclass(frozen=True)
class Weights:
    """Weights in one of their formats.

    Attributes
    ----------
    source : str
        The file in the archive.
    sha256 : str
        Its hash; empty if the description tells none.
    code, code_sha256 : str
        The file with the architecture, and its hash; empty for formats without.
    name : str
        What makes the network in that file.
    arguments : mapping
        With which.
    """

    source: str
    sha256: str = ""
    code: str = ""
    code_sha256: str = ""
    name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Axis:
    """An axis of a tensor.

    Attributes
    ----------
    kind : {"b", "c", "z", "y", "x", …}
        Batch, channel, or which one in space.
    size : int or None
        Its size, or its smallest one; None if that is not told.
    step : int
        By how much it may be larger; 0 if it may not.
    halo : int
        How many outer pixels of an output are worth nothing.
    """

    kind: str
    size: int | None = None
    step: int = 0
    halo: int = 0


@dataclass(frozen=True)
class Tensor:
    """An input or an output.

    Attributes
    ----------
    name : str
        Its name.
    axes : tuple of Axis
        In order.
    steps : tuple of (str, dict)
        What is done before or after the network: names and arguments.
    test : str
        The file with its test tensor; empty if there is none.
    """

    name: str
    axes: tuple[Axis, ...]
    steps: tuple[tuple[str, Mapping[str, Any]], ...]
    test: str = ""

    @property
    def kinds(self) -> str:
        """The kinds of its axes, such as "bcyx"."""
        return "".join(axis.kind for axis in self.axes)


@dataclass(frozen=True)
class Description:
    """A model as its package describes it.

    Attributes
    ----------
    name, text, licence : str
        For the user.
    authors : tuple of str
        Their names.
    inputs, outputs : tuple of Tensor
        What goes in and comes out.
    weights : dict
        By format.
    config : mapping
        What programs have written for themselves.
    """

    name: str
    text: str
    licence: str
    authors: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: Mapping[str, Weights]
    config: Mapping[str, Any]

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """The offsets of its affinities; empty if it says nothing about any."""
        for keys in OFFSET_KEYS:
            found: Any = self.config
            for key in keys:
                found = found.get(key) if isinstance(found, Mapping) else None
            if found is not None:
                return _offsets(found)
        return ()


def read_description(archive: Archive) -> Description:
    """Return what a package says about itself.

    Raises
    ------
    InputError
        If there is no description in it, or one that cannot be used.
    """
    name = next((name for name in NAMES if name in archive), None)
    if name is None:
        raise InputError(
            f"The archive {archive.path} is no package of a model: it has no {NAMES[1]}."
        )
    what = f"The description in {archive.path}"
    told = read_yaml(archive.read(name, MAX_BYTES), what)
    version = str(told.get("format_version", "")) if isinstance(told, dict) else ""
    if not isinstance(told, dict) or told.get("type", "model") != "model" or not version:
        raise InputError(f"{what} is that of something else than a model.")
    if not version.startswith(("0.4.", "0.5.")):
        raise InputError(
            f"{what} has format {version[:20]!r}: formats 0.4 and 0.5 can be read, so ask for a "
            "newer package."
        )
    try:
        return Description(
            name=_text(told.get("name")),
            text=_text(told.get("description")),
            licence=_text(told.get("license")),
            authors=tuple(_text(author.get("name")) for author in told.get("authors") or ()),
            inputs=_tensors(told, "inputs", "preprocessing"),
            outputs=_tensors(told, "outputs", "postprocessing"),
            weights={
                str(kind): _weights(kind, entry)
                for kind, entry in told["weights"].items()
                if isinstance(entry, dict) and "source" in entry
            },
            config=dict(told.get("config") or {}),
        )
    except (TypeError, ValueError, KeyError, AttributeError, LookupError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what} does not keep to its format {version[:20]!r}.") from error


def file_in(archive: Archive, source: str) -> str:
    """Return the name in an archive of what a description points to.

    Raises
    ------
    InputError
        If that is an address or lies outside, because packages hold all they need.
    """
    name = str(PurePosixPath(source))
    if name not in archive:
        raise InputError(
            f"The package {archive.path} does not hold {source[:80]!r}: get a complete package."
        )
    return name


def checked_bytes(archive: Archive, source: str, sha256: str, limit: int) -> bytes:
    """Return a file of a package whose hash is the one that the description tells.

    Parameters
    ----------
    archive : Archive
        The package.
    source, sha256 : str
        The file as the description names it, and its hash; an empty one is not checked.
    limit : int
        The most bytes it may have.

    Raises
    ------
    InputError
        If it is missing, too large, damaged, or another one.
    """
    import hashlib

    data = archive.read(file_in(archive, source), limit)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256.lower():
        raise InputError(
            f"The file {source[:80]!r} in {archive.path} has another hash than its description "
            "tells: get the package again."
        )
    return data


def _text(value: Any) -> str:
    """Return a text in one line without what a terminal would take for a command."""
    text = "" if value is None else str(value)
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:2000]


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 1 << 20:
        raise ValueError(value)
    return value


def _offsets(found: Any) -> tuple[Offset, ...]:
    ok = isinstance(found, Sequence) and 0 < len(found) <= MAX_OFFSETS
    if not ok or not all(
        isinstance(offset, Sequence)
        and len(offset) == len(found[0])
        and len(offset) in (2, 3)
        and all(type(step) is int and abs(step) <= LONGEST for step in offset)
        and any(offset)
        for offset in found
    ):
        raise InputError("The offsets of the model are no list of whole numbers for each axis.")
    offsets = tuple(tuple(offset) for offset in found)
    if len(set(offsets)) < len(offsets):
        raise InputError("The model names an offset of its affinities twice.")
    return offsets


def _weights(kind: str, entry: dict[str, Any]) -> Weights:
    code: Any = entry.get("architecture") if kind == "pytorch_state_dict" else None
    source, sha256 = str(entry["source"]), str(entry.get("sha256") or "")
    if isinstance(code, str):  # 0.4: "file.py:Name"
        file, _, name = code.rpartition(":")
        return Weights(
            source,
            sha256,
            code=file,
            code_sha256=str(entry.get("architecture_sha256") or ""),
            name=name,
            arguments=dict(entry.get("kwargs") or {}),
        )
    if isinstance(code, dict):
        return Weights(
            source,
            sha256,
            code=str(code.get("source") or ""),
            code_sha256=str(code.get("sha256") or ""),
            name=str(code["callable"]),
            arguments=dict(code.get("kwargs") or {}),
        )
    return Weights(source, sha256)


def _tensors(told: dict[str, Any], key: str, steps_key: str) -> tuple[Tensor, ...]:
    tests = told.get(f"test_{key}") or ()
    return tuple(
        _tensor(entry, steps_key, str(tests[index]) if index < len(tests) else "")
        for index, entry in enumerate(told[key])
    )


def _tensor(entry: dict[str, Any], steps_key: str, test: str) -> Tensor:
    axes = entry["axes"]
    described = _axes_04(entry) if isinstance(axes, str) else tuple(_axis_05(axis) for axis in axes)
    test_tensor = entry.get("test_tensor")
    if isinstance(test_tensor, dict):
        test = str(test_tensor.get("source") or "")
    steps = tuple(
        (str(step.get("id", step.get("name"))), dict(step.get("kwargs") or {}))
        for step in entry.get(steps_key) or ()
    )
    return Tensor(str(entry.get("id", entry.get("name"))), described, steps, test)


def _axes_04(entry: dict[str, Any]) -> tuple[Axis, ...]:
    """Return the axes of format 0.4: letters, and a shape that is a list or minimum and step."""
    letters, shape = entry["axes"], entry.get("shape")
    sizes: list[int | None] = [None] * len(letters)
    steps = [0] * len(letters)
    if isinstance(shape, list):
        sizes = [_whole(size) for size in shape]
    elif isinstance(shape, dict) and "min" in shape:
        sizes = [_whole(size) for size in shape["min"]]
        steps = [_whole(step) for step in shape["step"]]
    halos = [_whole(halo) for halo in entry.get("halo") or [0] * len(letters)]
    return tuple(
        Axis(letter, size, step, halo)
        for letter, size, step, halo in zip(letters, sizes, steps, halos, strict=True)
    )


def _axis_05(axis: dict[str, Any]) -> Axis:
    kind = {"batch": "b", "channel": "c", "time": "t", "index": "i"}.get(axis["type"], "")
    if axis["type"] == "space":
        # Some programs add to the names of axes, as in "y_in".
        kind = str(axis.get("id", "x")).partition("_")[0]
    size, halo = axis.get("size"), _whole(axis.get("halo") or 0)
    if kind == "c" and size is None:
        size = len(axis.get("channel_names") or ())
    if isinstance(size, dict) and "min" in size:
        return Axis(kind, _whole(size["min"]), _whole(size["step"]), halo)
    if isinstance(size, dict) and "offset" in size and size["offset"]:
        raise InputError("The model returns another size than it gets: this is not supported.")
    return Axis(kind, _whole(size) if type(size) is int else None, 0, halo)
