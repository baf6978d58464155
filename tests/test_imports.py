"""What importing loads: napari has to open fast, and the core knows no window."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(importlib.util.find_spec("napari_pea").origin).parent
WINDOW = ("napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "magicgui", "superqt")


def modules(folder: str) -> list[str]:
    """Return the names of all modules in a part of the package."""
    names = []
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )


def loaded_by(names: list[str], unwanted: tuple[str, ...]) -> list[str]:
    """Return which of the unwanted packages are loaded once the modules are imported."""
    result = run(
        f"import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {unwanted!r} if name in sys.modules])"
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_importing_the_package_loads_neither_torch_nor_a_window() -> None:
    heavy = ("torch", "numba", "numpy", "skimage", "scipy", "pandas")
    assert loaded_by(["napari_pea"], (*WINDOW, *heavy)) == []


def test_what_the_package_offers_is_found_on_first_use() -> None:
    result = run(
        "import sys, napari_pea\n"
        "napari_pea.Neighborhood; napari_pea.InputError\n"
        "assert 'Segmenter' in dir(napari_pea)\n"
        "print('torch' in sys.modules, any(n == 'napari' for n in sys.modules))"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["False", "False"]


def test_the_core_needs_torch_only_for_networks() -> None:
    names = [name for name in modules("core") if ".networks" not in name]
    assert "napari_pea.core.predict" in names
    assert loaded_by(names, ("torch",)) == []


@pytest.mark.parametrize(
    "part", ["batch", "core", "experiments", "io", "training", "models", "volumes"]
)
def test_nothing_below_the_widgets_needs_a_window(part: str) -> None:
    names = modules(part)
    assert len(names) > 3
    result = run(
        f"import importlib, sys\n"
        f"class Block:\n"
        f"    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {WINDOW!r}:\n"
        f"            raise AssertionError('imported ' + name)\n"
        f"sys.meta_path.insert(0, Block())\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
    )
    assert result.returncode == 0, result.stderr


def test_imports_go_one_way_inside_functions_too() -> None:
    above = ("napari_pea.widgets", "napari_pea.cli", "napari_pea.api")
    found = []
    for part in ("batch", "core", "experiments", "io", "training", "models", "volumes"):
        for path in sorted((PACKAGE / part).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                found += [
                    f"{path.relative_to(PACKAGE)}: {name}"
                    for name in names
                    if f"{name}.".startswith(tuple(f"{other}." for other in above))
                ]
    assert found == []


def test_opening_the_segment_dock_loads_no_more_than_it_shows() -> None:
    result = run(
        "import sys, napari\n"
        "viewer = napari.Viewer(show=False)\n"
        "before = set(sys.modules)\n"
        "viewer.window.add_plugin_dock_widget('napari-pea', 'Segment')\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert 'napari_pea' in loaded\n"
        "print(*loaded & {'torch', 'numba', 'pandas', 'zarr', 'dask', 'elf', 'skimage'},"
        " *{'scipy.ndimage', 'scipy.sparse', 'napari_pea.training'} & set(sys.modules) - before)\n"
        "viewer.close()"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
