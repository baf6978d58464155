"""Making a model file of a foreign package, after trying it: this runs code of its authors."""

from __future__ import annotations

import io
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_pea.core.errors import InputError, reason_of
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.models.package import save_tensors
from napari_pea.models.zoo.archive import open_archive
from napari_pea.models.zoo.description import (
    Description,
    Tensor,
    checked_bytes,
    file_in,
    read_description,
)
from napari_pea.models.zoo.example import example_image
from napari_pea.models.zoo.foreign import (
    ForeignModel,
    ForeignNetwork,
    Plan,
    built_network,
    foreign_metadata,
)
from napari_pea.models.zoo.package_info import PackageInfo, weights_format
from napari_pea.models.zoo.steps import check_steps
from napari_pea.models.zoo.trust import trust

if TYPE_CHECKING:
    from napari_pea.core.neighborhood import Offset

#: The most that weights and code of a foreign model may have, in bytes.
MAX_WEIGHTS, MAX_CODE = 1 << 29, 1 << 20
#: A test image beyond this is not used.
MAX_IMAGE = 1 << 28
#: The most values that the smallest image of a model may have, and one a step larger.
MAX_VALUES = 1 << 25
#: Outputs further outside of 0 to 1 than this are no probabilities yet.
SLACK = 0.05


def adopt(
    info: PackageInfo,
    target: Path,
    changes: dict[str, str],
    cancel: CancelToken | None,
    *,
    apart: bool | None = None,
) -> None:
    """Write the model file of a foreign package and remember that it may run.

    Parameters
    ----------
    info : PackageInfo
        The package, to whose code the user has agreed.
    target : Path
        The model file.
    changes : dict
        What the file is to say of its name and origin.
    cancel : CancelToken, optional
        Checked between steps.
    apart : bool, optional
        Whether its affinities are high between objects; by default what running it suggests.

    Raises
    ------
    InputError
        If the model cannot be used here.
    Cancelled
        If `cancel` was set.
    """
    with open_archive(info.path) as archive:
        described = read_description(archive)
        kind = weights_format(described)
        entry = described.weights[kind]
        plan = _plan(described, kind)
        code = (
            checked_bytes(archive, entry.code, entry.code_sha256, MAX_CODE) if entry.code else b""
        )
        weights = checked_bytes(archive, entry.source, entry.sha256, MAX_WEIGHTS)
        test = described.inputs[0].test
        image = _test_image(archive.read(file_in(archive, test), MAX_IMAGE)) if test else None
    check_cancel(cancel)
    offsets = described.offsets
    metadata = foreign_metadata(
        described.name, described.text, described.licence, offsets, plan
    ).model_copy(update=changes)
    network = built_network(plan, code, weights)
    check_cancel(cancel)
    plan = _tried(network, offsets, _fitting(image, plan, described.inputs[0]))
    if apart is not None:
        plan = replace(plan, apart=apart)
    metadata = metadata.model_copy(update={"arguments": plan.as_dict()})
    # Once more as it will be used.
    model = ForeignModel(ForeignNetwork(network.inner, plan), metadata, torch.device("cpu"))
    made = example_image(plan.smallest, None, tissue=False)
    model.field(np.repeat(made[None], plan.in_channels, axis=0), channel_axis=0)
    check_cancel(cancel)
    parts = {"code": code, "weights": weights}
    arrays = {name: np.array(bytearray(data), np.uint8) for name, data in parts.items()}
    save_tensors(target, arrays, metadata)
    trust(target)


