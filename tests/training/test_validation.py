from __future__ import annotations

from dataclasses import replace

import pytest

from napari_pea.core.errors import Cancelled
from napari_pea.core.metrics import evaluate
from napari_pea.core.progress import CancelToken
from napari_pea.core.settings import SegmentationSettings
from napari_pea.training import validation
from napari_pea.training.validation import SCORES, SegmentationScorer

SETTINGS = SegmentationSettings(ranges=(1, 3))


def test_images_of_one_group_have_one_mean(make_tiny_network, make_discs) -> None:
    scores = SegmentationScorer([make_discs(0), make_discs(1)], SETTINGS)(make_tiny_network())
    assert tuple(scores) == SCORES
    assert all(0 <= value <= 1 for value in scores.values())


def test_groups_are_scored_apart_and_count_the_same(make_tiny_network, make_discs) -> None:
    groups = ("a", "b", "b")
    images = [replace(make_discs(seed), group=group) for seed, group in enumerate(groups)]
    network = make_tiny_network()
    scores = SegmentationScorer(images, SETTINGS)(network)
    for group in "ab":
        alone = SegmentationScorer([i for i in images if i.group == group], SETTINGS)(network)
        assert {name: scores[f"{group}/{name}"] for name in SCORES} == alone
    for name in SCORES:
        assert scores[name] == pytest.approx((scores[f"a/{name}"] + scores[f"b/{name}"]) / 2)


def test_scoring_stops_at_the_next_image(make_tiny_network, make_discs, monkeypatch) -> None:
    token = CancelToken()
    scored: list[object] = []

    def stopping(*arguments: object) -> dict[str, float]:
        scored.append(arguments)
        token.cancel()
        return evaluate(*arguments)

    monkeypatch.setattr(validation, "evaluate", stopping)
    scorer = SegmentationScorer([make_discs(0), make_discs(1)], SETTINGS)
    with pytest.raises(Cancelled):
        scorer(make_tiny_network(), token)
    assert len(scored) == 1
