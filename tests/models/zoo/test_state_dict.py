from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from napari_pea.core.errors import InputError
from napari_pea.models.zoo.state_dict import read_state_dict


def saved(path: Path, value: Any) -> Path:
    torch.save(value, path)
    return path


def pickled(path: Path, text: bytes, **files: bytes) -> Path:
    """Write what looks like weights, with a pickle of one's own."""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("archive/data.pkl", text)
        for name, data in files.items():
            made.writestr(f"archive/data/{name.removeprefix('f')}", data)
    return path


def repickled(source: Path, target: Path, change: Callable[[bytes], bytes]) -> Path:
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, change(data) if name.endswith("data.pkl") else data)
    return target


def test_weights_are_read_as_they_were_saved(tmp_path: Path) -> None:
    shared = torch.arange(12.0).reshape(3, 4)
    weights = {
        "plain": torch.randn(2, 3),
        "half": torch.randn(4).half(),
        "brain": torch.randn(4).bfloat16(),
        "double": torch.randn(2).double(),
        "number": torch.tensor(7),
        "flag": torch.tensor([True, False]),
        "bytes": torch.arange(3, dtype=torch.uint8),
        "transposed": shared.t(),
        "part": shared[1:, 2],
        "channels last": torch.randn(1, 3, 2, 2).to(memory_format=torch.channels_last),
    }
    for given in (weights, OrderedDict(weights)):
        found = read_state_dict(saved(tmp_path / "w.pt", given))
        assert list(found) == list(weights)
        for name, value in weights.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=0)
    found["transposed"].fill_(0)
    assert found["part"].sum() == shared[1:, 2].sum()


def test_the_weights_of_a_network_are_read(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    found = read_state_dict(saved(tmp_path / "w.pt", network.state_dict()))
    torch.testing.assert_close(found, dict(network.state_dict()), rtol=0, atol=0)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return (bytearray, (1 << 40,))


class Writing:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("open('written', 'w')",))


@pytest.mark.parametrize(
    "value",
    [
        nn.Conv2d(1, 1, 1),
        [torch.zeros(1)],
        {"a": 1},
        {"a": {"b": torch.zeros(1)}},
        {1: torch.zeros(1)},
        {"a": torch.zeros(1).to_sparse()},
        {"a": Malicious()},
        {"a": Writing()},
        torch.zeros(1),
    ],
    ids=["network", "list", "number", "nested", "key", "sparse", "memory", "code", "tensor"],
)
def test_anything_but_weights_is_refused(
    tmp_path: Path, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "w.pt", value)
    with pytest.raises(InputError, match=r"more than weights by name.*\.$"):
        read_state_dict(path)
    assert [each.name for each in tmp_path.iterdir()] == ["w.pt"]


def test_pickles_that_ask_for_memory_or_time_are_refused(
    tmp_path: Path, at_most: Callable[[int], AbstractContextManager[None]]
) -> None:
    doubling = b"\x80\x02K\x01q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(200))
    texts = {
        "memo": b"\x80\x02}r\xff\xff\xff\xffX\x01\x00\x00\x00aK\x01s.",
        "deep": b"\x80\x02" + b"}" * 100_000 + b".",
        "marks": b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".",
        "hashes": b"\x80\x02}" + doubling + doubling + b"s.",
        "bytes": b"\x80\x04\x8e" + (1 << 60).to_bytes(8, "little") + b".",
        "cut": b"\x80\x02}q",
        "empty": b"",
        "text": b"not a pickle",
    }
    for name, text in texts.items():
        path = pickled(tmp_path / f"{name}.pt", text)
        with at_most(50 << 20), pytest.raises(InputError, match=r"not opened\.$"):
            read_state_dict(path)


def test_tensors_outside_their_storage_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"a": torch.zeros(100)})
    count = pickle.dumps(100, 2)[2:-1]
    for number in (101, 1 << 30, -1):
        wrong = pickle.dumps(number, 2)[2:-1]
        bad = repickled(path, tmp_path / "bad.pt", lambda text, by=wrong: text.replace(count, by))
        with pytest.raises(InputError):
            read_state_dict(bad)
    # A stride of 0 would make any size of one value.
    stretched = repickled(
        path,
        tmp_path / "bad.pt",
        lambda text: text.replace(count + b"\x85q", b"J\xff\xff\xff\x7f\x85q", 1),
    )
    with pytest.raises(InputError):
        read_state_dict(stretched)


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        path = saved(tmp_path / "w.pt", {"a": torch.tensor([1.0, value])})
        with pytest.raises(InputError, match="no numbers"):
            read_state_dict(path)


def test_old_files_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, stream, _use_new_zipfile_serialization=False)
    (tmp_path / "old.pt").write_bytes(stream.getvalue())
    whole = saved(tmp_path / "w.pt", {"a": torch.zeros(1000)}).read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[:-100])
    flipped = bytearray(whole)
    flipped[2000] ^= 1
    (tmp_path / "flipped.pt").write_bytes(flipped)
    for name in ("old", "cut", "flipped", "none"):
        with pytest.raises(InputError):
            read_state_dict(tmp_path / f"{name}.pt")


def test_names_that_share_values_count_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = torch.ones(1 << 18)  # 1 MB
    path = saved(tmp_path / "w.pt", {str(number): one for number in range(20)})
    assert len(read_state_dict(path)) == 20
    monkeypatch.setattr("napari_pea.models.zoo.state_dict.MAX_WEIGHTS", 16 << 20)
    with pytest.raises(InputError, match=r"take more than 16 MB: they are not opened\.$"):
        read_state_dict(path)
    assert len(read_state_dict(saved(path, {str(number): one for number in range(15)}))) == 15
