"""Doing something with many blocks, on this machine or on many, through dask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, check_cancel

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")
#: How long a scheduler may take to answer.
PATIENCE = "20s"
#: A way to call a function for many items; results come in any order.
Map = Callable[[Callable[[Item], Result], Sequence[Item]], Iterator[Result]]


@contextmanager
def mapping(
    workers: int, scheduler: str | Client | None, cancel: CancelToken | None
) -> Iterator[Any]:
    """Give a way to call a function for many items.

    Parameters
    ----------
    workers : int
        Threads of this process, if there is no scheduler.
    scheduler : str or Client, optional
        The address of a dask scheduler, such as ``tcp://10.0.0.1:8786``, or a client of
        `dask.distributed`.
    cancel : CancelToken, optional
        Checked between items; what is under way then ends by itself.

    Yields
    ------
    Map
        Takes a function and items, and yields the results as they come.

    Raises
    ------
    InputError
        If there are no workers, or the scheduler does not answer.
    """
    if workers < 1:
        raise InputError(f"A job needs at least 1 worker, not {workers}.")
    if scheduler is None:
        yield lambda function, items: _on_threads(function, items, workers, cancel)
        return
    client, is_ours = _client(scheduler)
    try:
        yield lambda function, items: _on_cluster(function, items, client, cancel)
    finally:
        if is_ours:
            client.close()


def _on_threads(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    cancel: CancelToken | None,
) -> Iterator[Result]:
    """Call a function in threads of this process, a few items at a time."""
    from dask.base import compute
    from dask.delayed import delayed

    for start in range(0, len(items), workers):
        check_cancel(cancel)
        some = [delayed(function)(item) for item in items[start : start + workers]]
        if len(some) == 1:
            yield function(items[start])
        else:
            yield from compute(*some, scheduler="threads", num_workers=workers)


def _on_cluster(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    client: Client,
    cancel: CancelToken | None,
) -> Iterator[Result]:
    """Call a function on the workers of a cluster."""
    from distributed import as_completed

    futures = client.map(function, items, pure=False)
    try:
        for future in as_completed(futures):
            check_cancel(cancel)
            yield future.result()
            future.release()
    finally:
        client.cancel(futures)


def _client(scheduler: str | Client) -> tuple[Client, bool]:
    """Return a client, and whether it was made here."""
    if not isinstance(scheduler, str):
        return scheduler, False
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            'A cluster needs dask.distributed: pip install "napari-pea[cluster]".'
        ) from error
    try:
        return Client(scheduler, timeout=PATIENCE), True
    except (OSError, ValueError) as error:
        raise InputError(f"The scheduler {scheduler} does not answer: {error}.") from error
