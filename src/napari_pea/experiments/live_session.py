"""A session of random actions of a user, with the dock and with napari alone."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.experiments.benchmark_inference import sample_image
from napari_pea.experiments.benchmark_live import check_display
from napari_pea.experiments.live_windows import AFTER, PeaWindow, PlainWindow
from napari_pea.experiments.watch import (
    OwnTime,
    Stall,
    StallWatch,
    keep_running,
    memory,
    running_threads,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What a user does, and how often.
ACTIONS = {
    "drag": 30,
    "type": 12,
    "paint": 18,
    "undo": 10,
    "switch": 10,
    "rename": 8,
    "segment": 6,
    "delete image": 2,
    "close dock": 2,
    "close viewer": 2,
}
SHAPE = (512, 512)


def measure_session(
    model: str = "nuclei",
    *,
    actions: int = 300,
    seed: int = 0,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Do the same random things with the dock and with napari alone.

    Parameters
    ----------
    model : str
        A name from `list_models`.
    actions : int
        How many; images are deleted, docks and viewers closed while something is running.
    seed : int
        Of the actions.
    progress : callable
        Told the actions done and in all.
    cancel : CancelToken, optional
        Checked before each action.

    Returns
    -------
    dict
        ``actions``, ``longest_stall`` and ``longest_stall_alone`` in seconds, with the
        action that caused each, ``longest_busy`` and ``longest_busy_alone`` likewise (see
        `napari_pea.experiments.watch.Stall`), ``stalls`` by action with and without the dock,
        ``own_code`` (the longest time that our code held the window) and where,
        ``first_use_stall`` (imports and compilation, apart), ``errors``,
        ``leaked_threads``, and ``memory_before`` and ``memory_after`` in 10^6 bytes.

    Raises
    ------
    InputError
        If no window can be opened.
    """
    check_display()
    keep_running()
    script = _script(actions, seed)
    total = 2 * actions
    done = 0

    def step() -> None:
        nonlocal done
        check_cancel(cancel)
        done += 1
        progress(done, total)

    image = sample_image(SHAPE)
    with _Errors() as errors:
        warm = _rehearsed(PeaWindow, image, model)
        # The first viewer loads much that stays: what counts is what comes on top.
        before, threads = memory(), Counter(running_threads())
        with OwnTime() as own:
            stalls = _play(PeaWindow(image, model), script, step)
        after = memory()
        leaked = sorted((Counter(running_threads()) - threads).elements())
    _rehearsed(PlainWindow, image, model)
    with OwnTime():  # watching costs the same on both sides
        alone = _play(PlainWindow(image, model), script, step)
    return {
        "actions": actions,
        **_longest(stalls, ""),
        **_longest(alone, "_alone"),
        "stalls": {
            name: [max(played[name])._asdict() for played in (stalls, alone)]
            for name in sorted(stalls)
        },
        "first_use_stall": warm,
        "own_code": own.worst,
        "own_code_where": own.where,
        "errors": errors.seen,
        "leaked_threads": leaked,
        "memory_before": before,
        "memory_after": after,
    }


def _script(actions: int, seed: int) -> list[tuple[str, int]]:
    """Return what is done, each with a number that decides about its details."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    names, weights = zip(*ACTIONS.items(), strict=True)
    # Whatever the draw says, everything happens.
    chosen = [*names, *draw.choices(names, weights, k=max(0, actions - len(names)))]
    draw.shuffle(chosen)
    return [(name, draw.randrange(10**6)) for name in chosen[:actions]]


def _rehearsed(kind: Any, image: NDArray[Any], model: str) -> float:
    """Do everything once; return the longest stall."""
    stalls = _play(kind(image, model), [(name, 1) for name in ACTIONS], lambda: None)
    return max(max(each).seconds for each in stalls.values())


def _play(
    window: Any, script: list[tuple[str, int]], step: Callable[[], None]
) -> dict[str, list[Stall]]:
    """Play a script; return the longest stall of every action by name."""
    from qtpy.QtCore import QCoreApplication

    stalls: dict[str, list[Stall]] = {}
    watch = StallWatch(QCoreApplication.instance())
    window.open()
    window.segment()
    for name, number in script:
        step()
        window.turn(0.02)
        watch.take()
        getattr(window, name.replace(" ", "_"))(random.Random(number))  # noqa: S311
        window.turn(AFTER)
        stalls.setdefault(name, []).append(watch.take())
    window.settle()
    window.viewer.layers.clear()
    window.close()
    watch.stop()
    return stalls


def _longest(stalls: dict[str, list[Stall]], suffix: str) -> dict[str, Any]:
    """Return the longest stalls of all, and which actions caused them."""
    found: dict[str, Any] = {}
    for key, kind in (("longest_stall", "seconds"), ("longest_busy", "busy")):
        longest = {name: max(getattr(one, kind) for one in each) for name, each in stalls.items()}
        action = max(longest, key=lambda name: longest[name])
        found |= {f"{key}{suffix}": longest[action], f"{key}{suffix}_action": action}
    return found


class _Errors:
    """Collects every exception that nobody handled."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __enter__(self) -> _Errors:
        from napari.utils.notifications import notification_manager

        self._hook, self._thread_hook = sys.excepthook, threading.excepthook
        sys.excepthook = lambda kind, error, _: self.seen.append(f"{kind.__name__}: {error}")
        threading.excepthook = lambda args: self.seen.append(
            f"{args.exc_type.__name__}: {args.exc_value}"
        )
        notification_manager.notification_ready.connect(self._on_notification)
        return self

    def __exit__(self, *_: object) -> None:
        from napari.utils.notifications import notification_manager

        notification_manager.notification_ready.disconnect(self._on_notification)
        sys.excepthook, threading.excepthook = self._hook, self._thread_hook

    def _on_notification(self, event: Any) -> None:
        if str(event.severity) == "error":
            self.seen.append(str(event.message))
