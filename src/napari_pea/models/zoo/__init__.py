"""Models that travel: packages of the BioImage Model Zoo, and everything that is opened.

What strangers wrote is looked at before it is used, and no code of theirs runs unless the user
has agreed to it.
"""

from __future__ import annotations

from napari_pea.models.zoo.authors import LICENCES, Author
from napari_pea.models.zoo.download import download, fetched
from napari_pea.models.zoo.exporting import export_model
from napari_pea.models.zoo.importing import import_model
from napari_pea.models.zoo.package_info import PackageInfo, read_package

__all__ = [
    "LICENCES",
    "Author",
    "PackageInfo",
    "download",
    "export_model",
    "fetched",
    "import_model",
    "read_package",
]
