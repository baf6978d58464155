from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.models import catalogue
from napari_pea.widgets.sources import ImagePart
from napari_pea.widgets.work import SegmentRequest, about, segment_part


@pytest.fixture
def request_(image: np.ndarray, tiny_model_path: Path) -> SegmentRequest:
    part = ImagePart(image, (), None, None, 2, rgb=False)
    return SegmentRequest(part, tiny_model_path, "cpu", 256, True, ((0, -3),), None)


def silent(*_: object) -> None:
    """Take no notice."""


def test_everything_asked_for_is_there(request_: SegmentRequest, image: np.ndarray) -> None:
    steps: list[tuple[Any, ...]] = []
    outcome = segment_part(request_, lambda *step: steps.append(step), CancelToken())
    assert outcome.segmentation.labels.shape == image.shape
    assert outcome.colors is not None
    assert (outcome.colors.shape, outcome.colors.dtype) == ((*image.shape, 3), np.uint8)
    assert outcome.affinities[0, -3].shape == image.shape
    assert not outcome.replace
    assert steps[0] == ("Reading the image …",)
    assert ("Looking at the image …", 0, 1) in steps
    told = about(outcome, request_, "cells", None)
    assert json.loads(json.dumps(told)) == told
    assert told["settings"] == outcome.segmentation.settings.as_dict()
    assert (told["device"], told["model"]) == ("cpu", "tiny")


def test_the_tile_size_is_used(request_: SegmentRequest) -> None:
    large = np.random.default_rng(0).random((300, 200))
    request = replace(request_, part=replace(request_.part, data=large))
    steps: list[tuple[Any, ...]] = []
    segment_part(request, lambda *step: steps.append(step), CancelToken())
    assert ("Looking at the image …", 0, 2) in steps


@pytest.mark.parametrize("last", ["Reading", "Loading", "Looking", "Finding", "Colouring"])
def test_cancelling_is_heeded_at_every_step(request_: SegmentRequest, last: str) -> None:
    token = CancelToken()
    seen = []

    def report(step: str, *_: int) -> None:
        seen.append(step)
        if step.startswith(last):
            token.cancel()

    with pytest.raises(Cancelled):
        segment_part(request_, report, token)
    assert seen[-1].startswith(last)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["memory", "device", "processor"],
)
def test_too_little_memory_gets_one_sentence(
    request_: SegmentRequest, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(catalogue, "load_model", _raiser(error))
    with pytest.raises(InputError, match="smaller tile size"):
        segment_part(request_, silent, CancelToken())


def test_other_errors_are_not_hidden(
    request_: SegmentRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "load_model", _raiser(RuntimeError("something else")))
    with pytest.raises(RuntimeError, match="something else"):
        segment_part(request_, silent, CancelToken())


def _raiser(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail
