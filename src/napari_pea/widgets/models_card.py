"""The card of a model: a picture of what it does, and what it says about itself."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import QBuffer, QByteArray, QIODevice, Qt
from qtpy.QtGui import QImageReader, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_pea.models.card import card_of
from napari_pea.models.catalogue import ModelEntry
from napari_pea.widgets.forms import breakable

#: A picture with a longer side is no picture of ours, and not looked at.
LONGEST_SIDE = 2048
#: How large pictures are shown, in pixels.
SHOWN_SIDE = 180


class ModelCard(QWidget):
    """Tells what a model is for.

    Parameters
    ----------
    parent : QWidget
        The dock.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.picture_label = QLabel(self)
        self.picture_label.setObjectName("models_picture")
        self.picture_label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.text_label = QLabel(self)
        self.text_label.setObjectName("models_card")
        self.text_label.setWordWrap(True)
        self.text_label.setTextFormat(Qt.TextFormat.RichText)
        self.text_label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.text_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # As wide as the dock, however wide that is.
        policy = self.text_label.sizePolicy()
        policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
        self.text_label.setSizePolicy(policy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.picture_label)
        layout.addWidget(self.text_label)

    def show_entry(
        self, entry: ModelEntry | None, picture: bytes | None, *, elsewhere: bool = False
    ) -> None:
        """Show a model.

        Parameters
        ----------
        entry : ModelEntry or None
            The model; None if none is chosen.
        elsewhere : bool
            Whether it lies in none of the folders.
        picture : bytes or None
            A JPEG, or None if there is none.
        """
        pixmap = None if picture is None else decoded(picture)
        self.picture_label.setVisible(pixmap is not None)
        if pixmap is not None:
            smooth = Qt.TransformationMode.SmoothTransformation
            keep = Qt.AspectRatioMode.KeepAspectRatio
            self.picture_label.setPixmap(pixmap.scaled(SHOWN_SIDE, SHOWN_SIDE, keep, smooth))
        self.text_label.setText(
            "No model is chosen." if entry is None else _table(entry, elsewhere)
        )


def decoded(picture: bytes) -> QPixmap | None:
    """Return a JPEG as Qt shows it, None if it is damaged or far too large."""
    buffer = QBuffer()
    buffer.setData(QByteArray(picture))
    buffer.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer, QByteArray(b"jpeg"))
    size = reader.size()
    if not size.isValid() or max(size.width(), size.height()) > LONGEST_SIDE:
        return None
    image = reader.read()
    return None if image.isNull() else QPixmap.fromImage(image)


def _table(entry: ModelEntry, elsewhere: bool) -> str:
    """Return the card as rich text; nothing that a model says is taken for markup."""
    said = card_of(entry) | ({"From": f"the file {entry.path}"} if elsewhere else {})
    rows = "".join(
        f"<tr><td style='padding-right: 8px'><b>{heading}</b></td><td>{_escaped(text)}</td></tr>"
        for heading, text in said.items()
    )
    return f"<b>{_escaped(entry.name)}</b><table cellspacing='0'>{rows}</table>"


def _escaped(text: str) -> str:
    return escape(breakable(text))
