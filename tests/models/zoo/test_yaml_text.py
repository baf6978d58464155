from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from napari_pea.core.errors import InputError
from napari_pea.models.zoo.yaml_text import read_yaml


def test_plain_values_are_read() -> None:
    text = b"a: [1, 2.5, true, null]\nb: {c: text}\nd: &x [1]\ne: *x\n"
    assert read_yaml(text, "It") == {
        "a": [1, 2.5, True, None],
        "b": {"c": "text"},
        "d": [1],
        "e": [1],
    }
    assert read_yaml(b"", "It") is None


LAUGHS = b"a0: &a0 [x, x]\n" + b"".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n".encode() for n in range(1, 30)
)
MERGES = b"a0: &a0 {k: x}\n" + b"".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]}}\n".encode()
    for n in range(1, 30)
)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1_000_000,
        b"{a: " * 250_000,
        b"- " * 500_000,
        LAUGHS,
        MERGES,
        b"a: &a [*a]",
        b"- 1\n" * 100_000,
        b"x" * (2 << 20),
    ],
    ids=["lists", "dicts", "dashes", "laughs", "merges", "itself", "many", "long"],
)
def test_too_much_is_refused_without_memory(
    text: bytes, at_most: Callable[[int], AbstractContextManager[None]]
) -> None:
    with (
        at_most(100 << 20),
        pytest.raises(InputError, match=r"^It is larger or deeper .*\.$"),
    ):
        read_yaml(text, "It")


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe\xfa",
        b"a: b: c",
        b"!!python/object/apply:os.system ['true']",
        b"!!python/name:os.system",
        b"2026-99-99",
        b"? {a: b}\n: c",
        b"a: *none",
        b"a: 1\n--- \nb: 2",
        b"9" * 5000,
        b"\0",
    ],
)
def test_damage_and_code_are_refused(text: bytes) -> None:
    with pytest.raises(InputError, match=r"^It is damaged: it is no YAML\.$"):
        read_yaml(text, "It")
