"""From a saved session back to what a viewer showed; the network does not run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from napari.utils.colormaps import AVAILABLE_COLORMAPS
from napari.utils.notifications import show_warning

from napari_pea.core.corrections import Corrections
from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken
from napari_pea.core.segmentation import Segmentation
from napari_pea.core.segmenter import Segmenter
from napari_pea.io.scene import DISPLAY, IMAGES, PLACE, only
from napari_pea.io.session import SavedSession, checksum, read_session
from napari_pea.models.catalogue import ModelEntry, list_models, load_model
from napari_pea.models.package import model_hash
from napari_pea.widgets.features import layer_features
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.live import Live
from napari_pea.widgets.live_jobs import Target, count_text
from napari_pea.widgets.memory import memory_reported
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.repeat import settings_from
from napari_pea.widgets.results import fingerprint
from napari_pea.widgets.sessions import LiveSession
from napari_pea.widgets.sources import ImagePart, level_zero
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.work import Outcome, Report

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_pea.models.model import Model

#: Chooses an image and a model in the dock: the layer, the model's name, the part, the axis.
Choose = Callable[["Image", str, ImagePart, "int | None"], "Target | None"]
#: What `LiveSession` keeps elsewhere.
NOT_ORIGIN = ("settings", "corrections", "kind", "place", "name")


@dataclass(frozen=True)
class Found:
    """A session that was read, and the model that it was made with, if that is still there."""

    path: Path
    saved: SavedSession
    entry: ModelEntry | None
    model: Model | None


class SessionOpener:
    """Opens saved sessions in a viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : SegmentState
        The state of the viewer.
    runner : JobRunner
        Runs the jobs of the dock.
    live : Live
        Takes over what was saved.
    choose : callable
        Chooses image and model in the dock.
    """

    def __init__(
        self, viewer: Viewer, state: SegmentState, runner: JobRunner, live: Live, choose: Choose
    ) -> None:
        self._viewer = viewer
        self._state = state
        self._runner = runner
        self._live = live
        self._choose = choose

    def open(self, path: Path) -> None:
        """Open a session; what cannot be opened is told in one sentence.

        Parameters
        ----------
        path : Path
            The folder.
        """
        work = partial(_read, path, self._state.device or "auto", preferences().model_folder)
        self._live.stop()
        self._runner.start(Job(f"Opening {path.name}", work, self._place))

    def _place(self, found: Found) -> str:
        """Open the image, and look whether its pixels are those of the session."""
        scene = found.saved.scene["image"]
        layer = self._image(found)
        if layer is None:
            return self._only_labels(
                found,
                f"The image {scene['name']!r} cannot be opened from {scene['path']} any more, so "
                "only the labels are opened: open the image, then the session again.",
            )
        if found.model is None:
            name = found.saved.scene["model"]["name"]
            return self._only_labels(
                found,
                f"The model {name!r} of this session is not among your models, so only image and "
                "labels are opened: add the model, then open the session again.",
            )
        if found.saved.damaged:
            return self._only_labels(
                found,
                f"A part of the session is damaged ({', '.join(found.saved.damaged)}), so only "
                "image and labels are opened: copy it anew, or click Segment to begin anew.",
            )
        part = _part(found.saved, layer)
        self._runner.start(
            Job(
                f"Opening {found.path.name}",
                partial(_restored, found, part, ref(layer)),
                partial(self._enter, found, ref(layer), part),
                layer=ref(layer),
            )
        )
        return ""

    def _image(self, found: Found) -> Image | None:
        """Return the image of a session, opened if it is not."""
        told = found.saved.scene["image"]
        fits = [layer for layer in self._viewer.layers if _fits(layer, told)]
        places = _places(found)
        for layer in fits:
            if layer.source.path and Path(layer.source.path).resolve() in places:
                return layer
        opened = self._opened(places, told)
        if opened is None and found.saved.image is not None:
            opened = self._viewer.add_image(found.saved.image, rgb=told["rgb"], name=told["name"])
        if opened is None:
            same = [layer for layer in fits if layer.name == told["name"]]
            return next(iter([*same, *fits]), None)
        _show_as(opened, told)
        return opened

    def _opened(self, places: list[Path], told: dict[str, Any]) -> Image | None:
        """Open the file of an image; other layers that come with it stay."""
        for place in places:
            for plugin in dict.fromkeys((told["reader"] or "napari", "napari")):
                # Readers of other plugins raise all sorts of errors, wrapped by napari.
                with suppress(ValueError, OSError, RuntimeError, KeyError, ImportError):
                    added = self._viewer.open(place, plugin=plugin)
                    layer = next((each for each in added if _fits(each, told)), None)
                    if layer is not None:
                        return layer
                    for each in added:
                        self._viewer.layers.remove(each)
        return None

    def _enter(
        self, found: Found, source: ref[Image], part: ImagePart, outcome: Outcome | None
    ) -> str:
        """Bring the controls to where they were, and show everything."""
        layer, entry, saved = source(), found.entry, found.saved
        if layer is None or layer not in self._viewer.layers or entry is None:
            raise InputError("The image was removed, so there is nothing to show.")
        if outcome is None:
            return self._only_labels(
                found,
                f"The pixels of {layer.name!r} are others than when the session was saved, so its "
                "labels are opened alone: click Segment to begin anew.",
            )
        self._look_at(layer, part)
        target = self._choose(layer, entry.name, part, saved.scene["choice"].get("axis"))
        if target is None or target.part.key != part.key:
            return self._only_labels(
                found,
                f"What the session shows of {layer.name!r} cannot be chosen any more, so its "
                "labels are opened alone.",
            )
        state, book = self._state, self._state.results
        state.live.settings = outcome.segmentation.settings
        origin = {key: value for key, value in saved.about.items() if key not in NOT_ORIGIN}
        origin |= {
            "image": layer.name,
            "image_path": layer.source.path,
            "model": entry.name,
            "model_path": str(entry.path),
            "model_hash": saved.scene["model"]["hash"],
        }
        layers = self._viewer.layers
        session = LiveSession(layer, target.part, outcome.segmenter, origin, layers, book)
        session.constraints = session.result_constraints = outcome.constraints
        session.corrections = dict(saved.about.get("corrections") or {})
        state.sessions.enter(layer, target.key, session, preferences().cache_bytes)
        if saved.own is None:
            self._live.show(session, outcome)
        else:
            self._show_own(session, saved, outcome)
        self._look(saved)
        controls = settings_from({"settings": saved.scene["controls"]})
        if controls != outcome.segmentation.settings:
            state.live.settings = controls
        return f"{count_text(len(outcome.segmentation.table))}, as they were saved."

    def _show_own(self, session: LiveSession, saved: SavedSession, outcome: Outcome) -> None:
        """Show the labels that the user has made their own."""
        from napari.layers import Labels

        assert saved.own is not None  # noqa: S101 - looked at before
        session.result, session.is_new = outcome.segmentation, False
        layer = Labels(
            session.part.as_result(saved.own),
            name=saved.scene["labels"]["name"],
            metadata={"napari_pea": {"kind": "labels", **session.about()}},
            **only(PLACE, saved.scene["labels"]["place"]),
        )
        self._state.results.add(self._viewer.layers, len(self._viewer.layers), layer)
        self._live.refresh()

    def _only_labels(self, found: Found, sentence: str) -> str:
        """Show the labels without anything that acts on them."""
        saved = found.saved
        labels = saved.labels if saved.own is None else saved.own
        n_axes = len(saved.scene["labels"]["place"]["scale"])
        about = {key: value for key, value in saved.about.items() if key not in ("place", "name")}
        taken = [axis for axis, _ in saved.scene["part"]["plane"]]
        channel = saved.scene["part"]["layer_channel_axis"]
        whole = range(n_axes + (channel is not None))
        kept = [axis for axis in whole if axis != channel]
        index = tuple(None if axis in taken else slice(None) for axis in kept)
        self._viewer.add_labels(
            labels[index],
            name=saved.scene["labels"]["name"] or saved.about["name"],
            metadata={"napari_pea": about},
            **only(PLACE, saved.scene["labels"]["place"]),
        )
        show_warning(sentence)
        return sentence

    def _look_at(self, layer: Image, part: ImagePart) -> None:
        """Show the plane or volume of a session."""
        dims = self._viewer.dims
        position = np.zeros(layer.ndim)
        for axis, at in part.plane:
            position[axis] = at
        world = layer.data_to_world(position)
        for axis, _ in part.plane:
            dims.set_point(dims.ndim - layer.ndim + axis, world[axis])

    def _look(self, saved: SavedSession) -> None:
        """Look at what the user has looked at."""
        camera = self._viewer.scene.camera
        camera.center = saved.scene["camera"]["center"]
        camera.zoom = saved.scene["camera"]["zoom"]


def _read(path: Path, device: str, folder: Path | None, report: Report, _: CancelToken) -> Found:
    """Read a session and load its model, in another thread."""
    report("Reading the session …")
    with memory_reported():
        saved = read_session(path)
    wanted = saved.scene["model"]
    entries = [entry for entry in list_models(folder) if entry.problem is None]
    # The same name first: it is the likeliest.
    entries.sort(key=lambda entry: entry.name != wanted["name"])
    for entry in entries:
        # A model that cannot be loaded must not keep labels and image from being opened.
        with suppress(InputError):
            if model_hash(entry.path) == wanted["hash"]:
                return Found(path, saved, entry, load_model(entry.path, device))
    return Found(path, saved, None, None)


def _restored(
    found: Found, part: ImagePart, source: ref[Image], report: Report, cancel: CancelToken
) -> Outcome | None:
    """Return what a session showed, None if the image has other pixels; in another thread."""
    saved, model = found.saved, found.model
    report("Reading the image …")
    layer = source()
    if layer is None or model is None:
        raise InputError("The image was removed, so there is nothing to show.")
    with memory_reported():
        pixels = part.read()
        if checksum(pixels) != saved.scene["image"]["checksum"]:
            return None
        cancel.check()
        segmenter = Segmenter(
            model,
            pixels,
            channel=part.channel,
            channel_axis=part.channel_axis,
            tile=saved.about.get("tile"),
            halo=saved.about.get("halo"),
        )
        segmenter.restore(saved.evidence)
        corrections = Corrections.from_dict(saved.about.get("corrections") or {})
        constraints = corrections.constraints(part.shape)
        settings = settings_from(saved.about)
        segmentation = Segmentation(saved.labels, saved.table, settings, model.name, saved.pieces)
        data = part.as_result(saved.labels)
        features = layer_features(saved.table, layer, part)
        return Outcome(
            segmenter, segmentation, constraints, data, features, fingerprint(data), False, 0.0
        )


def _part(saved: SavedSession, layer: Image) -> ImagePart:
    """Return the part of a layer that a session is of."""
    told = saved.scene["part"]
    plane = tuple((int(axis), int(at)) for axis, at in told["plane"])
    return ImagePart(
        level_zero(layer),
        plane,
        told["channel"],
        told["layer_channel_axis"],
        layer.ndim,
        layer.rgb,
    )


def _places(found: Found) -> list[Path]:
    """Return the files that may hold the image: where it was, and beside the session."""
    told = found.saved.scene["image"]
    places = [Path(told["path"])] if told["path"] else []
    if told["beside"]:
        places.append(found.path.absolute().parent / told["beside"])
    there = dict.fromkeys(place.resolve() for place in places if place.exists())
    return [place for place in there if place.suffix.lower() in IMAGES]


def _fits(layer: Any, told: dict[str, Any]) -> bool:
    """Whether a layer may be the image of a session."""
    from napari_pea.widgets.controls import is_image

    if not is_image(layer):
        return False
    data = level_zero(layer)
    return [list(data.shape), np.dtype(data.dtype).str] == [told["shape"], told["dtype"]]


def _show_as(layer: Image, told: dict[str, Any]) -> None:
    """Show an image as it was shown, where it was."""
    layer.name = told["name"]
    for name, value in only(PLACE, told["place"]).items():
        setattr(layer, name, value)
    for name, value in only(DISPLAY, told["display"]).items():
        if name != "contrast_limits" or not layer.rgb:
            setattr(layer, name, value)
    if told["colormap"] in AVAILABLE_COLORMAPS:
        layer.colormap = told["colormap"]
