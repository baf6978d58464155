"""The model file: weights and JSON metadata in one safetensors file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.models.metadata import ModelMetadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.networks import Network

#: How model files end.
SUFFIX = ".pea.safetensors"
#: The key of the metadata in the file's header.
KEY = "napari_pea"
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
    try:
        with atomic_write(path) as temporary:
            save_file(weights, temporary, metadata={KEY: metadata.model_dump_json()})
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
        # Listing models must stay quick: "pt" would import torch.
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
        return ModelMetadata.model_validate(json.loads(header[KEY]))
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
    from napari_pea.core.networks import build_network

    metadata = read_metadata(path)
    network = build_network(metadata.architecture, metadata.arguments)
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network.load_state_dict(weights)
        finite = all(bool(value.isfinite().all()) for value in weights.values())
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(
            f"The weights in {path} are damaged or do not fit its architecture: get it again."
        ) from error
    if not finite:
        raise InputError(f"The weights in {path} hold values that are no numbers: get it again.")
    return network.float().eval(), metadata


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
    from safetensors.numpy import save_file

    metadata = read_metadata(source).model_copy(update=changes)
    weights = _tensors(source)
    try:
        with atomic_write(target) as temporary:
            save_file(weights, temporary, metadata={KEY: metadata.model_dump_json()})
    except (OSError, SafetensorError) as error:
        raise InputError(f"The model could not be saved to {target}: {error}.") from error
    return target


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
    from safetensors.numpy import load_file

    try:
        weights: dict[str, NDArray[Any]] = load_file(path)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(f"The model file {path} is damaged: get it again.") from error
    return weights
