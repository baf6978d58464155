"""Reading images and labels from files, and writing labels to them; knows no napari."""

from __future__ import annotations

from napari_pea.io.paths import READABLE, file_pairs, image_files
from napari_pea.io.reading import ImageData, read_about, read_image, read_labels
from napari_pea.io.writing import WRITABLE, write_labels, write_table

__all__ = [
    "READABLE",
    "WRITABLE",
    "ImageData",
    "file_pairs",
    "image_files",
    "read_about",
    "read_image",
    "read_labels",
    "write_labels",
    "write_table",
]
