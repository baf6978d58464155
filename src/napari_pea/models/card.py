"""What there is to know about a model, in a few lines for the user."""

from __future__ import annotations

from collections.abc import Mapping

from napari_pea.models.catalogue import ModelEntry
from napari_pea.models.metadata import DataSource, ModelMetadata

#: The scores that the card shows, in this order, if the model has them.
SHOWN_SCORES = ("AJI", "Dice", "PQ", "AP50", "CREMI")


def card_of(entry: ModelEntry) -> dict[str, str]:
    """Return what the card of a model says.

    Parameters
    ----------
    entry : ModelEntry
        Any model; of a damaged one the card says what is wrong.

    Returns
    -------
    dict
        Headings and texts in the order in which they are read; what is not known is left out.
    """
    lines = {"From": _source(entry)}
    metadata = entry.metadata
    if metadata is None:
        lines["Problem"] = entry.problem or ""
    else:
        lines |= {
            "Finds": metadata.description,
            "Kind": f"{kind_of(metadata)}, {metadata.ndim}D",
            "Objects": _diameter(metadata),
            "Pixel size": _pixel_size(metadata.pixel_size_um),
            "Ranges": ", ".join(map(str, metadata.recommended.ranges)),
            "Trained on": "; ".join(map(_data, metadata.data)),
            "Started from": metadata.parent or "",
            "Licence": metadata.licence,
            "Version": metadata.version,
            "Scores": "; ".join(_scores(data, each) for data, each in metadata.scores.items()),
        }
    lines["Size"] = _size(entry)
    lines["File"] = str(entry.path)
    return {heading: text for heading, text in lines.items() if text}


def kind_of(metadata: ModelMetadata) -> str:
    """Return what a model predicts, for the user."""
    if metadata.can_average:
        return "single-instance masks (LSIM)"
    return "affinities of fixed offsets" if metadata.offsets else "pixel embedding (PEA)"


def matches(entry: ModelEntry, wanted: str) -> bool:
    """Whether a model is among those that a user searches for.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    wanted : str
        Words, in any order; each has to occur in the name or on the card.
    """
    text = " ".join((entry.name, *card_of(entry).values())).casefold()
    return all(word in text for word in wanted.casefold().split())


def _source(entry: ModelEntry) -> str:
    if entry.source == "built-in":
        return "the program"
    if entry.metadata is not None and entry.metadata.imported_from:
        return f"imported: {entry.metadata.imported_from}"
    return "your folder"


def _diameter(metadata: ModelMetadata) -> str:
    if not metadata.object_diameter:
        return ""
    unit = "voxels" if metadata.ndim == 3 else "pixels"
    return f"about {metadata.object_diameter:.0f} {unit} wide"


def _pixel_size(size: float | tuple[float, ...] | None) -> str:
    if size is None:
        return ""
    sides = size if isinstance(size, tuple) else (size,)
    return " × ".join(f"{side:g}" for side in sides) + " µm"


def _data(source: DataSource) -> str:
    return f"{source.name} ({source.licence})" if source.licence else source.name


def _scores(data: str, scores: Mapping[str, float]) -> str:
    """Return the scores on a data set, the best known ones only."""
    known = {name.casefold(): value for name, value in scores.items()}
    shown = [
        f"{name} {known[name.casefold()]:.3f}" for name in SHOWN_SCORES if name.casefold() in known
    ]
    return f"{data}: {', '.join(shown)}" if shown else ""


def _size(entry: ModelEntry) -> str:
    try:
        return f"{entry.path.stat().st_size / 1e6:.1f} MB"
    except OSError:
        return ""
