"""Keys that act only while a dock is open, and take no key from anyone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from napari.viewer import Viewer


class Shortcuts:
    """The keys of a dock.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = ref(viewer)
        self._wanted: dict[str, Callable[[], Any]] = {}
        self._bound: dict[Any, Callable[[Any], None]] = {}

    @property
    def bound(self) -> list[str]:
        """The keys that act now."""
        return [str(key) for key in self._bound]

    def add(self, key: str, call: Callable[[], Any]) -> None:
        """Wish for a key.

        Parameters
        ----------
        key : str
            In napari's notation, such as "Alt-S".
        call : callable
            Called when it is pressed.
        """
        self._wanted[key] = call

    def bind(self) -> None:
        """Take the keys that are free."""
        from napari.utils.key_bindings import coerce_keybinding

        viewer = self._viewer()
        if viewer is None or self._bound:
            return
        taken = _taken_keys(viewer)
        for key, call in self._wanted.items():
            binding = coerce_keybinding(key)
            if binding in taken:
                continue

            def press(_: Any, call: Callable[[], Any] = call) -> None:
                call()

            viewer.bind_key(binding, press)
            self._bound[binding] = press

    def unbind(self) -> None:
        """Give the keys back, but for those that someone else has taken since."""
        viewer = self._viewer()
        if viewer is not None:
            for binding, press in self._bound.items():
                if viewer.keymap.get(binding) is press:
                    viewer.bind_key(binding, None)
        self._bound = {}


def _taken_keys(viewer: Viewer) -> set[Any]:
    """Return every key that the viewer, its layers or napari's actions listen to."""
    from napari import layers
    from napari.settings import get_settings
    from napari.utils.key_bindings import coerce_keybinding

    taken = {*viewer.keymap, *type(viewer).class_keymap}
    for name in layers.NAMES:
        kind = getattr(layers, name.title(), None)
        if kind is not None:
            taken |= {*kind.class_keymap}
    for keys in get_settings().shortcuts.shortcuts.values():
        taken |= {coerce_keybinding(key) for key in keys}
    return taken
