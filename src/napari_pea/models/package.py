"""The model file: weights and JSON metadata in one safetensors file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.models.metadata import ModelMetadata

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_pea.core.networks import Network

#: How model files end.
SUFFIX = ".pea.safetensors"
#: The key of the metadata in the file's header.
KEY = "napari_pea"
#: The key of the hash of all that the file holds; older files have none.
HASH_KEY = "sha256"
#: Longer headers no model has, in bytes; nor deeper JSON, nor more weights.
MAX_HEADER, MAX_DEPTH, MAX_WEIGHTS = 1 << 22, 32, 1 << 26
#: How long the arguments of an architecture are as JSON at most, and how large a number in them.
MAX_ARGUMENTS, LARGEST_ARGUMENT = 4096, 4096
#: What a model file says that its results do not depend on: the rest and the weights make its hash.
_TALK = frozenset(
    {
        "name",
        "description",
        "version",
        "format_version",
        "recommended",
        "training_ranges",
        "offsets",
        "can_average",
        "object_diameter",
        "pixel_size_um",
        "data",
        "licence",
        "scores",
        "parent",
        "training",
        "imported_from",
        "picture",
    }
)


def save_model(path: Path, network: Network, metadata: ModelMetadata) -> Path:
    """Write a model file with weights in half precision.

    Parameters
    ----------
    path : Path
        Where to write; the suffix ``.pea.safetensors`` is added if it is missing. An
        existing file is replaced only once the new one is complete.
    network : Network
        The weights.
    metadata : ModelMetadata
        The rest; what a network of masks knows is written beside it.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the file cannot be written, for example because the disk is full.
    """
    from safetensors.torch import save_file

    if not path.name.endswith(SUFFIX):
        path = path.with_name(path.name + SUFFIX)
    metadata = metadata.model_copy(update=_known_by(network))
    # The statistics of batch norm may exceed what half precision holds, and are few.
    learned = {name for name, _ in network.named_parameters()}
    weights = {
        name: (value.half() if name in learned else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    told = metadata.model_dump_json()
    try:
        with atomic_write(path) as temporary:
            save_file(weights, temporary, metadata={KEY: told, HASH_KEY: _hash(told, weights)})
    except (OSError, SafetensorError) as error:
        raise InputError(f"The model could not be saved to {path}: {error}.") from error
    return path


def _known_by(network: Network) -> dict[str, Any]:
    """Return which affinities a network of masks knows, for those who do not load it."""
    from napari_pea.core.masks.prediction import offsets_of
    from napari_pea.core.networks import MaskUNet

    if not isinstance(network, MaskUNet):
        return {}
    return {"offsets": offsets_of(network), "can_average": bool(network.fine_lattices)}


def read_metadata(path: Path) -> ModelMetadata:
    """Read what a model file says about itself, without its weights.

    Raises
    ------
    InputError
        If the file is missing, damaged, or not a model of this program.
    """
    try:
        _check_header(path)
        # Listing models must stay quick: "pt" would import torch.
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
        told = json.loads(header[KEY])
        check_depth(told)
        return ModelMetadata.model_validate(told)
    except FileNotFoundError:
        raise InputError(f"There is no model file {path}.") from None
    except KeyError:
        raise InputError(f"{path} is not a napari-pea model: it says nothing about one.") from None
    except ValidationError as error:
        reasons = error.errors()[0]
        place = ".".join(str(part) for part in reasons["loc"])
        raise InputError(
            f"The model file {path} cannot be used: its {place} is wrong ({reasons['msg']})."
        ) from error
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise InputError(f"The model file {path} is damaged: get it again.") from error


def load_network(path: Path) -> tuple[Network, ModelMetadata]:
    """Read a model file; nothing in it is executed.

    Returns
    -------
    network : Network
        On the CPU, in single precision and evaluation mode.
    metadata : ModelMetadata

    Raises
    ------
    InputError
        If the file is missing, damaged, or not a model of this program.
    """
    metadata = read_metadata(path)
    network = load_weights(metadata, torch_tensors(path), str(path))
    return network, metadata


def load_weights(
    metadata: ModelMetadata, weights: Mapping[str, torch.Tensor], where: str
) -> Network:
    """Return the network of a model with its weights.

    Parameters
    ----------
    metadata : ModelMetadata
        Which network.
    weights : mapping
        Tensors by name, on the CPU.
    where : str
        The file that they come from, for messages.

    Returns
    -------
    Network
        On the CPU, in single precision and evaluation mode.

    Raises
    ------
    InputError
        If the weights do not fit the architecture, or are no numbers.
    """
    import torch

    from napari_pea.core.networks import build_network

    _check_arguments(metadata, where)
    # Without memory first: what a stranger's file asks for may be of any size.
    with torch.device("meta"):
        expected = build_network(metadata.architecture, metadata.arguments).state_dict()
    if {name: value.shape for name, value in weights.items()} != {
        name: value.shape for name, value in expected.items()
    } or any(
        weights[name].is_floating_point() != expected[name].is_floating_point() for name in expected
    ):
        raise InputError(
            f"The weights in {where} are damaged or do not fit its architecture: get it again."
        )
    if sum(value.numel() for value in expected.values()) > MAX_WEIGHTS:
        raise InputError(
            f"The network in {where} has more than {MAX_WEIGHTS // 1_000_000} million weights: "
            "it is not loaded."
        )
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise InputError(f"The weights in {where} hold values that are no numbers: get it again.")
    network = build_network(metadata.architecture, metadata.arguments)
    network.load_state_dict(dict(weights))
    return network.float().eval()


def copy_model(source: Path, target: Path, **changes: Any) -> Path:
    """Write the weights of a model file to another one that says something else about itself.

    Parameters
    ----------
    source, target : Path
        Model files, which may be the same one.
    **changes
        Single values of `ModelMetadata`.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    InputError
        If a file cannot be read or written.
    """
    metadata = read_metadata(source).model_copy(update=changes)
    return save_tensors(target, _tensors(source), metadata)


def save_tensors(path: Path, weights: Mapping[str, NDArray[Any]], metadata: ModelMetadata) -> Path:
    """Write a model file as `save_model` does, of arrays as they are.

    Parameters
    ----------
    path : Path
        Where to write.
    weights : mapping
        Arrays by name.
    metadata : ModelMetadata
        The rest.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    from safetensors.numpy import save_file

    told = metadata.model_dump_json()
    try:
        with atomic_write(path) as temporary:
            save_file(
                dict(weights), temporary, metadata={KEY: told, HASH_KEY: _hash(told, weights)}
            )
    except (OSError, SafetensorError) as error:
        raise InputError(f"The model could not be saved to {path}: {error}.") from error
    return path


