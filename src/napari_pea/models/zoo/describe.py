"""The description of a package that is exported, in format 0.5."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_pea.core.settings import SegmentationSettings
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.zoo.authors import Author
from napari_pea.models.zoo.outputs import Output

#: Any 0.5 can be read by tools for later 0.5; this one has all that is used here.
FORMAT = "0.5.4"
#: How much a value of the outputs may differ on another machine.
TOLERANCE = 1e-3
#: Added to a difference of intensities by other tools, which it must not change.
EPSILON = 1e-6
PEA = {
    "text": "Huang et al., Learning to Model Pixel-Embedded Affinity for Homogeneous Instance "
    "Segmentation, AAAI 2022",
    "doi": "10.1609/aaai.v36i1.19984",
}
LSIM = {
    "text": "Bailoni et al., Proposal-Free Volumetric Instance Segmentation from Latent "
    "Single-Instance Masks, GCPR 2020",
    "doi": "10.1007/978-3-030-71278-5_24",
}
MUTEX = {
    "text": "Wolf et al., The Mutex Watershed and its Objective: Efficient, Parameter-Free "
    "Graph Partitioning, TPAMI 2020",
    "doi": "10.1109/TPAMI.2020.2980827",
}


@dataclass(frozen=True)
class Sides:
    """Which sizes an exported network takes along an axis, in pixels of its input.

    Attributes
    ----------
    smallest, step : int
        Sizes are the smallest one plus any number of steps.
    halo : int
        How many outer pixels of the output miss some of their surroundings.
    pixel : float or None
        Its pixel size in micrometres.
    """

    smallest: int
    step: int
    halo: int
    pixel: float | None


def zoo_name(name: str) -> str:
    """Return a name that the zoo takes: letters, digits and a few signs, 5 to 64 of them."""
    kept = " ".join(re.sub(r"[^A-Za-z0-9_+\-() ]", " ", name).split())[:64].strip()
    return kept if len(kept) >= 5 else f"{kept} model".strip()


def described(
    metadata: ModelMetadata,
    *,
    authors: Sequence[Author],
    licence: str,
    text: str,
    citations: Sequence[Mapping[str, str]],
    sides: Sequence[Sides],
    channels: int,
    outputs: Sequence[Output],
    offsets: Sequence[Sequence[int]],
    weights: Mapping[str, Any],
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    """Return the description of a package.

    Parameters
    ----------
    metadata : ModelMetadata
        The model, all of which goes into ``config``.
    authors, licence, text, citations
        What the user says about it.
    sides : sequence of Sides
        One for each spatial axis.
    channels : int
        Of its images.
    outputs : sequence of Output
        What it predicts.
    offsets : sequence of offset
        Of the affinities among them, written where other programs look for them.
    weights : mapping
        Their entries by format.
    hashes : mapping
        The hashes of all files.
    """
    letters = "zyx"[-len(sides) :]

    def file(source: str) -> dict[str, str]:
        return {"source": source, "sha256": hashes[source]}

    def space(letter: str, side: Sides, size: dict[str, Any], **more: Any) -> dict[str, Any]:
        axis: dict[str, Any] = {"type": "space", "id": letter, "size": size, **more}
        return axis | ({} if side.pixel is None else {"scale": side.pixel, "unit": "micrometer"})

    normalization = metadata.normalization
    lower, upper = (
        (normalization.lower, normalization.upper)
        if normalization.kind == "percentile"
        else (0.0, 100.0)
    )
    image = {
        "id": "image",
        "description": "Raw intensities.",
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": [f"channel{n}" for n in range(channels)]},
            *(
                space(letter, side, {"min": side.smallest, "step": side.step})
                for letter, side in zip(letters, sides, strict=True)
            ),
        ],
        "data": {"type": "float32"},
        "test_tensor": file("test_image.npy"),
        "preprocessing": [
            {
                "id": "scale_range",
                "kwargs": {
                    "axes": list(letters),
                    "min_percentile": lower,
                    "max_percentile": upper,
                    "eps": EPSILON,
                },
            }
        ],
    }
    return {
        "type": "model",
        "format_version": FORMAT,
        "name": zoo_name(metadata.name),
        "description": text[:1024],
        "version": metadata.version if metadata.version.count(".") == 2 else "0.1.0",
        "authors": [author.as_dict() for author in authors],
        "license": licence,
        "cite": list(citations),
        "tags": tags_of(metadata),
        "documentation": file("README.md"),
        "covers": ["cover.png"],
        "inputs": [image],
        "outputs": [
            {
                "id": output.name,
                "description": output.text,
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": list(output.channels)},
                    *(
                        space(
                            letter,
                            side,
                            {"tensor_id": "image", "axis_id": letter, "offset": 0},
                            halo=side.halo,
                        )
                        for letter, side in zip(letters, sides, strict=True)
                    ),
                ],
                "data": {"type": "float32"},
                "test_tensor": file(f"test_{output.name}.npy"),
            }
            for output in outputs
        ],
        "weights": dict(weights),
        "config": {
            "bioimageio": {
                "reproducibility_tolerance": [
                    {"relative_tolerance": TOLERANCE, "absolute_tolerance": TOLERANCE}
                ]
            },
            "napari_pea": metadata.model_dump(mode="json"),
            **({"mws": {"offsets": list(offsets)}} if offsets else {}),
        },
    }


def papers(metadata: ModelMetadata) -> tuple[dict[str, str], ...]:
    """Return what to cite for the method of a model."""
    return (LSIM if metadata.architecture.startswith("maskunet") else PEA, MUTEX)


def tags_of(metadata: ModelMetadata) -> list[str]:
    """Return words by which the zoo finds a model."""
    return [
        "napari-pea",
        "instance-segmentation",
        "latent-masks" if metadata.architecture.startswith("maskunet") else "pixel-embedding",
        "affinity",
        "pytorch",
        f"{metadata.ndim}d",
    ]


def document(metadata: ModelMetadata, text: str, authors: Sequence[Author]) -> str:
    """Return the page of a package, with how to validate it."""
    lines = [
        f"# {zoo_name(metadata.name)}",
        "",
        text,
        "",
        f"Made by {', '.join(author.name for author in authors)} with napari-pea.",
        "",
        "## What it predicts",
        "",
        *_outputs(metadata),
        "",
        "Objects are found from there by the Mutex Watershed over pairs of several distances, "
        "which a package cannot express: open it in napari-pea, or partition affinities with any "
        "implementation.",
        "",
        *_settings(metadata.recommended),
        "",
        "Intensities are brought to 0 and 1 channel by channel, over the whole image rather than "
        "tile by tile, as the preprocessing step says.",
    ]
    if metadata.scale != 1:
        lines += ["", f"The network itself resizes images by {metadata.scale:g} and back again."]
    lines += ["", "## Training data", ""]
    lines += [
        f"- {source.name}" + (f" ({source.licence})" if source.licence else "")
        for source in metadata.data
    ] or ["The data are not published with the model."]
    if metadata.parent:
        lines += ["", f"Training started from the model `{metadata.parent}`."]
    if metadata.object_diameter:
        lines += ["", f"Its objects are about {metadata.object_diameter:.0f} pixels across."]
    lines += ["", "# Validation", ""]
    lines += _scores(metadata.scores) or ["No scores were recorded when the model was made."]
    lines += [
        "",
        "Validate on annotated images of your own that were not used for training: segment them "
        "with `napari-pea segment IMAGES -o labels --model MODEL` and compare with "
        "`napari-pea evaluate labels TRUTH`, which tells AJI, Dice, PQ and AP50. Look at the "
        "objects that are merged or split before you trust counts.",
        "",
    ]
    return "\n".join(lines)


def _outputs(metadata: ModelMetadata) -> list[str]:
    """Return what the outputs are."""
    inside = "`foreground`, if there is one, is the probability that a pixel lies in an object."
    if metadata.architecture.startswith("maskunet"):
        return [
            "`affinities` tells how surely a pixel and the one at an offset lie in one object; "
            "the offsets are those in `config: mws: offsets`, in pixels. The decoders in the "
            f"architecture make a mask of the codes of each pixel besides. {inside}"
        ]
    return [
        "`embedding` holds a vector of unit length for each pixel. Two pixels lie in one object "
        "as surely as the scalar product of their vectors is near 1, whichever pair is asked for. "
        + inside
    ]


def _settings(settings: SegmentationSettings) -> list[str]:
    return [
        "Recommended: "
        + ", ".join(
            f"{name.replace('_', ' ')} {value}"
            for name, value in (
                ("ranges", ", ".join(map(str, settings.ranges))),
                ("strides", settings.strides),
                ("bias", settings.bias),
                ("foreground_threshold", settings.foreground_threshold),
                ("min_size", settings.min_size),
            )
        )
        + "."
    ]


def _scores(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    rows = []
    for data, each in scores.items():
        shown = {name.lower(): value for name, value in each.items()}
        cells = [
            f"{shown[name]:.3f}" if name in shown else "" for name in ("aji", "dice", "pq", "ap50")
        ]
        rows.append(f"| {data} | {' | '.join(cells)} |")
    if not rows:
        return []
    return ["| data | AJI | Dice | PQ | AP50 |", "| --- | --- | --- | --- | --- |", *rows]
