"""The files of a training run, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pea.core.progress import CancelToken, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.training.annotation import Zero
    from napari_pea.training.labelled import LabelledImage

Pairs = list[tuple[Path, Path]]


@dataclass(frozen=True)
class Reading:
    """How images and labels are read.

    Attributes
    ----------
    smallest : int
        Labelled objects with fewer pixels become background.
    channel : int, optional
        Use this channel only.
    colours : bool
        Whether the colours of colour images are kept.
    zero : {"auto", "background", "not-annotated"}
        What label 0 means.
    background, region : mapping of Path
        Files with background strokes and regions of interest of some images.
    whole_objects : bool
        Whether objects are painted whole.
    """

    smallest: int = 0
    channel: int | None = None
    colours: bool = False
    zero: Zero = "background"
    background: Mapping[Path, Path] = field(default_factory=dict)
    region: Mapping[Path, Path] = field(default_factory=dict)
    whole_objects: bool = True


def find_pairs(images: Path, labels: Path) -> Pairs:
    """Return each image with its labels.

    Raises
    ------
    InputError
        If a folder is missing or an image has no labels.
    """
    from napari_pea.io import file_pairs, image_files

    return file_pairs(image_files(images), image_files(labels))


def masks(folder: Path | None, images: Sequence[Path]) -> dict[Path, Path]:
    """Return the masks in a folder by the image that they belong to."""
    if folder is None:
        return {}
    from napari_pea.io import file_pairs, image_files

    return {image: mask for mask, image in file_pairs(image_files(folder), images)}


def pictures(folder: Path | None) -> list[NDArray[Any]]:
    """Return the images in a folder."""
    if folder is None:
        return []
    from napari_pea.io import image_files, read_image

    return [read_image(path).squeezed().array for path in image_files(folder)]


def read(
    pairs: Sequence[tuple[Path, Path]],
    reading: Reading,
    progress: Progress,
    cancel: CancelToken,
) -> list[LabelledImage]:
    """Read images and labels."""
    from napari_pea.core.refine import remove_small
    from napari_pea.io import read_image, read_labels
    from napari_pea.training.labelled import LabelledImage

    items = []
    for done, (path, labels_path) in enumerate(pairs, start=1):
        cancel.check()
        image = read_image(path).squeezed()
        array, axis = image.array, image.channel_axis
        has_colours = array.ndim == 3 and array.shape[-1] in (3, 4) and axis in (None, 2)
        if has_colours and reading.channel is None:
            # Without an axis colours become grey; how transparent they are never matters.
            array, axis = array[..., :3], -1 if reading.colours else None
        labels = remove_small(read_labels(labels_path), reading.smallest)
        items.append(
            LabelledImage(
                array,
                labels,
                path.name,
                channel=reading.channel,
                channel_axis=axis,
                zero=reading.zero,
                background=_mask(reading.background, path),
                region=_mask(reading.region, path),
                whole_objects=reading.whole_objects,
            )
        )
        progress(done, len(pairs))
    return items


def _mask(masks: Mapping[Path, Path], image: Path) -> NDArray[Any] | None:
    """Return the mask of an image, if it has one."""
    from napari_pea.io import read_labels

    return read_labels(masks[image]) if image in masks else None
