"""Pictures of what lies between an image and its labels, as layers on request."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.neighborhood import Neighborhood, Offset
from napari_pea.core.predictors import known_offsets
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.settings import SegmentationSettings
from napari_pea.widgets.jobs import Job
from napari_pea.widgets.layers import ResultWriter, offset_text
from napari_pea.widgets.results import EMBEDDING, FOREGROUND, VARIANCE, Kind
from napari_pea.widgets.sessions import LiveSession
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.work import Report

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_pea.core.evidence import Evidence

#: The variance of what lies between 0 and 1 is at most 1/4, and seldom near it.
MOST_SHOWN = 0.1


def _evidence_key(session: LiveSession) -> Hashable:
    """Return the key of a picture that depends on nothing but what the network has said."""
    return settings_of(session).average_masks


def _always(_: LiveSession) -> bool:
    """Return that a picture can be made of every session."""
    return True


@dataclass(frozen=True)
class View:
    """A picture that can be shown for every session.

    Attributes
    ----------
    kind : Kind
        What it shows.
    name : str
        Name of its layer; ``{image}`` stands for that of the image.
    compute : callable
        Called in another thread with a session, a `Report` and a `CancelToken`; returns
        an array of shape (Y, X), or (Y, X, 3) for colours.
    arguments : dict
        Of the layer.
    key : callable
        Returns what the picture of a session depends on; it is computed again only when that
        changes.
    suits : callable
        Returns whether the picture can be made of a session, whose model may not tell.
    on_top : bool
        Whether its layer lies above the labels.
    """

    kind: Kind
    name: str
    compute: Callable[[LiveSession, Report, CancelToken], NDArray[Any]]
    arguments: dict[str, Any] = field(default_factory=dict)
    key: Callable[[LiveSession], Hashable] = _evidence_key
    suits: Callable[[LiveSession], bool] = _always
    on_top: bool = False


def settings_of(session: LiveSession) -> SegmentationSettings:
    """Return the settings of what a session shows."""
    shown = session.result
    return session.segmenter.model.recommended if shown is None else shown.settings


def _neighborhood_of(session: LiveSession) -> Neighborhood:
    """Return the pixel pairs of what a session shows."""
    return settings_of(session).neighborhood(session.segmenter.model.ndim)


def evidence_of(session: LiveSession, cancel: CancelToken) -> Evidence:
    """Return what the network has said for what a session shows."""
    return session.segmenter.evidence(settings_of(session), cancel=cancel)


def _colors(session: LiveSession, report: Report, cancel: CancelToken) -> NDArray[np.uint8]:
    from napari_pea.core.colors import embedding_colors
    from napari_pea.core.partition import foreground_mask

    report("Colouring the embedding …")
    evidence = evidence_of(session, cancel)
    mask = foreground_mask(evidence.foreground, settings_of(session))
    codes = evidence.codes
    if codes is None:
        return np.zeros((*evidence.shape, 3), dtype=np.uint8)
    shades = embedding_colors(codes, mask, cancel=cancel)
    return (shades * np.float32(255)).astype(np.uint8)


def _foreground(session: LiveSession, report: Report, cancel: CancelToken) -> NDArray[np.float32]:
    evidence = evidence_of(session, cancel)
    if evidence.foreground is None:
        return np.ones(evidence.shape, dtype=np.float32)
    return evidence.foreground


def _has_codes(session: LiveSession) -> bool:
    settings, segmenter = settings_of(session), session.segmenter
    return segmenter.has_evidence(settings) and segmenter.evidence(settings).codes is not None


def _has_variances(session: LiveSession) -> bool:
    result = session.result
    return result is not None and "variance" in result.table


def _variance(session: LiveSession, report: Report, cancel: CancelToken) -> NDArray[np.float32]:
    from napari_pea.core.certainty import pixel_variance

    report("Mapping the variance …")
    return pixel_variance(evidence_of(session, cancel), _neighborhood_of(session).offset_list)


#: The embedding in colours; hidden at first, because it would cover the image.
EMBEDDING_VIEW = View(
    EMBEDDING,
    "{image} embedding",
    _colors,
    {"rgb": True, "visible": False},
    lambda session: (_evidence_key(session), settings_of(session).foreground_threshold),
    _has_codes,
)
#: How surely each pixel lies in an object.
FOREGROUND_VIEW = View(
    FOREGROUND,
    "{image} foreground",
    _foreground,
    {"contrast_limits": (0.0, 1.0), "colormap": "magma", "opacity": 0.6},
)
#: How uncertain the affinities of each pixel are, as averaged masks tell.
VARIANCE_VIEW = View(
    VARIANCE,
    "{image} variance",
    _variance,
    {"contrast_limits": (0.0, MOST_SHOWN), "colormap": "inferno", "opacity": 0.7},
    lambda session: (_evidence_key(session), _neighborhood_of(session)),
    _has_variances,
    on_top=True,
)


def affinity_view(offset: Offset) -> View:
    """Return the picture of the affinities under one offset.

    Parameters
    ----------
    offset : tuple of int
        One step in pixels for each axis.
    """

    def compute(session: LiveSession, report: Report, cancel: CancelToken) -> NDArray[np.float32]:
        report("Computing affinities …")
        affinity: NDArray[np.float32] = evidence_of(session, cancel).affinities([offset])[0]
        return affinity

    return View(
        ("affinity", offset),
        f"affinity {offset_text(offset)}",
        compute,
        {"contrast_limits": (0.0, 1.0), "colormap": "gray"},
        suits=lambda session: known_offsets(session.segmenter.model).knows(offset),
    )


def variance_view(offset: Offset) -> View:
    """Return the picture of how uncertain the affinities under one offset are.

    Parameters
    ----------
    offset : tuple of int
        One step in pixels for each axis.
    """

    def compute(session: LiveSession, report: Report, cancel: CancelToken) -> NDArray[np.float32]:
        from napari_pea.core.certainty import pixel_variance

        report("Mapping the variance …")
        return pixel_variance(evidence_of(session, cancel), [offset], ends=False)

    return View(
        ("variance", offset),
        f"variance {offset_text(offset)}",
        compute,
        {"contrast_limits": (0.0, MOST_SHOWN), "colormap": "inferno"},
        suits=_has_variances,
    )


def _view_of(kind: Kind) -> View:
    """Return the picture of a single offset."""
    what, offset = kind
    return (variance_view if what == "variance" else affinity_view)(offset or ())


class Views:
    """Shows pictures of the sessions of a viewer and keeps them up to date.

    Parameters
    ----------
    layers : napari.components.LayerList
        The layers of the viewer.
    state : SegmentState
        The state of the viewer.
    """

    def __init__(self, layers: LayerList, state: SegmentState) -> None:
        self._layers = layers
        self._state = state
        self._extra: dict[Kind, View] = {}

    @property
    def shown(self) -> set[Kind]:
        """The kinds that come with every result."""
        return {view.kind for view in self._standing()}

    def show(self, view: View) -> None:
        """Let a picture come with every result from now on."""
        if view.kind == EMBEDDING:
            self._state.show_embedding = True
        elif view.kind == FOREGROUND:
            self._state.show_foreground = True
        else:
            self._extra[view.kind] = view

    def hide(self, kind: Kind) -> None:
        """Let a picture come no more, and remove its layers unless the user changed them."""
        if kind == EMBEDDING:
            self._state.show_embedding = False
        elif kind == FOREGROUND:
            self._state.show_foreground = False
        else:
            self._extra.pop(kind, None)
        for found in self._state.results.of_kind(kind):
            if found.layer is not None and found.may_be_replaced(self._layers):
                self._layers.remove(found.layer)

    def job(self, session: LiveSession, *extra: View) -> Job | None:
        """Return the job that brings the pictures of a session up to date.

        A picture whose layer the user has removed does not come back by itself.

        Parameters
        ----------
        session : LiveSession
            Whose pictures.
        *extra : View
            Pictures to add, be they removed or not.

        Returns
        -------
        Job or None
            None if all are up to date.
        """
        source = session.source
        if source is None:
            return None
        book, part = self._state.results, session.part
        kinds = book.of_offsets(source, part.key, self._layers)
        standing = [*self._standing(), *map(_view_of, kinds)]
        for view in standing:
            if not view.suits(session):  # it was of another model, or of other affinities
                self._drop(session, source, view.kind)
        standing = [view for view in standing if view.suits(session)]
        wanted: dict[Kind, View] = {}
        for view in standing:
            found = book.find(source, part.key, view.kind)
            is_removed = found is not None and (
                found.layer is None or found.layer not in self._layers
            )
            is_new = view.kind not in session.view_keys
            if (is_new or not is_removed) and session.view_keys.get(view.kind, "") != (
                view.key(session),
            ):
                wanted[view.kind] = view
        wanted |= {view.kind: view for view in extra}
        if not wanted:
            return None
        keys = {view.kind: (view.key(session),) for view in wanted.values()}

        def work(report: Report, cancel: CancelToken) -> list[NDArray[Any]]:
            pictures = []
            for view in wanted.values():
                check_cancel(cancel)
                pictures.append(view.compute(session, report, cancel))
            return pictures

        def deliver(pictures: list[NDArray[Any]]) -> str:
            layer = session.source
            if layer is None or not session.is_current:
                return ""
            writer = ResultWriter(self._layers, book, layer, part, session.about())
            active = self._layers.selection.active
            names = []
            for view, picture in zip(wanted.values(), pictures, strict=True):
                name = view.name.format(image=layer.name)
                added = writer.write_picture(
                    view.kind, picture, name, view.arguments, on_top=view.on_top
                )
                names.append(added.name)
            self._layers.selection.active = active
            session.view_keys |= keys
            return f"Added the layer {names[-1]!r}." if extra else ""

        title = next(iter(wanted.values())).name.format(image=source.name)
        return Job(title, work, deliver, quiet=True)

    def _drop(self, session: LiveSession, source: Image, kind: Kind) -> None:
        """Remove a picture of a session until it can be made again."""
        session.view_keys.pop(kind, None)
        found = self._state.results.find(source, session.part.key, kind)
        if found is not None and found.layer is not None and found.may_be_replaced(self._layers):
            self._layers.remove(found.layer)

    def _standing(self) -> list[View]:
        """Return the pictures that come with every result."""
        return [
            *([EMBEDDING_VIEW] if self._state.show_embedding else []),
            *([FOREGROUND_VIEW] if self._state.show_foreground else []),
            *self._extra.values(),
        ]
