"""What descriptions of foreign models ask to be done before and after the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.errors import InputError

Step = tuple[str, Mapping[str, Any]]
#: Kept away from zero where a description says nothing about it.
EPSILON = 1e-6


def check_steps(steps: Sequence[Step], before: bool) -> None:
    """Make sure that all steps are known.

    Parameters
    ----------
    steps : sequence of (str, mapping)
        Names and arguments.
    before : bool
        Whether they come before the network.

    Raises
    ------
    InputError
        If one is not.
    """
    for name, _ in steps:
        if name not in (_BEFORE if before else _AFTER):
            raise InputError(
                f"The model asks for the step {name[:60]!r}, which is not known here: it cannot "
                "be used."
            )


def applied(values: NDArray[np.float32], steps: Sequence[Step]) -> NDArray[np.float32]:
    """Return values after all steps.

    Parameters
    ----------
    values : array of float32, shape (C, *spatial)
        Of one image.
    steps : sequence of (str, mapping)
        Known ones: see `check_steps`.

    Raises
    ------
    InputError
        If an argument makes no sense.
    """
    for name, arguments in steps:
        try:
            values = _BEFORE[name](values, arguments).astype(np.float32, copy=False)
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(
                f"The step {name!r} of the model has arguments that make no sense."
            ) from error
    return values


def _axes(values: NDArray[np.float32], arguments: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the axes that are treated jointly: with the channels only if they are named."""
    named = arguments.get("axes")
    jointly = named is None or any(str(axis).startswith("c") for axis in named)
    return tuple(range(0 if jointly else 1, values.ndim))


def _standardized(values: NDArray[np.float32], given: Mapping[str, Any]) -> NDArray[Any]:
    if given.get("mode") == "fixed":
        return _fixed(values, given)
    axes = _axes(values, given)
    mean, deviation = (
        values.mean(axis=axes, keepdims=True),
        values.std(axis=axes, keepdims=True),
    )
    scaled: NDArray[Any] = (values - mean) / (deviation + float(given.get("eps", EPSILON)))
    return scaled


def _fixed(values: NDArray[np.float32], given: Mapping[str, Any]) -> NDArray[Any]:
    mean, deviation = (_by_channel(values, given[name]) for name in ("mean", "std"))
    scaled: NDArray[Any] = (values - mean) / deviation
    return scaled


def _range(values: NDArray[np.float32], given: Mapping[str, Any]) -> NDArray[Any]:
    axes = _axes(values, given)
    low, high = (
        np.percentile(values, float(given.get(name, default)), axis=axes, keepdims=True)
        for name, default in (("min_percentile", 0), ("max_percentile", 100))
    )
    scaled: NDArray[Any] = (values - low) / (high - low + float(given.get("eps", EPSILON)))
    return scaled


def _linear(values: NDArray[np.float32], given: Mapping[str, Any]) -> NDArray[Any]:
    scaled: NDArray[Any] = values * _by_channel(values, given.get("gain", 1.0)) + _by_channel(
        values, given.get("offset", 0.0)
    )
    return scaled


def _clipped(values: NDArray[np.float32], given: Mapping[str, Any]) -> NDArray[Any]:
    return np.clip(values, given.get("min"), given.get("max"))


def _sigmoid(values: NDArray[np.float32], _: Mapping[str, Any]) -> NDArray[Any]:
    return sigmoid(values)


def sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logistic function of values."""
    with np.errstate(over="ignore"):
        return (1 / (1 + np.exp(-values))).astype(np.float32)


def _same(values: NDArray[np.float32], _: Mapping[str, Any]) -> NDArray[Any]:
    return values


def _by_channel(values: NDArray[np.float32], number: Any) -> NDArray[np.float32]:
    """Return a number, or one for each channel, so that it fits the values."""
    array = np.asarray(number, dtype=np.float32)
    return array.reshape(-1, *[1] * (values.ndim - 1)) if array.ndim else array


_AFTER: dict[str, Callable[[NDArray[np.float32], Mapping[str, Any]], NDArray[Any]]] = {
    "sigmoid": _sigmoid,
    "clip": _clipped,
    "scale_linear": _linear,
    "ensure_dtype": _same,
}
_BEFORE = {
    **_AFTER,
    "zero_mean_unit_variance": _standardized,
    "fixed_zero_mean_unit_variance": _fixed,
    "scale_range": _range,
}
