"""Runs a package as a stranger does: PyTorch, NumPy and PyYAML, and nothing of this program.

Started as a script of its own: ``python -P rerun.py PACKAGE.zip``. It writes one line of JSON:
for each format of the weights the largest difference to each test tensor, or what went wrong.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

warnings.simplefilter("ignore")


def scaled(image: Any, arguments: dict[str, Any]) -> Any:
    """Return an image after `scale_range`, channel by channel."""
    axes = tuple(range(2, image.ndim))
    quantiles = (arguments["min_percentile"] / 100, arguments["max_percentile"] / 100)
    low, high = (np.quantile(image, level, axis=axes, keepdims=True) for level in quantiles)
    return ((image - low) / (high - low + arguments["eps"])).astype(np.float32)


def network_of(folder: Path, entry: dict[str, Any]) -> Any:
    """Return the network that the architecture file makes, with its weights."""
    code = entry["architecture"]
    place = importlib.util.spec_from_file_location("architecture", folder / code["source"])
    assert place is not None  # noqa: S101 - the package was written a moment ago
    assert place.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(place)
    sys.modules["architecture"] = module
    place.loader.exec_module(module)
    network = getattr(module, code["callable"])(**code["kwargs"])
    network.load_state_dict(torch.load(folder / entry["source"], weights_only=True))
    return network


def differences(folder: Path) -> dict[str, Any]:
    """Return what running the package gives."""
    told = yaml.safe_load((folder / "rdf.yaml").read_text(encoding="utf-8"))
    given = told["inputs"][0]
    image = np.load(folder / given["test_tensor"]["source"])
    for step in given["preprocessing"]:
        image = scaled(image, step["kwargs"])
    expected = [np.load(folder / out["test_tensor"]["source"]) for out in told["outputs"]]
    found: dict[str, Any] = {}
    jit: Any = torch.jit
    for kind, entry in told["weights"].items():
        try:
            if kind == "torchscript":
                network = jit.load(folder / entry["source"])
            else:
                network = network_of(folder, entry)
            with torch.inference_mode():
                outputs = network.eval()(torch.from_numpy(image))
            outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
            found[kind] = [
                float(np.abs(output.numpy() - wanted).max())
                for output, wanted in zip(outputs, expected, strict=True)
            ]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what a stranger meets
            found[kind] = f"{type(error).__name__}: {error}"
    found["needs"] = sorted(name for name in sys.modules if name.startswith("napari"))
    return found


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    with tempfile.TemporaryDirectory() as made, zipfile.ZipFile(sys.argv[1]) as package:
        package.extractall(made)
        sys.stdout.write(json.dumps(differences(Path(made))))
