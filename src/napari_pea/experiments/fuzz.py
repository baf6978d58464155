"""Opening thousands of damaged and malicious files: none may do anything but be refused."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.experiments.processes import fresh_process, memory

#: Files that one process opens before the next one starts.
CHUNK = 500
#: Numbers that programs trip over.
EDGES = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0xFFFF,
    0x7FFFFFFF,
    0xFFFFFFFF,
    1 << 40,
    (1 << 63) - 1,
    (1 << 64) - 1,
)
#: Megabytes that many names of weights share.
SHARED = (1, 4, 16)
#: Names that lead out of an archive.
EVIL_NAMES = ("../x", "/etc/x", "..\\x", "C:\\x", "a/../../x", "rdf.yaml", "", ".", "\0", "a" * 300)
#: Texts that grow when they are read.
EVIL_TEXTS = (
    b"[" * 100_000,
    b"{" * 100_000,
    b"a: " * 50_000,
    b"&a [*a]",
    b"a: &a [x, x]\n" + b"".join(b"b%d: &b%d [*a, *a, *a, *a, *a]\n" % (n, n) for n in range(100)),
    b"!!python/object/apply:os.system ['true']",
    b"9" * 10_000,
    b"\xff\xfe\x00",
)
#: Values that stand where others should.
EVIL_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, float("nan"), "", "x" * 1000, "../x", [], {}, "\x1b[31m\n"),
    *([1, [2, [3]]], [1 << 20] * 5, {"a": {"b": None}}, *EDGES),
)


@dataclass
class Fuzzed:
    """What became of the files.

    Attributes
    ----------
    files, accepted, refused : int
        How many there were, were opened all the same, and were refused in one sentence.
    failures : list of str
        What must not happen: other errors, sentences that are none, files written outside of
        the model folder, and processes that ended.
    sentences : Counter
        How often each kind of sentence came.
    peak_mb : float
        The most memory that a process took, all of PyTorch included; 0 if the system does not
        tell.
    slowest : float
        Seconds that the slowest file took.
    """

    files: int = 0
    accepted: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    sentences: Counter[str] = field(default_factory=Counter)
    peak_mb: float = 0.0
    slowest: float = 0.0

    def add(self, other: Fuzzed) -> None:
        """Take what another process has seen into account."""
        self.files += other.files
        self.accepted += other.accepted
        self.refused += other.refused
        self.failures += other.failures
        self.sentences += other.sentences
        self.peak_mb = max(self.peak_mb, other.peak_mb)
        self.slowest = max(self.slowest, other.slowest)


def fuzz(
    files: int = 10_000,
    *,
    seed: int = 0,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Fuzzed:
    """Import mutated model files and packages, each chunk in a process of its own.

    Parameters
    ----------
    files : int
        How many.
    seed : int
        Of the mutations: file n of a seed is always the same.
    progress : callable
        Told the files done and in all.
    cancel : CancelToken, optional
        Checked after each chunk.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    total = Fuzzed()
    progress(0, files)
    for start in range(0, files, CHUNK):
        check_cancel(cancel)
        stop = min(start + CHUNK, files)
        with fresh_process(_fuzz_and_send, start, stop, seed, cancel=cancel) as receive:
            try:
                total.add(receive())
            except EOFError:
                total.files += stop - start
                total.failures.append(f"the process ended between file {start} and {stop}")
        progress(stop, files)
    return total


def _fuzz_and_send(send: Callable[[Fuzzed], None], start: int, stop: int, seed: int) -> None:
    send(fuzz_chunk(start, stop, seed))


