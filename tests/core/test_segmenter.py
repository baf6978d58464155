from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_pea.core import segmenter as core_segmenter
from napari_pea.core.affinity import unit_vectors
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken
from napari_pea.core.segmenter import Segmenter
from napari_pea.core.settings import SegmentationSettings


class StripesModel:
    """Embeds an image of ids as if a perfect network had done so."""

    name = "stripes"
    ndim = 2
    recommended = SegmentationSettings(ranges=(1, 3), strides=1, min_size=1)

    def __init__(self) -> None:
        self.calls = 0

    def embed(self, image: Any, **_: Any) -> Embedding:
        self.calls += 1
        codes = np.eye(8, dtype=np.float32)[np.asarray(image)]
        foreground = np.where(image > 0, 0.8, 0.1).astype(np.float32)
        return Embedding(unit_vectors(np.moveaxis(codes, -1, 0)), foreground)


@pytest.fixture
def image() -> np.ndarray:
    ids = np.zeros((30, 40), dtype=int)
    ids[2:12, 2:20] = 1
    ids[12:28, 2:20] = 2
    ids[5:9, 25:29] = 3
    return ids


def test_objects_and_their_table(image: np.ndarray) -> None:
    result = Segmenter(StripesModel(), image).segment()
    np.testing.assert_array_equal(result.labels > 0, image > 0)
    assert result.labels.dtype == np.uint32
    assert sorted(result.table["area"]) == [16, 180, 288]
    assert result.model == "stripes"
    assert result.settings == StripesModel.recommended


def test_the_network_runs_once_however_settings_change(image: np.ndarray) -> None:
    model = StripesModel()
    segmenter = Segmenter(model, image)
    assert segmenter.segment().labels.max() == 3
    assert segmenter.segment(min_size=20).labels.max() == 2
    # Nothing repels at range 1 alone, so touching objects are one.
    assert segmenter.segment(ranges=(1,)).labels.max() == 2
    assert segmenter.segment(foreground_threshold=0.9).labels.max() == 0
    assert model.calls == 1


def test_changed_settings_give_what_a_fresh_segmenter_gives(image: np.ndarray) -> None:
    segmenter = Segmenter(StripesModel(), image)
    for changes in ({"strides": 3}, {"min_size": 20}, {"ranges": (1, 5)}, {"connectivity": 8}):
        again = segmenter.segment(**changes)
        fresh = Segmenter(StripesModel(), image).segment(**changes)
        np.testing.assert_array_equal(again.labels, fresh.labels)


def test_unknown_settings_are_named(image: np.ndarray) -> None:
    with pytest.raises(InputError, match="no setting 'range'"):
        Segmenter(StripesModel(), image).segment(range=3)


def test_cancelling_leaves_no_result(image: np.ndarray) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        Segmenter(StripesModel(), image).segment(cancel=token)


def test_only_what_a_setting_changes_is_computed_again(
    image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    segmenter = Segmenter(StripesModel(), image)
    partition, refine_ = segmenter.partition, core_segmenter.refine

    def counted_partition(*args: Any, **kwargs: Any) -> Any:
        done.append("partition")
        return partition(*args, **kwargs)

    def counted_refine(*args: Any, **kwargs: Any) -> Any:
        done.append("refine")
        return refine_(*args, **kwargs)

    segmenter.partition = counted_partition
    monkeypatch.setattr(core_segmenter, "refine", counted_refine)
    for changes, expected in (
        ({}, ["partition", "refine"]),
        ({}, []),
        ({"min_size": 20}, ["refine"]),
        ({"min_size": 20, "fill_holes": False}, ["refine"]),
        ({"bias": 0.1}, ["partition", "refine"]),
        ({"bias": 0.1, "strides": 2}, ["partition", "refine"]),
    ):
        done.clear()
        segmenter.segment(**changes)
        assert done == expected


def test_a_window_needs_no_network(image: np.ndarray) -> None:
    model = StripesModel()
    segmenter = Segmenter(model, image)
    with pytest.raises(InputError, match="once the whole image was embedded"):
        segmenter.window((slice(0, 5), slice(0, 5)))
    whole = segmenter.segment()
    region = (slice(0, 14), slice(0, 24))
    part = segmenter.window(region)
    np.testing.assert_array_equal(
        part.embedding().vectors, segmenter.embedding().vectors[(slice(None), *region)]
    )
    labels = part.segment().labels
    np.testing.assert_array_equal(labels > 0, whole.labels[region] > 0)
    assert labels.max() == 2
    assert model.calls == 1


def test_the_size_of_the_cache_is_known(image: np.ndarray) -> None:
    segmenter = Segmenter(StripesModel(), image)
    assert segmenter.nbytes == 0
    segmenter.segment()
    assert segmenter.nbytes > segmenter.embedding().vectors.nbytes
