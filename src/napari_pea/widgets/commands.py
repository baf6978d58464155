"""The commands of napari's palette: each presses a control of a dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import napari.viewer  # noqa: TC002 - napari reads the annotations when a command runs
from qtpy.QtWidgets import QAbstractButton, QWidget

from napari_pea.widgets.state import unproxied

if TYPE_CHECKING:
    from napari_pea.widgets.models_dock import ModelsDock
    from napari_pea.widgets.segment_dock import SegmentDock
    from napari_pea.widgets.training_dock import TrainingDock


def open_dock(viewer: napari.viewer.Viewer) -> SegmentDock:
    """Return the Segment dock of a viewer, opened if it is not.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    """
    from napari_pea.widgets.segment_dock import SegmentDock

    return cast("SegmentDock", _opened(viewer, SegmentDock, "Segment"))


def open_training_dock(viewer: napari.viewer.Viewer) -> TrainingDock:
    """Return the Training dock of a viewer, opened if it is not.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    """
    from napari_pea.widgets.training_dock import TrainingDock

    return cast("TrainingDock", _opened(viewer, TrainingDock, "Train"))


def open_models_dock(viewer: napari.viewer.Viewer) -> ModelsDock:
    """Return the Models dock of a viewer, opened if it is not.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    """
    from napari_pea.widgets.models_dock import ModelsDock

    return cast("ModelsDock", _opened(viewer, ModelsDock, "Models"))


def _opened(viewer: napari.viewer.Viewer, kind: type[QWidget], name: str) -> QWidget:
    """Return a dock of a viewer; it comes as a tab beside others, for they need the height."""
    window: Any = unproxied(viewer).window
    for inner in window.dock_widgets.values():
        if isinstance(inner, kind):
            frame = inner.parentWidget()
            if frame is not None:
                frame.show()
                frame.raise_()
            return inner
    dock: QWidget = window.add_plugin_dock_widget("napari-pea", name, tabify=True)[1]
    return dock


def press(viewer: napari.viewer.Viewer, name: str) -> None:
    """Press a button of the Segment dock.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    name : str
        Its object name.
    """
    _press(open_dock(viewer), name)


def press_training(viewer: napari.viewer.Viewer, name: str) -> None:
    """Press a button of the Training dock.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    name : str
        Its object name.
    """
    _press(open_training_dock(viewer), name)


def _press(dock: QWidget, name: str) -> None:
    button = dock.findChild(QWidget, name)
    if isinstance(button, QAbstractButton) and button.isEnabled():
        button.click()


def segment(viewer: napari.viewer.Viewer) -> None:
    """Segment the chosen image."""
    press(viewer, "segment_button")


def cancel(viewer: napari.viewer.Viewer) -> None:
    """Cancel what is under way."""
    press(viewer, "cancel_button")


def reset(viewer: napari.viewer.Viewer) -> None:
    """Take back all changes of the settings."""
    press(viewer, "reset_button")


def recommended_ranges(viewer: napari.viewer.Viewer) -> None:
    """Take the ranges that the model recommends."""
    press(viewer, "recommended_button")


def longer_range(viewer: napari.viewer.Viewer) -> None:
    """Compare pixels that are farther apart."""
    open_dock(viewer).settings_group.step_range(1)


def shorter_range(viewer: napari.viewer.Viewer) -> None:
    """Compare pixels that are less far apart."""
    open_dock(viewer).settings_group.step_range(-1)


def toggle_preview(viewer: napari.viewer.Viewer) -> None:
    """Carry out changes on the visible part of large images first, or not."""
    press(viewer, "preview_check")


def apply_to_whole(viewer: napari.viewer.Viewer) -> None:
    """Carry out the settings on the whole image or stack."""
    press(viewer, "apply_button")


def segment_in_blocks(viewer: napari.viewer.Viewer) -> None:
    """Segment all of a large image in blocks, or go on with that."""
    press(viewer, "blocks_button")


def stop_blocks(viewer: napari.viewer.Viewer) -> None:
    """Stop segmenting in blocks; it can be resumed."""
    press(viewer, "blocks_stop_button")


def toggle_embedding(viewer: napari.viewer.Viewer) -> None:
    """Show the embedding as colours, or not."""
    press(viewer, "embedding_check")


def toggle_foreground(viewer: napari.viewer.Viewer) -> None:
    """Show the foreground, or not."""
    press(viewer, "foreground_check")


def toggle_averaging(viewer: napari.viewer.Viewer) -> None:
    """Average masks, or not."""
    press(viewer, "average_check")


def toggle_variance(viewer: napari.viewer.Viewer) -> None:
    """Show the variance of averaged masks, or not."""
    press(viewer, "variance_check")


def add_affinity(viewer: napari.viewer.Viewer) -> None:
    """Show the chosen affinities."""
    press(viewer, "affinity_button")


def add_variance(viewer: napari.viewer.Viewer) -> None:
    """Show the variance of the chosen affinities."""
    press(viewer, "variance_button")


def copy_command(viewer: napari.viewer.Viewer) -> None:
    """Copy how the result was made as a command."""
    press(viewer, "copy_command_button")


def copy_python(viewer: napari.viewer.Viewer) -> None:
    """Copy how the result was made as Python."""
    press(viewer, "copy_python_button")


def save_result(viewer: napari.viewer.Viewer) -> None:
    """Save the selected result with its settings."""
    press(viewer, "save_button")


def save_session(viewer: napari.viewer.Viewer) -> None:
    """Save the session of the chosen image."""
    press(viewer, "save_session_button")


def open_session(viewer: napari.viewer.Viewer) -> None:
    """Open a saved session."""
    press(viewer, "open_session_button")


def restore_settings(viewer: napari.viewer.Viewer) -> None:
    """Take over the settings of the selected result."""
    press(viewer, "restore_button")


def join(viewer: napari.viewer.Viewer) -> None:
    """Take the brush that joins objects, or put it down."""
    press(viewer, "join_button")


def cut(viewer: napari.viewer.Viewer) -> None:
    """Take the brush that cuts objects, or put it down."""
    press(viewer, "cut_button")


def undo_correction(viewer: napari.viewer.Viewer) -> None:
    """Take the newest correction away."""
    press(viewer, "undo_correction_button")


def next_uncertain(viewer: napari.viewer.Viewer) -> None:
    """Go to the next least certain object."""
    press(viewer, "next_uncertain_button")


def accept(viewer: napari.viewer.Viewer) -> None:
    """Accept the object that is looked at."""
    press(viewer, "accept_button")


def toggle_uncertainty(viewer: napari.viewer.Viewer) -> None:
    """Show how uncertain objects are, or not."""
    press(viewer, "uncertainty_check")


def toggle_errors(viewer: napari.viewer.Viewer) -> None:
    """Show where objects differ from the truth, or not."""
    press(viewer, "errors_check")


def annotate(viewer: napari.viewer.Viewer) -> None:
    """Take the corrected objects over as annotation."""
    press(viewer, "annotate_button")


def train(viewer: napari.viewer.Viewer) -> None:
    """Train on what is chosen."""
    press_training(viewer, "train_button")


def pause_training(viewer: napari.viewer.Viewer) -> None:
    """Let the training pause, or go on."""
    press_training(viewer, "pause_button")


def stop_training(viewer: napari.viewer.Viewer) -> None:
    """End the training and keep the best version."""
    press_training(viewer, "stop_button")


def paint_object(viewer: napari.viewer.Viewer) -> None:
    """Take the brush for a further object."""
    press_training(viewer, "paint_object_button")


def paint_background(viewer: napari.viewer.Viewer) -> None:
    """Take the brush for background."""
    press_training(viewer, "background_brush_button")
