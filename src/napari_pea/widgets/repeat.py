"""Doing again, without a window, what a result was made by."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from napari_pea.core.errors import InputError
from napari_pea.core.settings import SegmentationSettings

#: Stands for the file of an image that was not read from one.
UNKNOWN_FILE = "IMAGE.tif"


def settings_from(about: dict[str, Any]) -> SegmentationSettings:
    """Return the settings that a result carries.

    Parameters
    ----------
    about : dict
        ``metadata["napari_pea"]`` of its layer.

    Raises
    ------
    InputError
        If it has none, or they cannot be used.
    """
    told = about.get("settings")
    if not isinstance(told, dict):
        raise InputError("This layer does not say how it was made.")
    known = {field.name for field in fields(SegmentationSettings)}
    try:
        return SegmentationSettings(**{name: told[name] for name in told if name in known})
    except TypeError as error:
        raise InputError(f"The settings of this layer cannot be used: {error}.") from error


def as_command(about: dict[str, Any]) -> str:
    """Return the command line that makes a result again.

    Parameters
    ----------
    about : dict
        ``metadata["napari_pea"]`` of its layer.

    Raises
    ------
    InputError
        If the command line cannot do it.
    """
    in_blocks = about.get("kind") == "blocks"
    if about.get("kind") == "stack" or (about.get("plane") and not in_blocks):
        raise InputError(
            "The command line segments whole files, and this is one plane of a stack: copy it "
            "as Python."
        )
    if _strokes(about):
        raise InputError(
            "The command line knows no corrections, and this result has some: copy it as Python."
        )
    _not_of_a_block(about)
    settings = settings_from(about)
    image = about.get("image_path") or UNKNOWN_FILE
    if in_blocks:
        words = ["napari-pea", "volume", image, "-o", about["path"]]
    else:
        words = ["napari-pea", "segment", image, "-o", "labels"]
    words += ["--model", _model(about), "--ranges", ",".join(map(str, settings.ranges))]
    if settings.z_ranges is not None:
        words += ["--z-ranges", ",".join(map(str, settings.z_ranges))]
    if settings.connectivity is not None:
        words += ["--connectivity", str(settings.connectivity)]
    strides = settings.strides
    listed = (strides,) if isinstance(strides, int) else strides
    words += ["--strides", ",".join(map(str, listed)), f"--bias={settings.bias:g}"]
    words += ["--partitioner", settings.partitioner]
    words += ["--foreground-threshold", f"{settings.foreground_threshold:g}"]
    words += ["--min-size", str(settings.min_size)]
    words += ["--merge-fragments" if settings.merge_fragments else "--no-merge-fragments"]
    words += ["--fill-holes" if settings.fill_holes else "--no-fill-holes"]
    words += ["--average-masks" if settings.average_masks else "--no-average-masks"]
    if in_blocks:
        return shlex.join(map(str, [*words, *_in_blocks(about)]))
    for name in ("channel", "channel_axis", "tile"):
        if about.get(name) is not None:
            words += [f"--{name.replace('_', '-')}={about[name]}"]
    return shlex.join(map(str, words))


def as_python(about: dict[str, Any]) -> str:
    """Return the Python code that makes a result again.

    Parameters
    ----------
    about : dict
        ``metadata["napari_pea"]`` of its layer.

    Raises
    ------
    InputError
        If the result does not say how it was made.
    """
    _not_of_a_block(about)
    if about.get("kind") == "blocks":
        raise InputError("What was segmented in blocks is copied as a command.")
    settings = settings_from(about)
    lines = [
        "from napari_pea import Segmenter, load_model",
        "from napari_pea.io import read_image",
        "",
        f"image = read_image({about.get('image_path') or UNKNOWN_FILE!r}).array",
    ]
    plane = [tuple(taken) for taken in about.get("plane") or ()]
    if plane:
        last = max(axis for axis, _ in plane)
        taken = dict(plane)
        index = [str(taken.get(axis, ":")) for axis in range(last + 1)]
        lines.append(f"image = image[{', '.join(index)}]")
    extra = "".join(
        f", {name}={about[name]!r}"
        for name in ("channel", "channel_axis", "tile", "halo")
        if about.get(name) is not None
    )
    lines += [
        f"model = load_model({_model(about)!r})",
        f"segmenter = Segmenter(model, image{extra})",
    ]
    strokes = _strokes(about)
    arguments = []
    if strokes:
        lines += [
            "",
            "from napari_pea.core.corrections import Corrections",
            "",
            f"corrections = Corrections.from_dict({{'strokes': {strokes!r}}})",
            "constraints = corrections.constraints(segmenter.evidence().shape)",
        ]
        arguments = ["constraints=constraints"]
    arguments += [f"{name}={value!r}" for name, value in _plain(settings).items()]
    lines += ["labels = segmenter.segment(", *(f"    {each}," for each in arguments), ").labels"]
    return "\n".join(lines) + "\n"


def _in_blocks(about: dict[str, Any]) -> list[str]:
    """Return the options of the command that only images in blocks have.

    Raises
    ------
    InputError
        If the command cannot take the plane or channel.
    """
    taken, axis = dict(about.get("plane") or ()), about.get("channel_axis")
    if axis is not None:
        # It is counted without the axes that a plane was taken of.
        kept = [each for each in range(len(taken) + axis + 1) if each not in taken]
        taken[kept[axis] if axis >= 0 else axis] = about["channel"]
    if sorted(taken) != list(range(len(taken))):
        raise InputError(
            "The command line takes planes and channels of the first axes only: save the image "
            "with those axes in front."
        )
    words = []
    if taken:
        words.append(f"--index={_listed(taken[each] for each in sorted(taken))}")
    for name in ("pixel_size", "block_shape"):
        if about.get(name) is not None:
            option = name.removesuffix("_shape").replace("_", "-")
            words.append(f"--{option}={_listed(about[name])}")
    if about.get("allow_missing"):
        words.append("--allow-missing")
    return words


def _listed(numbers: Iterable[float]) -> str:
    return ",".join(f"{number:.15g}" for number in numbers)


def _not_of_a_block(about: dict[str, Any]) -> None:
    """Say that what was shown first is no result of its own."""
    if about.get("block") is not None:
        raise InputError(
            "This is a part of the image that was shown first: click “Apply to whole image”, "
            "then copy that."
        )


def _strokes(about: dict[str, Any]) -> list[Any]:
    """Return the strokes of the user's corrections, as plain values."""
    told = about.get("corrections")
    return list(told.get("strokes") or ()) if isinstance(told, dict) else []


def _plain(settings: SegmentationSettings) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


def _model(about: dict[str, Any]) -> str:
    """Return what a model is loaded by: its name, or the file of one of the user's own."""
    from napari_pea.models.catalogue import BUILT_IN_FOLDER
    from napari_pea.models.package import SUFFIX

    name, path = str(about.get("model", "")), str(about.get("model_path", ""))
    built_in = BUILT_IN_FOLDER / f"{name}{SUFFIX}"
    return path if path and path != str(built_in) else name
