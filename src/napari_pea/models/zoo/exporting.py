"""Packages for the BioImage Model Zoo, run again as strangers do before they are handed over."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import tempfile
import warnings
import zipfile
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from math import ceil, lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.core.image import prepare_image
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.models.metadata import brings_program
from napari_pea.models.model import Model
from napari_pea.models.zoo.archive import package_path
from napari_pea.models.zoo.authors import Author, check_authors, check_licence, citation_of
from napari_pea.models.zoo.cover import cover_picture, fitting_picture
from napari_pea.models.zoo.describe import Sides, described, document, papers
from napari_pea.models.zoo.example import example_image, fitted
from napari_pea.models.zoo.outputs import Output, offsets_of, predicted, standalone
from napari_pea.models.zoo.trial import CLOSE, rerun

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import nn

#: What the files are called.
CODE, WEIGHTS, SCRIPT = "architecture.py", "weights.pt", "weights_torchscript.pt"
#: Sides of the image that a package is tried on, in pixels.
TRIED = {2: 256, 3: 48}
#: What stands at the end of the architecture file.
BUILD = '''

def build_network(scale: float = 1.0, **arguments: object) -> nn.Module:
    """Return the network of the model; weights are loaded into it."""
    return {whole}({network}(**arguments), scale)
'''
#: Steps that progress is told of.
STEPS = 5


def export_model(
    model: str | Path | Model,
    path: str | Path,
    *,
    authors: Sequence[Author | str],
    licence: str | None = None,
    citation: str | Sequence[str] | None = None,
    description: str | None = None,
    cover: str | Path | None = None,
    sample: Any = None,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Write a model as a package of the BioImage Model Zoo, format 0.5.

    The package is then run again in a process of its own, without this program, and its
    outputs compared with those of the model.

    Parameters
    ----------
    model : str, Path or Model
        A name from `list_models`, a model file, or a loaded model.
    path : str or Path
        The package; ``.zip`` is added if it is missing.
    authors : sequence of Author or str
        Who made the model: "Name; affiliation".
    licence : str, optional
        The SPDX name; by default that of the model.
    citation : str or sequence of str, optional
        What to cite besides the method, each with a DOI or an address.
    description : str, optional
        By default that of the model.
    cover : str or Path, optional
        A picture; by default the model's own, or one of what it finds in the sample.
    sample : array-like, optional
        An image of the kind that the model is for, for test tensors and cover. By default a
        made-up one.
    progress : callable
        Told the steps done and the steps in all.
    cancel : CancelToken, optional
        Checked between them, and while the package runs.

    Returns
    -------
    Path
        The package, which replaces one that is there.

    Raises
    ------
    InputError
        If something said about the model cannot stand in a package, or the package does not
        give what the model gives.
    Cancelled
        If `cancel` was set.
    """
    import torch

    from napari_pea.models.catalogue import load_model, model_of

    path = package_path(path)
    makers = check_authors(authors)
    loaded = model if isinstance(model, Model) else load_model(model, "cpu")
    if brings_program(loaded.metadata):
        raise InputError(
            f"The model {loaded.name!r} is a program of other authors: pass on the package that it "
            "came in."
        )
    loaded = model_of(loaded.network, loaded.metadata, torch.device("cpu"))
    metadata = loaded.metadata
    licence = check_licence(licence or metadata.licence)
    text = (description or metadata.description or f"Objects found by {metadata.name}.").strip()
    named = [citation] if isinstance(citation, str) else list(citation or ())
    citations = [*map(citation_of, named), *papers(metadata)]
    progress(0, STEPS)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        sides = _sides(loaded)
        image = _tried_image(loaded, sides, sample)
        outputs = _write_tensors(folder, loaded, image)
        check_cancel(cancel)
        progress(1, STEPS)
        (folder / "cover.png").write_bytes(_cover(loaded, image, cover, sample))
        (folder / "README.md").write_text(document(metadata, text, makers), encoding="utf-8")
        check_cancel(cancel)
        progress(2, STEPS)
        weights = _write_weights(folder, loaded, image)
        check_cancel(cancel)
        progress(3, STEPS)
        while True:
            told = described(
                metadata,
                authors=makers,
                licence=licence,
                text=text,
                citations=citations,
                sides=sides,
                channels=loaded.network.in_channels,
                outputs=outputs,
                offsets=offsets_of(loaded),
                weights=weights,
                hashes={file.name: _sha256(file) for file in folder.iterdir()},
            )
            package = _write_package(folder, told)
            wrong = rerun(package, cancel)
            if "torchscript" not in wrong:
                break
            # Weights for programs without Python are an extra: better none than wrong ones.
            del weights["torchscript"], wrong["torchscript"]
            (folder / SCRIPT).unlink()
        if wrong:
            raise InputError(
                f"The package of {metadata.name!r} does not give what the model gives, so it was "
                f"not kept: {next(iter(wrong.values()))}."
            )
        check_cancel(cancel)
        progress(4, STEPS)
        _validate(folder / "rdf.yaml")
        try:
            with atomic_write(path) as temporary:
                temporary.write_bytes(package.read_bytes())
        except OSError as error:
            raise InputError(f"The package could not be saved to {path}: {error}.") from error
    progress(STEPS, STEPS)
    return path


