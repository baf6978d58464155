from __future__ import annotations

import pytest
import torch

from napari_pea.core.device import autocast, available_devices, choose_device, mixed_dtype
from napari_pea.core.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch):
    """Pretend that certain accelerators are there."""

    def pretend(cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


def test_the_fastest_device_comes_first(present) -> None:
    present(cuda=1, mps=True)
    assert available_devices() == ("cuda", "mps", "cpu")
    assert choose_device() == torch.device("cuda")
    present(mps=True)
    assert choose_device("auto") == torch.device("mps")
    present()
    assert available_devices() == ("cpu",)
    assert choose_device() == CPU


def test_a_device_can_be_named(present) -> None:
    present(cuda=2)
    assert choose_device("cpu") == CPU
    assert choose_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda", "mps", "gpu", "", "meta"])
def test_a_device_that_is_not_here_is_named(present, name: str) -> None:
    present()
    with pytest.raises(
        InputError, match=f"{name!r} is not available here; choose one of: auto, cpu"
    ):
        choose_device(name)


def test_a_gpu_number_that_does_not_exist_is_named(present) -> None:
    present(cuda=2)
    with pytest.raises(InputError, match="'cuda:2' does not exist: there are 2 CUDA devices"):
        choose_device("cuda:2")


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx2": True, "avx512_bf16": False}, None),
        ({}, None),
    ],
)
def test_mixed_precision_only_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], dtype: torch.dtype | None
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert mixed_dtype(CPU) == dtype


def test_a_torch_that_cannot_tell_computes_in_single_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert mixed_dtype(CPU) is None


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("generation", "dtype"),
    [
        ((6, 1), None),
        ((7, 0), torch.float16),
        ((7, 5), torch.float16),
        ((8, 0), torch.bfloat16),
        ((12, 0), torch.bfloat16),
    ],
)
def test_each_gpu_computes_in_what_it_has(
    monkeypatch: pytest.MonkeyPatch,
    generation: tuple[int, int],
    dtype: torch.dtype | None,
    training: bool,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: generation)
    cuda = torch.device("cuda:1")
    assert mixed_dtype(cuda, training=training) is dtype
    assert mixed_dtype(cuda, "mixed", training=training) is dtype
    assert mixed_dtype(cuda, "full", training=training) is None


def test_gpus_of_apple_predict_in_half_and_train_in_single_precision() -> None:
    apple = torch.device("mps")
    assert mixed_dtype(apple) is torch.float16
    assert mixed_dtype(apple, training=True) is None
    assert mixed_dtype(apple, "full") is None


@pytest.mark.parametrize(
    ("precision", "native", "dtype"),
    [
        ("auto", True, torch.bfloat16),
        ("mixed", True, torch.bfloat16),
        ("full", True, torch.float32),
        ("auto", False, torch.float32),
        ("mixed", False, torch.float32),
    ],
)
def test_convolutions_run_in_the_chosen_precision(
    monkeypatch: pytest.MonkeyPatch, precision: str, native: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    convolution = torch.nn.Conv2d(1, 2, 3)
    with torch.inference_mode(), autocast(CPU, precision):
        assert convolution(torch.ones(1, 1, 4, 4)).dtype == dtype
