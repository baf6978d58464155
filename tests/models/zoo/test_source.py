from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_pea.core.networks import ARCHITECTURES, MaskUNet, build_network
from napari_pea.models.zoo import exporting, source
from napari_pea.models.zoo.network import StandaloneEmbedding, StandaloneMasks
from napari_pea.models.zoo.source import standalone_source

SMALL: dict[str, dict[str, Any]] = {
    "maskunet2d": {
        "widths": [4, 4, 4, 4],
        "decoder_widths": [4, 4, 4],
        "dense": [1],
        "code_dim": 4,
        "foreground": True,
        "offsets": [[-1, 0], [0, -1]],
    },
    "maskunet3d": {"widths": [4] * 4, "decoder_widths": [4] * 3, "dense": [], "sparse": [1]},
    "resnet2d": {"width": 4, "decoder_widths": [4, 4, 4, 4]},
    "resunet2d": {"widths": [4, 4, 4, 4, 4], "full_resolution_skip": True},
    "resunet3d": {"widths": [4, 4, 4, 4, 4], "isotropic": True, "foreground": True},
}
#: Imports the files that were written and runs them, with everything of this program out of reach.
RUN = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("napari_pea", "napari", "scipy", "numba", "pydantic"):
            raise AssertionError("imported " + name)
sys.meta_path.insert(0, Block())
sys.path.insert(0, sys.argv[1])
import importlib, torch
for name in sys.argv[2:]:
    module = importlib.import_module(name)
    given = torch.load(f"{sys.argv[1]}/{name}.pt")
    network = module.build_network(scale=given["scale"], **given["arguments"])
    network.load_state_dict(given["weights"])
    with torch.inference_mode():
        outputs = network.eval()(given["image"])
    for output, expected in zip(outputs, given["outputs"], strict=True):
        torch.testing.assert_close(output, expected, rtol=0, atol=1e-6)
    print(name)
"""


def given_beforehand(architecture: str) -> dict[str, Any]:
    factory = ARCHITECTURES[architecture]
    return factory.keywords if isinstance(factory, partial) else {}


def test_the_code_of_networks_runs_alone_and_gives_the_same(tmp_path: Path) -> None:
    names = []
    for architecture, arguments in SMALL.items():
        for scale in (1.0, 0.5) if architecture == "resunet2d" else (1.0,):
            torch.manual_seed(0)
            network = build_network(architecture, arguments)
            kind = StandaloneMasks if isinstance(network, MaskUNet) else StandaloneEmbedding
            whole = kind(network, scale).eval()
            side = 32 if network.ndim == 2 else 16
            image = torch.rand(1, 1, *[side] * network.ndim)
            name = f"{architecture}_{len(names)}"
            end = exporting.BUILD.format(whole=kind.__name__, network=type(network).__name__)
            code = standalone_source("A network.", kind, type(network), end=end)
            (tmp_path / f"{name}.py").write_text(code)
            with torch.inference_mode():
                outputs = whole(image)
            torch.save(
                {
                    "scale": scale,
                    "arguments": {**given_beforehand(architecture), **arguments},
                    "weights": whole.state_dict(),
                    "image": image,
                    "outputs": [output.clone() for output in outputs],
                },
                tmp_path / f"{name}.pt",
            )
            names.append(name)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-c", RUN, tmp_path, *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == names


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_becomes_one_file(architecture: str) -> None:
    factory = ARCHITECTURES[architecture]
    kind = factory.func if isinstance(factory, partial) else factory
    code = standalone_source("A network.", kind)
    compile(code, "architecture.py", "exec")
    assert "napari_pea" not in code.partition('"""\n\n')[2]
    assert code.count(f"class {kind.__name__}(") == 1


def test_definitions_stand_below_what_they_need_with_their_comments() -> None:
    code = standalone_source("Code.", ARCHITECTURES["resunet3d"])
    assert code.index("class NetworkOutput") < code.index("class ResUNet3D")
    assert "#: Of the authors' batch norm.\nMOMENTUM = 0.001" in code
    assert code.startswith('"""Code.\n')


def test_names_that_mean_two_things_are_not_mixed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "napari_pea.one": "from napari_pea.two import b\nc = 1\ndef a():\n    return b() + c\n",
        "napari_pea.two": "c = 2\ndef b():\n    return c\n",
    }
    monkeypatch.setattr(source.importlib, "import_module", lambda name: name)
    monkeypatch.setattr(source.inspect, "getsource", lambda name: texts[name])

    def a() -> None: ...

    a.__module__, a.__qualname__ = "napari_pea.one", "a"
    with pytest.raises(ValueError, match="c is defined in"):
        standalone_source("Code.", a)
