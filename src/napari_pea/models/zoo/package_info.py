"""What can be told of a model file or a package without running anything in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset
from napari_pea.models.metadata import ModelMetadata, brings_program
from napari_pea.models.package import SUFFIX, check_depth, read_metadata
from napari_pea.models.zoo.archive import file_sha256, open_archive
from napari_pea.models.zoo.description import Description, file_in, read_description
from napari_pea.models.zoo.trust import is_trusted

#: Where our own metadata stand in the `config` of a package.
KEY = "napari_pea"
#: Formats of foreign weights that can be used, the preferred one first.
FORMATS = ("torchscript", "pytorch_state_dict")


@dataclass(frozen=True)
class PackageInfo:
    """What a file says about its model.

    Attributes
    ----------
    path : Path
        The file.
    kind : {"model-file", "own", "affinities"}
        A ``.pea.safetensors`` file; a package that this program has written; or one of another
        program, whose model predicts affinities of fixed offsets.
    name, description, licence : str
        For the user.
    ndim : int
        The number of spatial axes of its images.
    authors : tuple of str
        Their names.
    offsets : tuple of offset
        What it knows affinities of; empty for models that predict an embedding.
    needs_consent : bool
        Whether using it runs code of its authors.
    reasons : tuple of str
        Which code, in sentences for the user.
    sha256 : str
        The hash of the file.
    metadata : ModelMetadata or None
        All about it, if this program has written it.
    """

    path: Path
    kind: Literal["model-file", "own", "affinities"]
    name: str
    description: str
    licence: str
    ndim: int
    authors: tuple[str, ...]
    offsets: tuple[Offset, ...]
    needs_consent: bool
    reasons: tuple[str, ...]
    sha256: str
    metadata: ModelMetadata | None


def read_package(path: str | Path) -> PackageInfo:
    """Tell about a model file or a package without running anything in it.

    Parameters
    ----------
    path : str or Path
        A ``.pea.safetensors`` file or a zip archive.

    Returns
    -------
    PackageInfo

    Raises
    ------
    InputError
        If it is damaged, not to be trusted, or no model that can be used here.
    """
    path = Path(path)
    sha256 = file_sha256(path)
    if path.name.endswith(SUFFIX):
        return _of_model_file(path, sha256)
    with open_archive(path) as archive:
        described = read_description(archive)
        metadata = own_metadata(described)
        if metadata is not None:
            file_in(archive, described.weights["pytorch_state_dict"].source)
            return PackageInfo(
                path,
                "own",
                metadata.name,
                metadata.description,
                metadata.licence,
                metadata.ndim,
                described.authors,
                metadata.offsets,
                False,
                (),
                sha256,
                metadata,
            )
        weights_format(described)
        offsets = described.offsets
        return PackageInfo(
            path,
            "affinities",
            described.name,
            described.text,
            described.licence,
            len(offsets[0]),
            described.authors,
            offsets,
            True,
            reasons_of(described),
            sha256,
            None,
        )


def own_metadata(described: Description) -> ModelMetadata | None:
    """Return what this program has written into a package; None if another one made it.

    Raises
    ------
    InputError
        If that is damaged.
    """
    told: Any = described.config.get(KEY)
    if not isinstance(told, Mapping) or "architecture" not in told:
        return None
    try:
        check_depth(told)
        metadata = ModelMetadata.model_validate(told)
    except (ValidationError, ValueError, TypeError, RecursionError) as error:
        raise InputError(
            "What the package says about its model is damaged: get it again."
        ) from error
    if "pytorch_state_dict" not in described.weights:
        raise InputError("The package lacks the weights for PyTorch: get a complete package.")
    return metadata


def weights_format(described: Description) -> str:
    """Return which weights of a foreign package are used.

    Raises
    ------
    InputError
        If it has none that can be used here, or predicts no affinities.
    """
    if not described.offsets:
        raise InputError(
            f"The model {described.name!r} tells no offsets of affinities, so it cannot be used "
            "here: packages of napari-pea and models that predict affinities can."
        )
    for kind in FORMATS:
        weights = described.weights.get(kind)
        if weights is not None and (kind == "torchscript" or weights.code):
            return kind
    raise InputError(
        f"The model {described.name!r} has no weights for PyTorch with their code, only "
        f"{', '.join(described.weights) or 'none at all'}: ask its authors for TorchScript."
    )


def reasons_of(described: Description) -> tuple[str, ...]:
    """Return which code of a foreign package runs when it is used."""
    kind = weights_format(described)
    weights = described.weights[kind]
    if kind == "torchscript":
        return (f"Its network {weights.source!r} is a program (TorchScript) of its authors.",)
    return (f"Its network is built by the Python file {weights.code!r} of its authors.",)


def _of_model_file(path: Path, sha256: str) -> PackageInfo:
    metadata = read_metadata(path)
    asks = brings_program(metadata) and not is_trusted(path)
    return PackageInfo(
        path,
        "model-file",
        metadata.name,
        metadata.description,
        metadata.licence,
        metadata.ndim,
        (),
        metadata.offsets,
        asks,
        ("It holds a network that is a program of its authors.",) if asks else (),
        sha256,
        metadata,
    )