def _sides(model: Model) -> tuple[Sides, ...]:
    """Return which sizes the exported network takes, in pixels before its own resizing."""
    scale = Fraction(model.metadata.scale).limit_denominator(64)
    sizes = model.metadata.pixel_size_um
    pixels = sizes if isinstance(sizes, tuple) else (sizes,) * model.ndim
    sides = []
    for divisor, margin, pixel in zip(
        model.network.divisor, model.network.halo, pixels, strict=True
    ):
        # Steps that are whole multiples of the divisor once resized.
        step = lcm(divisor * scale.denominator, scale.numerator) // scale.numerator
        while (step * scale) % divisor:
            step += 1
        halo = ceil(margin / scale)
        smallest = step * (2 * halo // step + 1)
        sides.append(Sides(smallest, step, halo, pixel))
    return tuple(sides)


def _tried_image(model: Model, sides: Sequence[Sides], sample: Any) -> NDArray[np.float32]:
    """Return the image that the package is tried on, shape (C, *spatial)."""
    shape = [
        # Sections may be of any number: a few more than are lost at both ends.
        side.smallest + (3 if side.step == 1 else -side.step * min(0, missing // side.step))
        for side, missing in ((side, side.smallest - TRIED[model.ndim]) for side in sides)
    ]
    if sample is None:
        made = example_image(
            shape, model.metadata.object_diameter, tissue=not _tells_foreground(model)
        )
        sample = np.repeat(made[None], model.network.in_channels, axis=0)
        axis = 0
    else:
        axis = None
    channels = prepare_image(sample, model.network.in_channels, model.ndim, channel_axis=axis)
    return fitted(channels, shape).astype(np.float32)


def _tells_foreground(model: Model) -> bool:
    return getattr(model.network, "foreground_head", None) is not None


def _write_tensors(folder: Path, model: Model, image: NDArray[np.float32]) -> tuple[Output, ...]:
    """Write the test tensors, as the model computes them here, and return what they are."""
    np.save(folder / "test_image.npy", image[None])
    found = predicted(model, image)
    for output, tensor in found:
        np.save(folder / f"test_{output.name}.npy", np.ascontiguousarray(tensor[None]))
    return tuple(output for output, _ in found)


def _cover(
    model: Model, image: NDArray[np.float32], given: str | Path | None, sample: Any
) -> bytes:
    """Return the picture of the package."""
    from napari_pea.core.segmenter import Segmenter

    if given is not None:
        try:
            return fitting_picture(Path(given).read_bytes())
        except OSError as error:
            raise InputError(f"The cover {given} is no picture that can be read.") from error
    if sample is None and model.metadata.picture:
        try:
            return fitting_picture(base64.b64decode(model.metadata.picture))
        except (OSError, ValueError):
            pass  # a damaged example is no reason not to export
    labels = Segmenter(model, image, channel_axis=0).segment().labels
    return cover_picture(image, labels)


def _write_weights(folder: Path, model: Model, image: NDArray[np.float32]) -> dict[str, Any]:
    """Write architecture and weights, and return their entries."""
    import torch

    from napari_pea.models.zoo.source import standalone_source

    metadata = model.metadata
    network = standalone(model)
    whole, inner = type(network), type(model.network)
    code = standalone_source(
        f"The network of {metadata.name}.",
        whole,
        inner,
        end=BUILD.format(whole=whole.__name__, network=inner.__name__),
    )
    (folder / CODE).write_text(code, encoding="utf-8")
    torch.save(
        {name: value.clone() for name, value in network.state_dict().items()}, folder / WEIGHTS
    )
    version = torch.__version__.partition("+")[0]
    entries: dict[str, Any] = {
        "pytorch_state_dict": {
            "source": WEIGHTS,
            "sha256": _sha256(folder / WEIGHTS),
            "pytorch_version": version,
            "architecture": {
                "source": CODE,
                "sha256": _sha256(folder / CODE),
                "callable": "build_network",
                "kwargs": {"scale": metadata.scale, **_plain(model)},
            },
        }
    }
    if _write_script(folder / SCRIPT, network, torch.from_numpy(image[None])):
        entries["torchscript"] = {
            "source": SCRIPT,
            "sha256": _sha256(folder / SCRIPT),
            "pytorch_version": version,
            "parent": "pytorch_state_dict",
        }
    return entries


def _plain(model: Model) -> dict[str, Any]:
    """Return the arguments of the network's class as YAML holds them."""
    from napari_pea.core.networks import ARCHITECTURES

    factory = ARCHITECTURES[model.metadata.architecture]
    preset = factory.keywords if isinstance(factory, partial) else {}
    plain: dict[str, Any] = json.loads(json.dumps({**preset, **model.metadata.arguments}))
    return plain


def _write_script(path: Path, network: nn.Module, image: torch.Tensor) -> bool:
    """Write TorchScript, if it gives the same for images of another size and number."""
    import torch

    jit: Any = torch.jit
    normalized = (image - image.mean()) / image.std()
    other = torch.cat([normalized.flip(-1), normalized], dim=-1).repeat(2, *[1] * (image.ndim - 1))
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is called old, and warns of every condition
        try:
            traced = jit.trace(network, normalized, check_trace=False)
            same = all(
                bool(torch.allclose(one, two, atol=CLOSE))
                for one, two in zip(traced(other), network(other), strict=True)
            )
        except RuntimeError:
            return False
        if same:
            traced.save(str(path))
    return same


def _write_package(folder: Path, told: dict[str, Any]) -> Path:
    """Write the description and the archive of all files."""
    text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=100)
    (folder / "rdf.yaml").write_text(text, encoding="utf-8")
    path = folder / "package.zip"
    path.unlink(missing_ok=True)
    files = sorted(file for file in folder.iterdir() if file != path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in files:
            archive.write(file, file.name)
    return path


def _validate(description: Path) -> None:
    """Have the library of the format look at a description, where it is installed."""
    if importlib.util.find_spec("bioimageio") is None:
        return
    from bioimageio.spec import InvalidDescr, load_description

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Files were run already, and addresses need not be visited.
        found = load_description(description, perform_io_checks=False)
    if isinstance(found, InvalidDescr):
        reason = " ".join(found.validation_summary.errors[0].msg.split())
        raise InputError(f"The zoo would not take the package, so it was not kept: {reason}.")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
