"""What the results of a batch depend on, which their files say, so that it can be resumed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pea.core.errors import InputError
from napari_pea.core.settings import SegmentationSettings
from napari_pea.models.catalogue import find_model
from napari_pea.models.package import model_hash

if TYPE_CHECKING:
    from napari_pea.models.model import Model

#: What has to be the same for an image to count as done.
DECISIVE = ("settings", "model_hash", "channel", "channel_axis", "tile", "image_modified")


@dataclass(frozen=True)
class Recipe:
    """How every image of a batch is segmented.

    Attributes
    ----------
    model : str
        The name of the model.
    model_path : Path
        Its file.
    model_hash : str
        See `napari_pea.models.package.model_hash`.
    ndim : int
        How many spatial axes it sees.
    settings : SegmentationSettings
        How embeddings become objects.
    channel, channel_axis : int or None
        Which channel, and the axis of the channels if the files do not tell.
    tile : int or None
        Side of the tiles; None for those of the network.
    """

    model: str
    model_path: Path
    model_hash: str
    ndim: int
    settings: SegmentationSettings
    channel: int | None = None
    channel_axis: int | None = None
    tile: int | None = None

    def about(self, image: Path) -> dict[str, Any]:
        """Return how the labels of an image are made, as plain values for their file."""
        try:
            modified = image.stat().st_mtime_ns
        except OSError as error:
            raise InputError(f"{image} cannot be read: {error.strerror or error}.") from error
        return {
            "kind": "labels",
            "version": version("napari-pea"),
            "image": image.stem,
            "image_path": str(image.absolute()),
            "image_modified": modified,
            "ndim": self.ndim,
            "plane": [],
            "block": None,
            "channel": self.channel,
            "channel_axis": self.channel_axis,
            "model": self.model,
            "model_path": str(self.model_path),
            "model_hash": self.model_hash,
            "tile": self.tile,
            "settings": self.settings.as_dict(),
        }

    def made(self, image: Path, labels: Path) -> int | None:
        """Return how many objects the labels of an image have, if this recipe made them.

        Parameters
        ----------
        image : Path
            The image, as it is now.
        labels : Path
            The file of the labels, which may not exist.

        Returns
        -------
        int or None
            None if they are missing, damaged, or were made in another way or of other pixels.
        """
        from napari_pea.io import read_about

        if not labels.is_file():
            return None
        try:
            told, wanted = read_about(labels) or {}, self.about(image)
        except InputError:
            return None
        n_objects = told.get("objects")
        same = all(told.get(name) == wanted[name] for name in DECISIVE)
        return n_objects if same and isinstance(n_objects, int) else None


def is_ours(labels: Path) -> bool:
    """Whether a file of labels says that a batch has made it, and nobody has changed it since.

    Batches alone count objects; labels saved from a window say where they lay in it.
    """
    from napari_pea.io import read_about

    try:
        told = set(read_about(labels) or {})
    except InputError:
        return False
    return {"settings", "objects"} <= told and not {"corrections", "place"} & told


def recipe_of(
    model: Model, name_or_path: str | Path, settings: SegmentationSettings, **options: int | None
) -> Recipe:
    """Return the recipe of a loaded model.

    Parameters
    ----------
    model : Model
        The model.
    name_or_path : str or Path
        What it was loaded by.
    settings : SegmentationSettings
        How to segment.
    **options
        `channel`, `channel_axis` and `tile`.
    """
    path = find_model(name_or_path)
    return Recipe(model.name, path, model_hash(path), model.ndim, settings, **options)
