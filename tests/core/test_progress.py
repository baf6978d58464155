from __future__ import annotations

import threading

import pytest

from napari_pea.core.errors import Cancelled
from napari_pea.core.progress import CancelToken, check_cancel, ignore_progress


def test_a_token_stops_the_job_once_it_is_set() -> None:
    token = CancelToken()
    token.check()
    check_cancel(token)
    assert not token.cancelled
    token.cancel()
    assert token.cancelled
    with pytest.raises(Cancelled):
        token.check()
    with pytest.raises(Cancelled):
        check_cancel(token)


def test_another_thread_can_cancel() -> None:
    token = CancelToken()
    thread = threading.Thread(target=token.cancel)
    thread.start()
    thread.join()
    with pytest.raises(Cancelled):
        token.check()


def test_a_job_without_token_goes_on() -> None:
    check_cancel(None)
    ignore_progress(1, 2)
