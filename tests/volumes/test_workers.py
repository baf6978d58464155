"""The same function for many items, in threads or on a cluster."""

from __future__ import annotations

import pytest

from napari_pea.core.errors import Cancelled
from napari_pea.core.progress import CancelToken
from napari_pea.volumes.workers import mapping


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_give_a_result_for_each_item(workers):
    with mapping(workers, None, None) as each:
        assert sorted(each(square, list(range(7)))) == [0, 1, 4, 9, 16, 25, 36]
        assert list(each(square, [])) == []


def test_a_client_of_a_cluster_gives_a_result_for_each_item():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        with mapping(1, client, None) as each:
            assert sorted(each(square, [3, 4])) == [9, 16]
        with mapping(1, cluster.scheduler_address, None) as each:
            assert list(each(square, [5])) == [25]
        assert client.submit(square, 2).result() == 4  # still open


def test_cancelling_stops_between_items():
    token = CancelToken()
    with mapping(1, None, token) as each:
        results = each(square, [1, 2, 3])
        assert next(results) == 1
        token.cancel()
        with pytest.raises(Cancelled):
            next(results)
