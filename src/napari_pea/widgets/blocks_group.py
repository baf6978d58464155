"""Segmenting all of an image block by block, to disk, however large it is."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_pea.core.errors import InputError
from napari_pea.volumes.grid import BLOCKS
from napari_pea.widgets.blocks import (
    BlocksRequest,
    check_is_of,
    fits_memory,
    is_lazy,
    labels_on_disk,
    part_text,
    segment_in_blocks,
)
from napari_pea.widgets.forms import form, row
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.layers import ResultWriter
from napari_pea.widgets.live import Live
from napari_pea.widgets.live_jobs import Target, count_text
from napari_pea.widgets.places import pixel_size_of
from napari_pea.widgets.ranges import numbers_from
from napari_pea.widgets.state import SegmentState

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer
    from qtpy.QtGui import QHideEvent

    from napari_pea.volumes.job import VolumeResult

#: How the name of the labels ends.
SUFFIX = ".zarr"
#: What is said when a job is left before its end.
LEFT = "Stopped; what is done is kept, and Resume goes on."
#: What the button does, by what lies at the place of the labels.
_TEXTS = {
    "none": ("Segment in blocks", "Segment all of the image, piece by piece."),
    "unfinished": ("Resume", "Go on with the job that was not finished."),
    "finished": ("Open", "Show the labels that are there."),
}


class BlocksRunner(JobRunner):
    """Runs the blockwise job of one dock."""

    def cancel(self, status: str = LEFT) -> None:
        """Leave the job under way; it can be resumed."""
        super().cancel(status)


class BlocksGroup(QWidget):
    """Where the labels go, how large blocks are, and the buttons of the job.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : SegmentState
        The state of the viewer.
    live : Live
        Knows what the user has chosen.
    """

    def __init__(self, viewer: Viewer, state: SegmentState, live: Live) -> None:
        super().__init__()
        self._layers = viewer.layers
        self._state = state
        self._live = live
        self._suggested = ""
        #: Its jobs may last for hours, beside those of the other controls.
        self._progress = SegmentState()
        self._runner = BlocksRunner(self._progress, self)
        self._make_controls()
        self._lay_out()
        self.output_edit.textChanged.connect(self.refresh)
        self.browse_button.clicked.connect(self._on_browse_clicked)
        self.blocks_button.clicked.connect(self._on_clicked)
        self.again_button.clicked.connect(lambda: self._start(resume=False, overwrite=True))
        self.stop_button.clicked.connect(lambda: self._runner.cancel())
        self._runner.ended.connect(self.refresh)
        self._progress.events.connect(self.refresh)
        self.refresh()

    def _make_controls(self) -> None:
        self.output_edit = QLineEdit(self)
        self.output_edit.setObjectName("blocks_output_edit")
        self.output_edit.setPlaceholderText("a folder: labels.zarr")
        self.output_edit.setToolTip(
            "Where the labels are written, as OME-Zarr: a folder that ends with .zarr. What is "
            "done so far is kept beside it."
        )
        self.browse_button = QToolButton(self)
        self.browse_button.setText("…")
        self.browse_button.setToolTip("Choose where the labels are written.")
        self.block_edit = QLineEdit(self)
        self.block_edit.setObjectName("block_edit")
        self.block_edit.setToolTip(
            "Sides of a block in pixels, one for each axis; memory grows with them."
        )
        self.workers_spin = QSpinBox(self)
        self.workers_spin.setObjectName("blocks_workers_spin")
        self.workers_spin.setRange(1, max(1, os.cpu_count() or 1))
        self.workers_spin.setToolTip("Blocks that are worked on at the same time.")
        self.missing_check = QCheckBox("Missing chunks are empty", self)
        self.missing_check.setObjectName("blocks_missing_check")
        self.missing_check.setToolTip(
            "Chunks of a Zarr array that are not stored are empty on purpose, and no damage."
        )
        self.blocks_button = self._button("blocks_button")
        self.again_button = self._button("blocks_again_button")
        self.again_button.setText("Begin anew")
        self.again_button.setToolTip("Replace what is there.")
        self.stop_button = self._button("blocks_stop_button")
        self.stop_button.setText("Stop")
        self.stop_button.setToolTip("Stop; what is done is kept, and the job can be resumed.")
        self.progress_bar = QProgressBar(self)
        self.progress_bar.setObjectName("blocks_progress")
        self.progress_bar.setMaximumHeight(self.fontMetrics().lineSpacing())
        self.blocks_label = QLabel(self)
        self.blocks_label.setObjectName("blocks_label")
        self.blocks_label.setWordWrap(True)

    def _button(self, name: str) -> QPushButton:
        button = QPushButton(self)
        button.setObjectName(name)
        return button

    def _lay_out(self) -> None:
        controls = form()
        controls.addRow("Labels", row(self.output_edit, self.browse_button))
        controls.addRow("Block", self.block_edit)
        controls.addRow("At a time", self.workers_spin)
        controls.addRow(self.missing_check)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(controls)
        layout.addLayout(row(self.blocks_button, self.again_button, self.stop_button))
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.blocks_label)

    @property
    def idle(self) -> bool:
        """Whether no job is under way."""
        return not self._progress.busy

    def advises(self) -> bool:
        """Whether the chosen image is one for which blocks are made."""
        target = self._live.target
        return target is not None and (is_lazy(target.layer) or not fits_memory(target.part))

    def refresh(self, _: object = None) -> None:
        """Show what can be done."""
        if not isalive(self):
            return
        target, busy = self._live.target, self._progress.busy
        self.block_edit.setPlaceholderText(", ".join(map(str, BLOCKS[self._state.live.ndim])))
        self._suggest(target)
        there = "none" if busy else self._there()
        text, tooltip = _TEXTS[there]
        self.blocks_button.setText(text)
        self.blocks_button.setToolTip(tooltip)
        self.blocks_button.setEnabled(target is not None and not busy)
        self.again_button.setVisible(there != "none" and not busy)
        self.again_button.setEnabled(target is not None)
        self.stop_button.setVisible(busy)
        for control in (
            self.output_edit,
            self.browse_button,
            self.block_edit,
            self.workers_spin,
            self.missing_check,
        ):
            control.setEnabled(not busy)
        self.progress_bar.setVisible(busy)
        self.progress_bar.setRange(0, self._progress.total if self._progress.total > 1 else 0)
        self.progress_bar.setValue(self._progress.done)
        said = self._progress.status
        if not said and there == "unfinished":
            said = "There is an unfinished job for these labels."
        self.blocks_label.setText(said)
        self.blocks_label.setVisible(bool(said))

    def _suggest(self, target: Target | None) -> None:
        """Propose a place beside the file of the image, unless the user has chosen one."""
        if self._progress.busy or self.output_edit.text() != self._suggested:
            return
        path = None if target is None else target.layer.source.path
        self._suggested = ""
        if target is not None and path and "://" not in str(path):
            beside, which = Path(path), part_text(_described(target))
            name = f"{beside.name.partition('.')[0]}{which} labels{SUFFIX}"
            self._suggested = str(beside.with_name(name))
        if self.output_edit.text() != self._suggested:
            self.output_edit.setText(self._suggested)

    def _there(self) -> str:
        """Return what lies at the place of the labels."""
        text = self.output_edit.text().strip()
        if not text.endswith(SUFFIX):
            return "none"
        from napari_pea.volumes.arrays import job_state

        return job_state(Path(text).expanduser())

    def _on_browse_clicked(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self,
            "Where the labels are written",
            self.output_edit.text() or f"labels{SUFFIX}",
            f"OME-Zarr (*{SUFFIX})",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if path:
            self.output_edit.setText(path if path.endswith(SUFFIX) else f"{path}{SUFFIX}")

    def _on_clicked(self) -> None:
        there = self._there()
        if there == "finished":
            self._open()
        else:
            self._start(resume=there == "unfinished", overwrite=False)

    def _open(self) -> None:
        """Show labels that were written before."""
        try:
            target, output = self._live.target, self._output()
            if target is None:
                return
            image, part = target.layer, target.part
            described = _described(target)
            levels = labels_on_disk(output, part, described)
            about = {**described, "path": str(output)}
            writer = ResultWriter(self._layers, self._state.results, image, part, about)
            layer = writer.write_levels(levels)
            self._progress.status = f"Opened {layer.name!r}."
        except InputError as error:
            self._refuse(error)

    def _start(self, *, resume: bool, overwrite: bool) -> None:
        """Start the job, or go on with it."""
        from napari_pea.volumes.output import check_is_ours

        target = self._live.target
        if target is None:
            return
        try:
            request = replace(self._request(target), resume=resume, overwrite=overwrite)
            check_is_ours(request.output)
            check_is_of(request.output, request.about)
        except InputError as error:
            self._refuse(error)
            return
        image, part = target.layer, target.part
        about = {
            **request.about,
            "model": target.model.name,
            "model_path": str(target.model.path),
            "settings": request.settings.as_dict(),
            "path": str(request.output),
            "pixel_size": list(request.pixel_size),
            "block_shape": request.block_shape and list(request.block_shape),
            "allow_missing": request.allow_missing,
        }

        def work(report: Any, cancel: Any) -> tuple[VolumeResult, list[Any]]:
            result = segment_in_blocks(request, report, cancel)
            return result, result.levels()

        self._runner.start(
            Job(
                f"All of {request.name} in blocks",
                work,
                partial(self._show, ref(image), part, about),
            )
        )

    def _request(self, target: Target) -> BlocksRequest:
        """Return what the user has chosen.

        Raises
        ------
        InputError
            If something is missing or makes no sense.
        """
        ndim = self._state.live.ndim
        text = self.block_edit.text().strip()
        sides = numbers_from(text, "Sides of a block") if text else None
        if sides is not None and len(sides) != ndim:
            raise InputError(f"A block has {ndim} sides, one for each axis, and not {len(sides)}.")
        return BlocksRequest(
            part=target.part,
            name=target.layer.name,
            model=target.model.path,
            device=self._state.device,
            settings=self._state.live.settings,
            output=self._output(),
            block_shape=sides,
            workers=self.workers_spin.value(),
            pixel_size=pixel_size_of(target.layer, target.part),
            about=_described(target),
            allow_missing=self.missing_check.isChecked(),
        )

    def _output(self) -> Path:
        """Return where the labels are written.

        Raises
        ------
        InputError
            If the user has not said so.
        """
        text = self.output_edit.text().strip()
        if not text:
            raise InputError("Say where the labels are to be written: a folder like labels.zarr.")
        if not text.endswith(SUFFIX):
            raise InputError(f"Labels are written as OME-Zarr: call them {Path(text).name}.zarr.")
        return Path(text).expanduser()

    def _show(
        self,
        source: ref[Image],
        part: Any,
        about: dict[str, Any],
        found: tuple[VolumeResult, list[Any]],
    ) -> str:
        """Show the labels that a job has written; return one sentence about them."""
        result, levels = found
        layer = source()
        many = f"{count_text(result.n_objects)} in {result.n_blocks} blocks"
        if layer is None or layer not in self._layers:
            return f"{many}, written to {result.path}; the image is gone."
        book = self._state.results
        added = ResultWriter(self._layers, book, layer, part, about).write_levels(levels)
        return f"{many}: {added.name!r}, in {result.path}."

    def _refuse(self, error: InputError) -> None:
        self._progress.status = str(error)
        show_warning(str(error))

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 - Qt's name
        """Leave the job if the dock is gone afterwards; Python may keep it for a while."""
        super().hideEvent(event)
        job = self._runner.current
        if job is not None:
            QTimer.singleShot(0, partial(_stop_if_gone, ref(self), job))


def _described(target: Target) -> dict[str, Any]:
    """Return what tells the part of a layer from others, as plain values."""
    return target.part.described(target.layer.name, target.layer.source.path)


def _stop_if_gone(group: ref[BlocksGroup], job: Job) -> None:
    """Leave a job whose dock was closed."""
    alive = group()
    if alive is None or not isalive(alive):
        job.stop()
    elif alive._live.is_closed:
        alive._runner.cancel()
