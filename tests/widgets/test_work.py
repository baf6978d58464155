from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import ref

import numpy as np
import pytest
from napari.layers import Image

from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.core.settings import SegmentationSettings
from napari_pea.models import catalogue
from napari_pea.models.package import model_hash
from napari_pea.widgets.sources import ImagePart
from napari_pea.widgets.work import SegmentRequest, origin_of, segment_part, segment_stack


@pytest.fixture
def request_(image: np.ndarray, tiny_model_path: Path) -> Iterator[SegmentRequest]:
    part = ImagePart(image, (), None, None, 2, rgb=False)
    settings = SegmentationSettings(min_size=3)
    layer = Image(image)
    yield SegmentRequest(  # noqa: PT022 - the layer lives as long as the test
        part, tiny_model_path, "cpu", 256, None, settings, Constraints.none(), None, ref(layer)
    )


def silent(*_: object) -> None:
    """Take no notice."""


def test_labels_and_how_they_were_made(request_: SegmentRequest, image: np.ndarray) -> None:
    steps: list[tuple[Any, ...]] = []
    outcome = segment_part(request_, lambda *step: steps.append(step), CancelToken())
    assert outcome.segmentation.labels.shape == image.shape
    assert outcome.segmentation.settings == request_.settings
    assert outcome.segmenter.embedding().shape == image.shape
    assert not outcome.replace
    assert steps[0] == ("Reading the image …",)
    assert ("Looking at the image …", 0, 1) in steps
    told = origin_of(request_, outcome, "cells", None)
    assert json.loads(json.dumps(told)) == told
    assert (told["device"], told["model"], told["tile"]) == ("cpu", "tiny", 256)
    assert told["model_hash"] == model_hash(request_.model)


def test_every_plane_of_a_stack(request_: SegmentRequest, image: np.ndarray) -> None:
    stack = np.stack([image, image[::-1], image])
    part = ImagePart(stack, ((0, 1),), None, None, 3, rgb=False)
    layer = Image(stack)
    outcome = segment_part(replace(request_, part=part, source=ref(layer)), silent, CancelToken())
    session: Any = SimpleNamespace(
        part=part, segmenter=outcome.segmenter, constraints=Constraints.none(), origin={}
    )
    found = segment_stack(session, 0, request_.settings, silent, CancelToken())
    assert found.labels.shape == stack.shape
    np.testing.assert_array_equal(found.labels[0] > 0, found.labels[2] > 0)
    single = outcome.segmentation.labels
    np.testing.assert_array_equal(found.labels[1] > 0, single > 0)
    ids = np.unique(found.labels[found.labels > 0])
    np.testing.assert_array_equal(found.table["label"], ids)
    for label, plane, area in found.table[["label", "plane", "area"]].itertuples(index=False):
        assert (found.labels[plane] == label).sum() == area == (found.labels == label).sum()


def test_the_tile_size_is_used(request_: SegmentRequest) -> None:
    large = np.random.default_rng(0).random((300, 200))
    request = replace(request_, part=replace(request_.part, data=large))
    steps: list[tuple[Any, ...]] = []
    segment_part(request, lambda *step: steps.append(step), CancelToken())
    assert ("Looking at the image …", 0, 2) in steps


@pytest.mark.parametrize("last", ["Reading", "Loading", "Looking", "Finding"])
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