def fuzz_chunk(start: int, stop: int, seed: int) -> Fuzzed:
    """Import some of the files in this process.

    Parameters
    ----------
    start, stop : int
        Which ones.
    seed : int
        See `fuzz`.
    """
    from napari_pea.models.catalogue import FOLDER_VARIABLE
    from napari_pea.models.zoo import import_model

    found = Fuzzed()
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        inbox, home, here = root / "inbox", root / "models", root / "here"
        for folder in (inbox, home, here):
            folder.mkdir()
        before, kept = os.environ.get(FOLDER_VARIABLE), Path.cwd()
        os.environ[FOLDER_VARIABLE] = str(home)
        os.chdir(here)
        try:
            seeds = seed_files()
            for number in range(start, stop):
                rng = random.Random(f"{seed} {number}")  # noqa: S311 - not for secrets
                suffix, data = mutated(seeds, rng)
                path = inbox / f"file{suffix}"
                path.write_bytes(data)
                begun = time.perf_counter()
                try:
                    import_model(path, name="file").unlink()
                    found.accepted += 1
                except InputError as error:
                    found.refused += 1
                    sentence = str(error).replace(str(path), "FILE")
                    found.sentences[_kind(sentence)] += 1
                    if "\n" in sentence or not sentence.endswith("."):
                        found.failures.append(f"file {number}: no sentence: {sentence[:200]}")
                except Exception as error:  # noqa: BLE001 - this is what is looked for
                    found.failures.append(f"file {number}: {type(error).__name__}: {error}"[:300])
                found.slowest = max(found.slowest, time.perf_counter() - begun)
                found.files += 1
                stray = [each for each in root.rglob("*") if each.is_file() and each != path]
                if stray:
                    found.failures.append(f"file {number}: left {stray[0]}")
                    for each in stray:
                        each.unlink()
                path.unlink()
            found.peak_mb = (memory("VmHWM") or 0) / 1e6
        finally:
            os.chdir(kept)
            if before is None:
                del os.environ[FOLDER_VARIABLE]
            else:
                os.environ[FOLDER_VARIABLE] = before
    return found


def seed_files() -> dict[str, bytes]:
    """Return a small model file and a small package, by their suffixes."""
    import torch

    from napari_pea.core.networks import build_network
    from napari_pea.models.metadata import ModelMetadata
    from napari_pea.models.package import SUFFIX, save_model

    arguments = {"widths": [2, 2, 2, 2, 2], "embedding_dim": 3}
    torch.manual_seed(0)
    network = build_network("resunet2d", arguments)
    metadata = ModelMetadata(name="seed", architecture="resunet2d", arguments=arguments)
    folder = Path(tempfile.mkdtemp())
    try:
        model_file = save_model(folder / "seed", network, metadata).read_bytes()
    finally:
        shutil.rmtree(folder)
    stream = io.BytesIO()
    torch.save({f"network.{key}": value for key, value in network.state_dict().items()}, stream)
    described = {
        "type": "model",
        "format_version": "0.5.4",
        "name": "seed",
        "inputs": [{"id": "image", "axes": [{"type": "batch"}, {"type": "channel"}]}],
        "outputs": [{"id": "embedding", "axes": [{"type": "batch"}, {"type": "channel"}]}],
        "weights": {"pytorch_state_dict": {"source": "weights.pt"}},
        "config": {"napari_pea": metadata.model_dump(mode="json")},
    }
    package = _archive(
        {"rdf.yaml": json.dumps(described).encode(), "weights.pt": stream.getvalue()}
    )
    return {SUFFIX: model_file, ".zip": package}


def mutated(seeds: dict[str, bytes], rng: random.Random) -> tuple[str, bytes]:
    """Return the suffix and the bytes of a changed file.

    Parameters
    ----------
    seeds : dict
        See `seed_files`.
    rng : Random
        Of all that is random.
    """
    suffix = rng.choice(list(seeds))
    data = seeds[suffix]
    if rng.random() < 0.5:
        # Past the checks of the outer format, down to what is inside.
        data = _inside(suffix, data, rng)
        if rng.random() < 0.8:
            return suffix, data
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        data = rng.choice(MUTATIONS)(data, rng)
    return suffix, data


def _inside(suffix: str, data: bytes, rng: random.Random) -> bytes:
    """Return a file whose outer format is whole and whose content is changed."""
    if suffix != ".zip":
        length = int.from_bytes(data[:8], "little")
        header = _changed_text(data[8 : 8 + length], rng)
        body = data[8 + length :]
        if rng.random() < 0.3:
            body = rng.choice(MUTATIONS)(body, rng)
        return struct.pack("<Q", len(header)) + header + body
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    target = rng.choice(list(files))
    if rng.random() < 0.1:
        files["weights.pt"] = _crowded(rng)
    elif target == "rdf.yaml":
        files[target] = _changed_text(files[target], rng)
    elif rng.random() < 0.5:
        with zipfile.ZipFile(io.BytesIO(files[target])) as archive:
            inner = {name: archive.read(name) for name in archive.namelist()}
        chosen = "data.pkl" if rng.random() < 0.7 else rng.choice(list(inner)).partition("/")[2]
        name = next(each for each in inner if each.endswith(chosen))
        inner[name] = rng.choice(MUTATIONS)(inner[name], rng)
        files[target] = _archive(inner)
    else:
        files[target] = rng.choice(MUTATIONS)(files[target], rng)
    if rng.random() < 0.15:
        files[rng.choice(EVIL_NAMES)] = b"x"
    if rng.random() < 0.05:
        files["bomb"] = bytes(5 << 20)
    return _archive(files)


def _crowded(rng: random.Random) -> bytes:
    """Return weights whose many names share few bytes, which may not take memory for each."""
    import torch

    # Noise enough not to be taken for a bomb already.
    piece = rng.randbytes(1 << 14) + bytes(1 << 20)
    one = torch.frombuffer(bytearray(piece * rng.choice(SHARED)), dtype=torch.uint8)
    stream = io.BytesIO()
    torch.save({f"network.{number}": one for number in range(rng.choice((2, 60, 300)))}, stream)
    return stream.getvalue()


def _changed_text(text: bytes, rng: random.Random) -> bytes:
    """Return JSON with bytes or whole values changed."""
    if rng.random() < 0.3:
        return rng.choice(MUTATIONS)(text, rng)
    if rng.random() < 0.2:
        place = rng.randrange(len(text))
        return text[:place] + rng.choice(EVIL_TEXTS) + text[place:]
    told: Any = json.loads(text)
    inner = told.get("__metadata__", {}).get("napari_pea") if isinstance(told, dict) else None
    if inner is not None and rng.random() < 0.7:
        about = json.loads(inner)
        _change_value(about, rng)
        told["__metadata__"] = {"napari_pea": json.dumps(about)}
    else:
        _change_value(told, rng)
    return json.dumps(told).encode()


def _change_value(told: Any, rng: random.Random) -> None:
    """Replace a value somewhere in JSON."""
    while True:
        keys = list(told) if isinstance(told, dict) else list(range(len(told)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(told[key], (dict, list)) and rng.random() < 0.85:
            told = told[key]
            continue
        if isinstance(told, dict) and rng.random() < 0.15:
            del told[key]
            return
        told[key] = rng.choice(EVIL_VALUES)
        return


def _archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _remove(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 8, 100, 5000)) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.choice((1, 8, 100, 5000))]
    return data[:start] + piece * rng.choice((1, 2, 50)) + data[start:]


def _noise(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    piece = rng.randbytes(rng.choice((1, 8, 100, 5000)))
    return data[:start] + piece + data[start + rng.choice((0, len(piece))) :]


def _edge(data: bytes, rng: random.Random) -> bytes:
    """Put a number that programs trip over somewhere, often where formats keep lengths."""
    size = rng.choice((1, 2, 4, 8))
    number = (rng.choice(EDGES) & ((1 << 8 * size) - 1)).to_bytes(
        size, rng.choice(("little", "big"))
    )
    start = rng.choice(
        (0, 0, max(0, len(data) - rng.randrange(1, 60)), rng.randrange(len(data) + 1))
    )
    return data[:start] + number + data[start + size :]


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _flip,
    _cut,
    _remove,
    _repeat,
    _noise,
    _edge,
    _edge,
)


def _kind(sentence: str) -> str:
    """Return a sentence without what differs from file to file."""
    return " ".join(word for word in sentence.split() if word.isalpha())[:70]
