"""Getting ready, without holding up the window: devices and compiled code."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

from qtpy.QtCore import QObject, Signal


class DeviceFinder(QObject):
    """Asks PyTorch for its devices in another thread: importing it takes seconds."""

    #: The names of the devices, the fastest first.
    found = Signal(tuple)

    def start(self) -> None:
        """Start looking, and have compiled what the first click needs."""
        Thread(target=self._look, name="napari-pea devices", daemon=True).start()

    def _look(self) -> None:
        # A broken PyTorch is reported when the user starts something. A RuntimeError means
        # that the program was closed meanwhile.
        with suppress(ImportError, OSError, RuntimeError):
            from napari_pea.core.device import available_devices

            self.found.emit(available_devices())
            from napari_pea.core.warm import compile_elsewhere, warm_up

            process = compile_elsewhere()
            if process is None or process.wait() == 0:
                warm_up()
