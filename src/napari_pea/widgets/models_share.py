"""Bringing models in from files and addresses, and handing them on as packages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken
from napari_pea.models.catalogue import ModelEntry
from napari_pea.models.package import SUFFIX
from napari_pea.widgets.forms import ask_where, form, row
from napari_pea.widgets.work import Report

#: Called with a title and the work, which returns the model to choose and one sentence.
Start = Callable[[str, Callable[[Report, CancelToken], "tuple[str, str]"]], None]
#: How packages end.
PACKAGE = ".zip"
#: The hash is shown as far as people compare it.
SHOWN_DIGITS = 16


class ImportGroup(QWidget):
    """A file or an address, the hash it should have, and the button that takes it in.

    Parameters
    ----------
    start : callable
        Runs the work in another thread.
    folder : callable
        Returns where the user's models are.
    """

    def __init__(self, start: Start, folder: Callable[[], Path]) -> None:
        super().__init__()
        self._start = start
        self._folder = folder
        self.source_edit = QLineEdit(self)
        self.source_edit.setObjectName("models_import_edit")
        self.source_edit.setPlaceholderText("a file, or https://…")
        self.source_edit.setToolTip(
            "A model file (.pea.safetensors) or a package of the BioImage Model Zoo (.zip), on "
            "your disk or at an address."
        )
        self.browse_button = QToolButton(self)
        self.browse_button.setObjectName("models_import_browse_button")
        self.browse_button.setText("…")
        self.browse_button.setToolTip("Choose a file.")
        self.hash_edit = QLineEdit(self)
        self.hash_edit.setObjectName("models_hash_edit")
        self.hash_edit.setPlaceholderText("not checked")
        self.hash_edit.setToolTip(
            "The SHA-256 that the file should have, if somebody has told you; anything else is "
            "refused."
        )
        self.trust_check = QCheckBox("Let code of the authors run", self)
        self.trust_check.setObjectName("models_trust_check")
        self.trust_check.setToolTip(
            "Some packages bring code that runs on your computer now and whenever the model is "
            "used. Allow it only if you trust those who made it."
        )
        self.import_button = QPushButton("Import", self)
        self.import_button.setObjectName("models_import_button")
        controls = form()
        controls.addRow("From", row(self.source_edit, self.browse_button))
        controls.addRow("SHA-256", self.hash_edit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(controls)
        layout.addWidget(self.trust_check)
        layout.addWidget(self.import_button)
        self.browse_button.clicked.connect(self._on_browse_clicked)
        self.source_edit.textChanged.connect(self._on_source_changed)
        self.import_button.clicked.connect(self._on_import_clicked)
        self.enable(busy=False)

    def enable(self, *, busy: bool) -> None:
        """Let the user click what makes sense."""
        source = self.source_edit.text().strip()
        self.import_button.setEnabled(bool(source) and not busy)
        self.import_button.setToolTip(
            "Look at the file without running anything in it, and copy its model to your folder."
            if source
            else "Say first where the model is."
        )
        for control in (self.source_edit, self.browse_button, self.hash_edit, self.trust_check):
            control.setEnabled(not busy)

    def _on_source_changed(self) -> None:
        # Agreed to for one source only.
        self.trust_check.setChecked(False)
        self.enable(busy=False)

    def _on_browse_clicked(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Import a model", "", f"Models and packages (*{SUFFIX} *{PACKAGE})"
        )
        if path:
            self.source_edit.setText(path)

    def _on_import_clicked(self) -> None:
        source = self.source_edit.text().strip()
        wanted = self.hash_edit.text().strip() or None
        work = partial(
            take_in, source, wanted, self._folder(), trust_code=self.trust_check.isChecked()
        )
        self._start(f"Importing {source}", work)


@dataclass(frozen=True)
class ExportRequest:
    """What is handed on, and what its package says.

    Attributes
    ----------
    entry : ModelEntry
        The model.
    path : Path
        The package.
    authors : tuple of str
        Each as "Name; affiliation".
    licence : str
        The SPDX name.
    citation : str or None
        What to cite besides the method.
    sample : array or None
        An image that it is for.
    """

    entry: ModelEntry
    path: Path
    authors: tuple[str, ...]
    licence: str
    citation: str | None
    sample: Any


class ExportGroup(QWidget):
    """Who made the model, under which licence, and the button that writes the package.

    Parameters
    ----------
    start : callable
        Runs the work in another thread.
    entry : callable
        Returns the chosen model.
    sample : callable
        Returns an image that may show what the model does, or None.
    """

    def __init__(
        self, start: Start, entry: Callable[[], ModelEntry | None], sample: Callable[[], Any]
    ) -> None:
        super().__init__()
        from napari_pea.models.zoo.authors import LICENCES

        self._start = start
        self._entry = entry
        self._sample = sample
        self.authors_edit = QLineEdit(self)
        self.authors_edit.setObjectName("models_authors_edit")
        self.authors_edit.setPlaceholderText("Name; affiliation")
        self.authors_edit.setToolTip(
            "Who made the model: name; affiliation; ORCID, of which only the name is needed. "
            "Several are separated by “ | ”."
        )
        self.licence_combo = QComboBox(self)
        self.licence_combo.setObjectName("models_licence_combo")
        self.licence_combo.setEditable(True)
        self.licence_combo.addItems(LICENCES)
        self.licence_combo.setToolTip("What others may do with the model, by its SPDX name.")
        self.citation_edit = QLineEdit(self)
        self.citation_edit.setObjectName("models_citation_edit")
        self.citation_edit.setPlaceholderText("text with a DOI; may be empty")
        self.citation_edit.setToolTip(
            "What to cite besides the papers of the method, which are always named."
        )
        self.sample_check = QCheckBox("With the selected image as example", self)
        self.sample_check.setObjectName("models_sample_check")
        self.sample_check.setToolTip(
            "A piece of the image that is selected in the layer list goes into the package, as a "
            "test and as its cover. Without it both are made up."
        )
        self.export_button = QPushButton("Export …", self)
        self.export_button.setObjectName("models_export_button")
        controls = form()
        controls.addRow("Authors", self.authors_edit)
        controls.addRow("Licence", self.licence_combo)
        controls.addRow("Cite", self.citation_edit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(controls)
        layout.addWidget(self.sample_check)
        layout.addWidget(self.export_button)
        self.authors_edit.textChanged.connect(lambda: self.enable(busy=False))
        self.export_button.clicked.connect(self._on_export_clicked)
        self.enable(busy=False)

    def show_entry(self, entry: ModelEntry | None) -> None:
        """Propose the licence of another model."""
        if entry is not None and entry.metadata is not None and entry.metadata.licence:
            self.licence_combo.setCurrentText(entry.metadata.licence)

    def enable(self, *, busy: bool) -> None:
        """Let the user click what makes sense."""
        entry = self._entry()
        reason = ""
        if entry is None or entry.problem is not None:
            reason = "Choose a model that is not damaged first."
        elif not self.authors_edit.text().strip():
            reason = "Say who made the model first."
        self.export_button.setEnabled(not reason and not busy)
        self.export_button.setToolTip(
            reason
            or "Write a package for the BioImage Model Zoo, and run it again to see that it works."
        )
        for control in (
            self.authors_edit,
            self.licence_combo,
            self.citation_edit,
            self.sample_check,
        ):
            control.setEnabled(not busy)

    def _on_export_clicked(self) -> None:
        entry = self._entry()
        if entry is None:
            return
        from napari_pea.models.zoo.archive import package_path

        path = ask_where(
            self,
            "Export the model",
            f"{entry.name}{PACKAGE}",
            f"Packages (*{PACKAGE})",
            package_path,
        )
        if path is None:
            return
        authors = tuple(text.strip() for text in self.authors_edit.text().split("|"))
        request = ExportRequest(
            entry,
            path,
            tuple(text for text in authors if text),
            self.licence_combo.currentText().strip(),
            self.citation_edit.text().strip() or None,
            self._sample() if self.sample_check.isChecked() else None,
        )
        self._start(f"Exporting {entry.name}", partial(hand_on, request))


def take_in(
    source: str,
    sha256: str | None,
    folder: Path,
    report: Report,
    cancel: CancelToken,
    *,
    trust_code: bool = False,
) -> tuple[str, str]:
    """Import a model, in another thread; return its name and one sentence.

    Raises
    ------
    InputError
        If it cannot be imported, or needs a consent that was not given.
    Cancelled
        If `cancel` was set.
    """
    from napari_pea.models.zoo import fetched, import_model, read_package

    is_address = "://" in source
    with ExitStack() as stack:
        path = Path(source).expanduser()
        if is_address:
            path = stack.enter_context(
                fetched(
                    source,
                    sha256=sha256,
                    progress=lambda done, total: report(
                        f"Fetching, {done / 1e6:.1f} MB …", done, total
                    ),
                    cancel=cancel,
                )
            )
        report("Looking at the file …")
        info = read_package(path)
        if info.needs_consent and not trust_code:
            raise InputError(
                f"Nothing was imported: the model {info.name!r} runs code of its authors "
                f"({' '.join(info.reasons)}). If you trust them, tick “Let code of the authors "
                "run” and import it again."
            )
        made = import_model(
            path,
            trust_code=trust_code,
            sha256=sha256,
            origin=source if is_address else None,
            folder=folder,
            progress=lambda done, total: report("Importing …", done, total),
            cancel=cancel,
        )
    name = made.name.removesuffix(SUFFIX)
    checked = "as it should be" if sha256 else "not compared"
    return name, f"Imported {name!r}; SHA-256 {info.sha256[:SHOWN_DIGITS]}…, {checked}."


def hand_on(request: ExportRequest, report: Report, cancel: CancelToken) -> tuple[str, str]:
    """Export a model, in another thread; return its name and one sentence.

    Raises
    ------
    InputError
        If something that was said about it cannot stand in a package, or it fails.
    Cancelled
        If `cancel` was set.
    """
    from napari_pea.models.zoo import export_model

    made = export_model(
        request.entry.path,
        request.path,
        authors=request.authors,
        licence=request.licence,
        citation=request.citation,
        sample=request.sample,
        progress=lambda done, total: report("Exporting …", done, total),
        cancel=cancel,
    )
    return request.entry.name, f"Exported {request.entry.name!r} to {made}; it was run again."