def _plan(described: Description, kind: str) -> Plan:
    """Return how the network is run, as far as its description tells."""
    if not described.inputs:
        raise InputError(
            f"The package of {described.name!r} tells nothing about the image that the model "
            "takes: ask its authors for a complete one."
        )
    if len(described.inputs) > 1:
        raise InputError(
            f"The model {described.name!r} takes {len(described.inputs)} images at once: only "
            "models that take a single one can be used here."
        )
    given, entry = described.inputs[0], described.weights[kind]
    space = [axis for axis in given.axes if axis.kind in ("z", "y", "x")]
    ndim = len(described.offsets[0])
    letters = "zyx"[-ndim:]
    if given.kinds not in {first + letters for first in ("bc", "b", "c", "")}:
        raise InputError(
            f"The model {described.name!r} takes images with the axes {given.kinds!r}, and its "
            f"offsets have {ndim}: only {'bc' + letters!r}, without b or c too, can be used here."
        )
    check_steps(given.steps, before=True)
    after = described.outputs[0].steps if described.outputs else ()
    check_steps(after, before=False)
    channels = next((axis.size for axis in given.axes if axis.kind == "c"), 1) or 1
    outer = [axis for output in described.outputs for axis in output.axes]
    halos = [
        max((axis.halo for axis in outer if axis.kind == letter), default=0) for letter in letters
    ]
    smallest = tuple(axis.size or (64 if ndim == 2 else 32) for axis in space)
    steps = tuple(axis.step or (0 if axis.size else 16) for axis in space)
    if prod(map(sum, zip(smallest, steps, strict=True))) * channels > MAX_VALUES:
        raise InputError(
            f"The model {described.name!r} takes images of {' x '.join(map(str, smallest))} pixels "
            f"and {channels} channels, growing by {' x '.join(map(str, steps))}: that is more than "
            "can be held in memory."
        )
    return Plan(
        kind,
        entry.name,
        dict(entry.arguments),
        given.kinds,
        channels,
        smallest,
        steps,
        tuple(halos),
        [(name, dict(arguments)) for name, arguments in given.steps],
        [(name, dict(arguments)) for name, arguments in after],
    )


def _test_image(data: bytes) -> NDArray[np.float32] | None:
    """Return the test image of a package; None if there is none that can be read."""
    try:
        stream = io.BytesIO(data)
        version = np.lib.format.read_magic(stream)
        read: Any = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        if dtype.hasobject or int(np.prod(shape, dtype=object)) * dtype.itemsize > len(data):
            return None
        array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
        return array.astype(np.float32)
    except (ValueError, OSError, EOFError, SyntaxError, TypeError):
        return None


def _fitting(image: NDArray[np.float32] | None, plan: Plan, given: Tensor) -> NDArray[np.float32]:
    """Return an image to try the network on, shape (C, *spatial), after its steps."""
    from napari_pea.models.zoo.steps import applied

    ndim = len(plan.smallest)
    shape = (plan.in_channels, *plan.smallest)
    if image is not None and image.ndim == len(given.axes):
        tried = image.reshape(-1, *image.shape[image.ndim - ndim :])[: plan.in_channels]
        if len(tried) == plan.in_channels:
            return applied(tried, plan.before)
    made = example_image(plan.smallest, None, tissue=False).astype(np.float32)
    return applied(np.broadcast_to(made, shape).copy(), plan.before)


def _tried(
    network: ForeignNetwork, offsets: tuple[Offset, ...], image: NDArray[np.float32]
) -> Plan:
    """Return the plan with what running the network shows about its outputs.

    Raises
    ------
    InputError
        If no output has as many channels as there are offsets, or another size than the image.
    """
    try:
        with torch.inference_mode():
            outputs = [
                output[0].float().numpy()
                for output in network.eval()(torch.from_numpy(image)[None])
            ]
    except (Exception, SystemExit) as error:
        raise InputError(f"The network of the model does not work: {reason_of(error)}.") from error
    for index, output in enumerate(outputs):
        extra = len(output) - len(offsets)
        if extra not in (0, 1):
            continue
        if output.shape[1:] != image.shape[1:]:
            raise InputError(
                "The network of the model returns another size than it gets: it cannot be used."
            )
        foreground = (index, 0) if extra else None
        if foreground is None:
            alone = [n for n, other in enumerate(outputs) if n != index and len(other) == 1]
            foreground = (alone[0], 0) if alone else None
        values = output[extra:]
        outside = bool(values.min() < -SLACK or values.max() > 1 + SLACK)
        # A change of type alone makes no probabilities.
        made = any(name != "ensure_dtype" for name, _ in network.plan.after)
        return replace(
            network.plan,
            output=index,
            first=extra,
            foreground=foreground,
            logits=outside and not made,
            apart=_tells_apart(values, offsets),
        )
    raise InputError(
        f"The model names {len(offsets)} offsets, and no output of its network has as many "
        "channels: it cannot be used."
    )


def _tells_apart(values: NDArray[np.float32], offsets: tuple[Offset, ...]) -> bool:
    """Whether affinities are high between objects, as some programs have it.

    Pixels further apart are less often of one object, so what falls with the distance tells
    how surely they are one, and what rises tells that they are not.
    """
    lengths = [max(map(abs, offset)) for offset in offsets]
    means = values.reshape(len(values), -1).mean(axis=1)
    near, far = (
        float(np.mean([mean for mean, length in zip(means, lengths, strict=True) if length == end]))
        for end in (min(lengths), max(lengths))
    )
    return near < far
