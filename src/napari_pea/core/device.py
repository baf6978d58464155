"""Where a network runs, and in which precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "full", "mixed"]
DEVICE_NAMES = ("auto", "cuda", "mps", "cpu")


def available_devices() -> tuple[str, ...]:
    """Return the names of the devices present, the fastest first."""
    import torch

    present = []
    if torch.cuda.is_available():
        present.append("cuda")
    if torch.backends.mps.is_available():
        present.append("mps")
    return (*present, "cpu")


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name.

    Parameters
    ----------
    name : str
        "auto" for the fastest that is present (cuda, then mps, then cpu), or a name that
        PyTorch knows, such as "cpu" or "cuda:1".

    Raises
    ------
    InputError
        If there is no such device here.
    """
    import torch

    present = available_devices()
    if name == "auto":
        return torch.device(present[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in present:
        raise InputError(
            f"The device {name!r} is not available here; choose one of: "
            f"{', '.join(('auto', *present))}."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"The device {name!r} does not exist: there are {torch.cuda.device_count()} "
            "CUDA devices, counted from 0."
        )
    return device


def mixed_dtype(
    device: torch.device, precision: Precision = "auto", *, training: bool = False
) -> torch.dtype | None:
    """Return the half precision type that is computed in, or None for single precision.

    Parameters
    ----------
    device : torch.device
        It must compute the type natively: bfloat16 on NVIDIA GPUs since Ampere and on some
        processors, float16 on NVIDIA GPUs since Volta and on those of Apple.
    precision : {"auto", "mixed", "full"}
        "auto" and "mixed" are the same, "full" is always single precision.
    training : bool
        Whether gradients are needed. Those in float16 must be scaled up (see `Trainer`), which
        is not done on Apple's GPUs.
    """
    import torch

    if precision == "full":
        return None
    if device.type == "cuda":
        generation = torch.cuda.get_device_capability(device)
        if generation >= (8, 0):
            return torch.bfloat16
        return torch.float16 if generation >= (7, 0) else None
    if device.type == "mps" and not training:
        return torch.float16
    if device.type == "cpu" and _cpu_has_bfloat16():
        return torch.bfloat16
    return None


def autocast(
    device: torch.device, precision: Precision = "auto", *, training: bool = False
) -> AbstractContextManager[Any]:
    """Return the context in which a network is run.

    Parameters
    ----------
    device : torch.device
        Where it runs.
    precision, training
        Convolutions are computed in the type that `mixed_dtype` returns for them.
    """
    import torch

    dtype = mixed_dtype(device, precision, training=training)
    if dtype is None:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def _cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively (AVX-512 BF16 or AMX)."""
    import torch

    # Older versions of PyTorch cannot tell; single precision is right everywhere.
    detect: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = detect()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
