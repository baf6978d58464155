from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from napari_pea.core.affinity import label_affinities
from napari_pea.core.errors import InputError
from napari_pea.core.field import AffinityField
from napari_pea.core.masks.prediction import MaskPrediction
from napari_pea.core.neighborhood import graph_offsets, sparse_offsets
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.papers.lsim_scoring import (
    affinities_of,
    better,
    objects_of,
    score_masks,
    scored,
)
from napari_pea.training.labelled import LabelledImage


@dataclass
class Knowing:
    """A model without masks whose sparse branch is always right."""

    labels: np.ndarray
    name: str = "knowing"
    recommended: SegmentationSettings = field(
        default_factory=lambda: SegmentationSettings(min_size=20)
    )

    @property
    def ndim(self) -> int:
        return self.labels.ndim

    def predict(self, image, **_):
        offsets = sparse_offsets(0, self.ndim)
        affinities, _ = label_affinities(self.labels, offsets)
        foreground = (self.labels > 0).astype(np.float32) if self.ndim == 2 else None
        said = AffinityField(affinities.astype(np.float32), offsets, foreground)
        return MaskPrediction((), said, said, foreground)


def truth(ndim):
    plane = np.kron([[1, 2], [3, 3]], np.ones((16, 16), np.int32))
    if ndim == 3:
        return np.stack([plane] * 4)
    plane[20:] = 0
    return plane


@pytest.mark.parametrize("ndim", [2, 3])
def test_perfect_affinities_score_well_in_both_ways(ndim) -> None:
    labels = truth(ndim)
    item = LabelledImage(labels.astype(np.float32), labels, "made up", group="made-up")
    scores = score_masks(Knowing(labels), [item], ["sparse"])
    if ndim == 3:
        assert scores["sparse/mutex/cremi"] == pytest.approx(0, abs=1e-6)
        assert scores["sparse/average/cremi"] < 0.05  # pieces end beside a border at times
    else:
        assert scores["sparse/mutex/aji"] == 1
        assert scores["sparse/average/aji"] > 0.9
    assert {"network_seconds", "affinity_seconds"} < set(scores)


def test_affinities_are_those_of_the_graph_and_objects_lie_in_the_foreground() -> None:
    labels = truth(2)
    model = Knowing(labels)
    found = model.predict(None)
    affinities = affinities_of(model, found, ["sparse"])["sparse"]
    wanted, _ = label_affinities(labels, graph_offsets(2))
    np.testing.assert_array_equal(affinities, wanted)
    objects = objects_of(model, found, np.ones_like(affinities), "mutex")
    np.testing.assert_array_equal(objects, labels > 0)


def test_a_source_that_a_model_lacks_is_named() -> None:
    model = Knowing(truth(2))
    with pytest.raises(InputError, match="'knowing' has no masks"):
        affinities_of(model, model.predict(None), ["averaged"])
    with pytest.raises(InputError, match="no affinities of the kind 'sparse'"):
        affinities_of(model, MaskPrediction((), None, None, None), ["sparse"])


def test_volumes_are_scored_by_connected_components() -> None:
    labels = np.zeros((1, 8, 20), np.int32)
    labels[..., :6] = labels[..., 14:] = 1  # one id, two components
    pieces = labels.copy()
    pieces[..., 14:] *= 2
    assert scored(pieces, labels)["cremi"] == pytest.approx(0, abs=1e-6)
    assert scored(pieces[0], labels[0])["aji"] < 1


def test_lower_is_better_for_errors_only() -> None:
    assert better("cremi", 0.2, 0.5) == pytest.approx(0.3)
    assert better("aji", 0.2, 0.5) == pytest.approx(-0.3)
