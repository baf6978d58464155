from __future__ import annotations

import shutil
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from napari_pea.models.catalogue import FOLDER_VARIABLE
from napari_pea.models.zoo import export_model

AUTHORS = ["Ann Example; Institute of Examples; 0000-0001-2345-6789"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models: empty."""
    home = tmp_path / "models"
    monkeypatch.setenv(FOLDER_VARIABLE, str(home))
    return home


@pytest.fixture(scope="session")
def package(tiny_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the tiny model."""
    path = tmp_path_factory.mktemp("packages") / "tiny.zip"
    return export_model(
        tiny_model_path,
        path,
        authors=AUTHORS,
        licence="CC-BY-4.0",
        citation="Example et al., Examples, doi:10.1000/examples",
    )


@pytest.fixture
def changed(package: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write the package of the tiny model with some of its files replaced."""

    def change(
        replaced: dict[str, bytes] | None = None,
        describe: Callable[[dict[str, Any]], None] | None = None,
    ) -> Path:
        path = tmp_path / "changed.zip"
        with zipfile.ZipFile(package) as before, zipfile.ZipFile(path, "w") as after:
            for name in before.namelist():
                data = (replaced or {}).get(name, before.read(name))
                if name == "rdf.yaml" and describe is not None:
                    told = yaml.safe_load(data)
                    describe(told)
                    data = yaml.safe_dump(told).encode()
                after.writestr(name, data)
        return path

    return change


@pytest.fixture
def untouched(folder: Path, tmp_path: Path) -> Callable[[], None]:
    """Make sure that nothing was written anywhere but to the folder, and no model there."""
    before = set(tmp_path.rglob("*"))
    shutil.rmtree(folder, ignore_errors=True)

    def check() -> None:
        made = {path for path in tmp_path.rglob("*") if not path.is_relative_to(folder)}
        assert made - before == set()
        assert [path for path in folder.rglob("*") if path.is_file()] == []

    return check


@pytest.fixture
def at_most() -> Callable[[int], AbstractContextManager[None]]:
    """Make sure that no more than so many bytes are taken, at any moment."""

    @contextmanager
    def measure(limit: int) -> Iterator[None]:
        tracemalloc.start()
        try:
            yield
            assert tracemalloc.get_traced_memory()[1] < limit
        finally:
            tracemalloc.stop()

    return measure
