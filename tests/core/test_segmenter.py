from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_pea.core import segmenter as core_segmenter
from napari_pea.core.affinity import unit_vectors
from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.margins import margins_of
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.partition import partition_affinities
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


def test_what_two_stages_share_counts_once(image: np.ndarray, known_field: Any) -> None:
    model = known_field()
    once, twice = Segmenter(model, image), Segmenter(model, image)
    found = once.evidence()
    once.restore({False: found})
    twice.restore({False: found, True: found})
    assert once.nbytes == twice.nbytes == sum(array.nbytes for array in found.arrays)


def test_affinities_of_fixed_offsets_are_partitioned_as_they_are(
    image: np.ndarray, known_field: Any
) -> None:
    model = known_field()
    segmenter = Segmenter(model, image)
    plain = {"min_size": 0, "fill_holes": False}
    for changes in ({}, {"ranges": (1, 12)}, {"strides": 3, "bias": 0.2}, {"ranges": (1, 3, 4)}):
        settings = model.recommended.updated(**plain, **changes)
        field = model.field(image)
        neighborhood = settings.neighborhood(2)
        expected = partition_affinities(
            field.affinities(neighborhood.offset_list), neighborhood, settings, field.foreground
        )
        np.testing.assert_array_equal(segmenter.segment(settings).labels, expected)
    result = Segmenter(model, image).segment()
    assert sorted(result.table["area"]) == [16, 180, 288]
    assert "variance" not in result.table


def test_averaged_masks_are_another_evidence_and_both_are_kept(
    image: np.ndarray, known_field: Any
) -> None:
    model = known_field(doubtful=2)
    segmenter = Segmenter(model, image)
    settings = model.recommended
    averaged = settings.updated(average_masks=True)
    assert not segmenter.has_evidence(settings)
    segmenter.segment(settings)
    assert segmenter.has_evidence(settings)
    assert not segmenter.has_evidence(averaged)
    table = segmenter.segment(averaged).table
    assert table["variance"].idxmax() == table["area"].idxmax()  # the doubtful one
    assert "variance" not in segmenter.segment(settings).table
    assert model.calls == [False, True]
    both = [segmenter.evidence(each) for each in (settings, averaged)]
    assert segmenter.nbytes > sum(array.nbytes for found in both for array in found.arrays)
    # Of a model that cannot, and of one with an embedding, it is ignored.
    for other in (known_field(can_average=False), StripesModel()):
        again = Segmenter(other, image)
        again.segment(average_masks=False)
        assert again.has_evidence(averaged)
        assert "variance" not in again.segment(average_masks=True).table


def test_what_a_model_keeps_saves_its_network_a_second_run(
    image: np.ndarray, known_field: Any
) -> None:
    class Keeps(known_field):
        """Runs once and is asked twice."""

        runs = 0

        def predict(self, image: Any, **_: Any) -> np.ndarray:
            self.runs += 1
            return np.asarray(image)

        def field_of(self, prediction: np.ndarray, *, average: bool = False, **_: Any) -> Any:
            return self.field(prediction, average=average)

    model = Keeps()
    segmenter = Segmenter(model, image)
    table = segmenter.segment(average_masks=True).table
    assert "variance" in table
    segmenter.segment()
    assert model.runs == 1
    assert model.calls == [True, False]


def test_a_window_of_a_field_follows_the_whole(image: np.ndarray, known_field: Any) -> None:
    model = known_field()
    segmenter = Segmenter(model, image)
    segmenter.evidence()
    region = (slice(0, 14), slice(0, 24))
    part = segmenter.window(region)
    assert part.segment().labels.max() == 2
    # The network has to look again, at the whole, which then has it too.
    assert part.segment(average_masks=True).labels.shape == (14, 24)
    assert segmenter.has_evidence(model.recommended.updated(average_masks=True))
    assert model.calls == [False, True]


def test_constraints_and_margins_work_on_a_field(image: np.ndarray, known_field: Any) -> None:
    model = known_field()
    segmenter = Segmenter(model, image)
    first, second, third = (np.flatnonzero(image.reshape(-1) == n)[0] for n in (1, 2, 3))
    pairs = np.array([[first, second]])
    nothing = np.zeros((0, 2), np.int64)
    joined = segmenter.segment(None, Constraints(pairs, nothing)).labels
    assert joined.flat[first] == joined.flat[second] != joined.flat[third]
    inside = np.array([[first, first + 10]])
    cut = segmenter.segment(None, Constraints(nothing, inside)).labels
    assert cut.flat[first] != cut.flat[first + 10]

    result = segmenter.segment()
    margins = margins_of(
        result.pieces, segmenter.evidence(), result.settings.neighborhood(2), strides=(1, 1)
    )
    assert (margins.inside[1:] > 0.5).all()
    assert margins.pairs.tolist() == [sorted(result.labels.flat[[first, second]])]


def test_what_a_model_does_not_know_is_refused_before_it_runs(
    image: np.ndarray, known_field: Any
) -> None:
    model = known_field()
    segmenter = Segmenter(model, image)
    with pytest.raises(InputError, match="range 5: take ranges out of 1, 2, 3, 4, 8, 12"):
        segmenter.segment(ranges=(1, 5))
    with pytest.raises(InputError, match="take connectivity 4"):
        segmenter.segment(connectivity=8)
    with pytest.raises(InputError, match="use mutex, multicut, average"):
        segmenter.segment(partitioner="mean-shift")
    assert not model.calls
    with pytest.raises(InputError, match="no embedding"):
        segmenter.embedding()


def test_z_ranges_that_follow_are_known_ones(known_field: Any) -> None:
    model = known_field(Neighborhood((1, 4, 12), ndim=3, z_ranges=(1, 2, 2)))
    model.recommended = model.recommended.updated(ranges=(1, 4), z_ranges=(1, 2))
    volume = np.zeros((6, 30, 30), int)
    volume[1:5, 2:14, 2:28] = 1
    volume[1:5, 14:28, 2:28] = 2
    result = Segmenter(model, volume).segment(ranges=(1, 4, 12))
    assert result.settings.z_ranges == (1, 2, 2)
    assert result.labels.max() == 2
    with pytest.raises(InputError, match="z range 6: take z ranges out of 1, 2"):
        Segmenter(model, volume).segment(ranges=(1, 4, 12), z_ranges=(1, 2, 6))