def model_hash(path: Path) -> str:
    """Return what tells models apart that give different results, whatever they are called.

    Parameters
    ----------
    path : Path
        A model file.

    Returns
    -------
    str
        64 hexadecimal digits, of the weights and of what the file says about how images are
        treated.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    treated = read_metadata(path).model_dump(mode="json", exclude=set(_TALK))
    found = hashlib.sha256(json.dumps(treated, sort_keys=True).encode())
    for name, values in sorted(_tensors(path).items()):
        found.update(f"{name} {values.dtype} {values.shape}".encode())
        found.update(values.tobytes())
    return found.hexdigest()


def _tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return the weights of a model file without PyTorch."""
    return _checked(path, "numpy")


def torch_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a model file for PyTorch, if they are those it was written with.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    return _checked(path, "pt")


def _checked(path: Path, framework: str) -> dict[str, Any]:
    """Return the weights of a model file that are the ones it was written with."""
    try:
        _check_header(path)
        with safe_open(path, framework=framework) as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"The model file {path} is damaged: get it again.") from error
    if HASH_KEY in header and header[HASH_KEY] != _hash(header.get(KEY, ""), weights):
        raise InputError(
            f"The model file {path} is damaged, it has another hash than it was written with: "
            "get it again."
        )
    return weights


def _hash(told: str, weights: Mapping[str, Any]) -> str:
    """Return the hash of a model file, from arrays of NumPy or PyTorch."""
    found = hashlib.sha256(told.encode())
    for name, values in sorted(weights.items()):
        kind = str(values.dtype).removeprefix("torch.")
        found.update(f"{name} {kind} {tuple(values.shape)}".encode())
        found.update(_as_bytes(values).data)
    return found.hexdigest()


def _as_bytes(values: Any) -> NDArray[np.uint8]:
    """Return the bytes of an array of NumPy or PyTorch, without a copy if they lie in order."""
    if not isinstance(values, np.ndarray):
        import torch

        values = values.contiguous().reshape(-1).view(torch.uint8).numpy()
    flat: NDArray[np.uint8] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return flat


def _check_header(path: Path) -> None:
    """Make sure that a header is not longer than it can be, before it is read.

    Raises
    ------
    ValueError
        If it is.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise ValueError("the header is too long")


def check_depth(value: Any) -> None:
    """Make sure that JSON is not deeper than what models say.

    Raises
    ------
    ValueError
        If it is.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for each in level
            if isinstance(each, (dict, list))
            for item in (each.values() if isinstance(each, dict) else each)
        ]
    if level:
        raise ValueError("the description is too deep")


def _check_arguments(metadata: ModelMetadata, where: str) -> None:
    """Make sure that an architecture is built in no time."""
    told = json.dumps(metadata.arguments, default=str)
    numbers = re.findall(r"\d+", told)
    if len(told) > MAX_ARGUMENTS or any(
        len(number) > 9 or int(number) > LARGEST_ARGUMENT for number in numbers
    ):
        raise InputError(f"The network in {where} is larger than any known one: it is not built.")
