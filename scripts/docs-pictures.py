"""Take the pictures of the documentation in a real window: make docs-pictures.

Every picture is of the program itself, on the sample image that comes with it or on a made-up
volume. Those of the model cards need the data sets that `napari-pea recipe` takes, and stay as
they are without: make docs-pictures DATA=FOLDER.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import best_and_worst
import napari
import numpy as np
from PIL import Image, ImageDraw
from qtpy.QtCore import QEvent, QEventLoop, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_pea import Neighborhood, segment
from napari_pea.models.shelf import duplicate_model
from napari_pea.sample_data import load_sample

FOLDER = Path(__file__).parents[1] / "docs" / "images"
#: A small laptop's screen.
SIZE = (1366, 768)
#: No picture is larger, in bytes; colours and size are given up for that.
MOST_BYTES = 150_000
#: Pictures whose names begin like this have more shades than a palette.
PHOTO = "model-"


class Window:
    """A window of napari with the Segment dock and the sample image."""

    title = "Segment"

    def __init__(self, image: np.ndarray, name: str = "nuclei") -> None:
        self.viewer = napari.Viewer(show=False)
        self.window = self.viewer.window._qt_window
        self.window.resize(*SIZE)
        self.viewer.window.show()
        self.viewer.add_image(image, name=name)
        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-pea", self.title)
        self.turn(0.5)
        self.window.resize(*SIZE)
        self.turn(0.5)

    def find(self, name: str) -> Any:
        """Return a control of the dock by its name."""
        return self.dock.findChild(QWidget, name)

    def turn(self, seconds: float) -> None:
        """Let the window live for some time."""
        loop = QEventLoop()
        QTimer.singleShot(int(1000 * seconds), loop.quit)
        loop.exec()

    def wait(self) -> None:
        """Wait until the dock has nothing to do."""
        self.turn(0.1)
        while not self.dock.live.idle:
            self.turn(0.05)
        self.turn(0.5)

    def segment(self) -> None:
        """Click Segment and wait for the labels."""
        self.find("segment_button").click()
        self.wait()

    def look_at(self, center: tuple[float, float], zoom: float) -> None:
        """Look at a place."""
        self.viewer.scene.camera.center = center
        self.viewer.scene.camera.zoom = zoom
        self.turn(0.5)

    def drag(self, points: list[np.ndarray]) -> None:
        """Draw with the left button of the mouse from place to place in the image."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        camera = self.viewer.scene.camera
        none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
        moves = [(QEvent.Type.MouseMove, point, none, left) for point in points[1:]]
        for kind, point, button, buttons in (
            (QEvent.Type.MouseMove, points[0], none, none),
            (QEvent.Type.MouseButtonPress, points[0], left, left),
            *moves,
            (QEvent.Type.MouseButtonRelease, points[-1], left, none),
        ):
            away = (np.asarray(point) - np.asarray(camera.center)[-2:]) * camera.zoom
            place = QPointF(canvas.width() / 2 + away[1], canvas.height() / 2 + away[0])
            there = QPointF(canvas.mapToGlobal(place.toPoint()))
            keys = Qt.KeyboardModifier.NoModifier
            QApplication.sendEvent(canvas, QMouseEvent(kind, place, there, button, buttons, keys))
            self.turn(0.03)
        self.turn(0.2)
        self.wait()

    def picture(self) -> Image.Image:
        """Return a picture of the window."""
        return Image.fromarray(self.viewer.screenshot(canvas_only=False, flash=False)[..., :3])

    def canvas(self) -> Image.Image:
        """Return a picture of what the window shows of the layers."""
        return Image.fromarray(self.viewer.screenshot(canvas_only=True, flash=False)[..., :3])


class TrainingWindow(Window):
    """A window of napari with the Training dock and the sample image."""

    title = "Train"

    def wait(self) -> None:
        """Wait until the annotation has been looked at, and the run is over."""
        self.turn(0.1)
        while not (self.dock.outlook_group.idle and self.find("train_button").isEnabled()):
            self.turn(0.05)
        self.turn(0.5)

    def seen(self, iteration: int) -> bool:
        """Whether the run has come so far."""
        return self.find("training_progress").value() >= iteration


class QuietWindow(Window):
    """A window of napari with a dock that says itself whether it has something to do."""

    def wait(self) -> None:
        """Wait until the dock has nothing to do."""
        self.turn(0.1)
        while not self.dock.idle:
            self.turn(0.05)
        self.turn(0.5)


class BatchWindow(QuietWindow):
    """A window of napari with the Batch dock."""

    title = "Batch"


class ModelsWindow(QuietWindow):
    """A window of napari with the Models dock."""

    title = "Models"


@contextmanager
def opened(image: np.ndarray | None = None, kind: type[Window] = Window) -> Iterator[Any]:
    """Open a window, by default with the sample image, and close it at the end."""
    window = kind(load_sample("nuclei").image if image is None else image)
    try:
        yield window
    finally:
        window.wait()
        window.viewer.close()
        window.turn(0.2)


def segment_dock() -> Image.Image:
    """Show the window after one click on Segment."""
    with opened() as window:
        window.segment()
        window.viewer.layers["nuclei labels"].contour = 0
        return window.picture()


def series(*steps: dict[str, float]) -> Image.Image:
    """Show one piece of the image, row by row of values of the controls."""
    with opened() as window:
        window.segment()
        window.find("strides_spin").setValue(1)
        window.look_at((245, 176), 5.0)
        pictures = []
        for values in steps:
            for name, value in values.items():
                control = window.find(name)
                getattr(control, "setCurrentIndex" if name.endswith("combo") else "setValue")(value)
            window.wait()
            pictures.append(window.canvas())
        return beside(pictures)


def ranges() -> Image.Image:
    """Show range 1 alone, ranges up to 11, and the same with more merging."""
    return series({"range_slider": 0}, {"range_slider": 4}, {"range_slider": 4, "bias_slider": 0.6})


def neighbourhood() -> Image.Image:
    """Draw what a pixel is compared with: 4 and 8 neighbours, each at three sets of ranges."""
    ranges = ((1,), (1, 3, 5), (1, 3, 5, 9, 11))
    return beside(
        [pairs_of(Neighborhood(each, 4)) for each in ranges]
        + [pairs_of(Neighborhood(ranges[-1], 8))]
    )


def pairs_of(neighborhood: Neighborhood, reach: int = 12, cell: int = 13) -> Image.Image:
    """Draw the pairs of the pixel in the middle: those that attract, and those that forbid."""
    side = (2 * reach + 1) * cell + 1
    picture = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(picture)
    for line in range(0, side, cell):
        draw.line((line, 0, line, side), fill="#e4e4e4")
        draw.line((0, line, side, line), fill="#e4e4e4")
    for number, offset in enumerate(neighborhood.offset_list):
        color = "#2a9d5c" if number < neighborhood.n_attractive else "#d9731a"
        for sign in (-1, 1):
            top, left = ((reach + sign * step) * cell for step in offset)
            draw.rectangle((left + 1, top + 1, left + cell - 1, top + cell - 1), fill=color)
    middle = reach * cell
    draw.rectangle((middle, middle, middle + cell, middle + cell), fill="black")
    return picture


def bias() -> Image.Image:
    """Show what splits more and what merges more."""
    return series(*({"bias_slider": bias} for bias in (-0.9, 0.0, 0.6, 0.8)))


def layers() -> Image.Image:
    """Show image, embedding, foreground and one affinity of a piece of the image."""
    with opened() as window:
        window.segment()
        window.find("foreground_check").click()
        window.wait()
        window.find("affinity_combo").setCurrentText("(0, −9)")
        window.find("affinity_button").click()
        window.wait()
        window.look_at((140, 420), 4.0)
        pictures = []
        names = ["nuclei", "nuclei embedding", "nuclei foreground", "affinity (0, −9)"]
        for name in names:
            for layer in window.viewer.layers:
                layer.visible = layer.name == name
            window.viewer.layers[name].opacity = 1
            window.turn(0.3)
            pictures.append(window.canvas())
        return beside(pictures)


def preview() -> Image.Image:
    """Show a large image, of which what is visible follows the controls."""
    image = load_sample("nuclei").image
    with opened(np.tile(image, (4, 4))) as window:
        window.segment()
        window.look_at((700, 900), 1.2)
        window.find("range_slider").setValue(2)
        window.wait()
        return window.picture()


def corrections() -> Image.Image:
    """Show a piece of the image as it is, after a join, and after a cut."""
    with opened() as window:
        window.segment()
        first, second = closest(window.viewer.layers["nuclei labels"].features)
        middle, way = (first + second) / 2, second - first
        window.look_at(tuple(middle), 9.0)
        pictures = [window.canvas()]
        window.find("join_button").click()
        window.drag([first + way * n / 8 for n in range(9)])
        pictures.append(window.canvas())
        window.find("undo_correction_button").click()
        window.wait()
        window.find("cut_button").click()
        across = way[::-1] * (1, -1) / np.linalg.norm(way)
        window.drag([first + across * 3.5 * n for n in range(-7, 8)])
        pictures.append(window.canvas())
        return beside(pictures)


def review() -> Image.Image:
    """Show the uncertainty of the objects and where they differ from the truth."""
    with opened() as window:
        window.segment()
        truth = window.viewer.add_labels(load_sample("nuclei").truth, name="by hand")
        truth.visible = False
        window.find("truth_fold").expand(animate=False)
        window.find("truth_combo").setCurrentText("by hand")
        window.find("next_uncertain_button").click()
        window.wait()
        window.find("uncertainty_check").click()
        window.wait()
        window.viewer.layers["nuclei labels"].contour = 1
        window.viewer.layers.selection.active = window.viewer.layers["nuclei uncertainty"]
        window.look_at((200, 330), 1.6)
        window.dock.ensureWidgetVisible(window.find("truth_label"))
        window.turn(0.5)
        return window.picture()


def volume() -> Image.Image:
    """Show the labels of a made-up volume in one section and as a whole."""
    with opened(balls()) as window:
        layer = window.viewer.layers["nuclei"]
        layer.name = "balls"
        window.find("model_combo").setCurrentText("nuclei-3d")
        window.segment()
        window.viewer.reset_view()
        window.turn(0.5)
        pictures = [window.canvas()]
        window.viewer.dims.ndisplay = 3
        layer.visible = False
        window.viewer.scene.camera.angles = (10, 25, 60)
        window.viewer.scene.camera.zoom *= 0.75
        window.turn(2)
        pictures.append(window.canvas())
        return beside(pictures)


def balls() -> np.ndarray:
    """Return a volume of blurred balls that touch, with noise."""
    rng = np.random.default_rng(3)
    grid = np.stack(np.mgrid[:48, :96, :96], axis=-1).astype(float)
    image = np.zeros(grid.shape[:3])
    centers = np.stack(np.mgrid[9:48:15, 9:96:15, 9:96:15], axis=-1).reshape(-1, 3)
    for center in centers + rng.uniform(-2.5, 2.5, centers.shape):
        away = np.linalg.norm(grid - center, axis=-1)
        image = np.maximum(image, rng.uniform(0.6, 1) / (1 + np.exp((away - 6.5) / 0.8)))
    noisy = rng.poisson(100 * image + 8) + rng.normal(0, 3, image.shape)
    return np.clip(8 * noisy, 0, None).astype(np.uint16)


def uncertainty() -> Image.Image:
    """Show image, labels and variance of a model of masks."""
    with opened() as window:
        window.find("model_combo").setCurrentText("nuclei-lsim")
        window.segment()
        window.find("average_check").setChecked(True)
        window.wait()
        window.find("variance_check").setChecked(True)
        window.wait()
        window.look_at((140, 420), 4.0)
        pictures = []
        for name in ("nuclei", "nuclei labels", "nuclei variance"):
            for layer in window.viewer.layers:
                layer.visible = layer.name in (name, "nuclei" if name.endswith("labels") else name)
            window.turn(0.3)
            pictures.append(window.canvas())
        return beside(pictures)


def training_dock() -> Image.Image:
    """Show a model that learns from 28 painted nuclei and two strokes of background."""
    truth = load_sample("nuclei").truth
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_PEA_MODELS"] = folder
        with opened(kind=TrainingWindow) as window:
            paint = np.where(np.isin(truth, np.unique(truth)[1::7]), truth, 0)
            window.viewer.add_labels(paint, name="paint")
            window.find("background_brush_button").click()
            strokes = window.viewer.layers["paint background"]
            strokes.brush_size = 8
            for first, last in (((130, 366), (130, 410)), ((333, 482), (333, 526))):
                window.drag([np.linspace(first, last, 12)[n] for n in range(12)])
            strokes.mode = "pan_zoom"
            window.find("preset_combo").setCurrentIndex(0)
            window.wait()
            window.find("train_button").click()
            while "kept:" not in window.find("pace_label").text() or not window.seen(110):
                window.turn(0.2)
            window.viewer.layers["nuclei training"].contour = 1
            window.turn(0.5)
            picture = window.picture()
            window.find("stop_button").click()
            return picture


def models_dock() -> Image.Image:
    """Show the card of a model of the user's own, with a picture of what it does."""
    sample = load_sample("nuclei")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_PEA_MODELS"] = folder
        duplicate_model("nuclei", "nuclei of mice")
        (Path(folder) / "old.pea.safetensors").write_bytes(b"cut off")
        with opened(kind=ModelsWindow) as window:
            labels = segment(sample.image).labels
            window.viewer.add_labels(labels, name="labels").contour = 2
            window.look_at((200, 330), 4.0)
            window.dock.models.choose(Path(folder) / "nuclei of mice.pea.safetensors")
            window.find("models_picture_button").click()
            window.wait()
            return window.picture()


def batch_dock() -> Image.Image:
    """Show a folder of which one file is damaged, after a run."""
    image = load_sample("nuclei").image
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as scratch, opened(kind=BatchWindow) as window:
        os.chdir(scratch)
        folder = "plate 7"
        Path(folder).mkdir()
        for row, name in enumerate("ABC"):
            for column in range(2):
                well = image[170 * row : 170 * row + 170, 256 * column : 256 * column + 256]
                Image.fromarray(well).save(Path(folder) / f"well {name}{column + 1}.tif")
        (Path(folder) / "well B2.tif").write_bytes(b"cut off")
        window.find("batch_input_edit").setText(folder)
        window.wait()
        window.find("batch_run_button").click()
        window.wait()
        window.find("batch_table").selectRow(0)
        window.viewer.layers.clear()
        window.find("batch_open_button").click()
        window.viewer.reset_view()
        window.turn(0.5)
        picture = window.picture()
        os.chdir(before)
        return picture


def closest(features: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres of the two objects nearest to each other, away from the rim."""
    whole = features[features["area"] > 400]
    centers = whole[["centroid-0", "centroid-1"]].to_numpy()
    centers = centers[((centers > 60) & (centers < 440)).all(axis=1)]
    apart = np.linalg.norm(centers[:, None] - centers, axis=-1)
    np.fill_diagonal(apart, np.inf)
    first, second = np.unravel_index(apart.argmin(), apart.shape)
    return centers[first], centers[second]


def beside(pictures: list[Image.Image], gap: int = 8) -> Image.Image:
    """Return pictures in a row, cut to squares."""
    side = min(min(picture.size) for picture in pictures)
    row = Image.new("RGB", (len(pictures) * (side + gap) - gap, side), "white")
    for number, picture in enumerate(pictures):
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        row.paste(picture.crop((left, top, left + side, top + side)), (number * (side + gap), 0))
    return row


PICTURES: dict[str, Callable[[], Image.Image]] = {
    "segment-dock": segment_dock,
    "ranges": ranges,
    "layers": layers,
    "preview": preview,
    "corrections": corrections,
    "review": review,
    "training-dock": training_dock,
    "models-dock": models_dock,
    "batch-dock": batch_dock,
    "neighbourhood": neighbourhood,
    "bias": bias,
    "volume": volume,
    "uncertainty": uncertainty,
}


def save(picture: Image.Image, path: Path) -> None:
    """Save a picture with as many colours as its size allows."""
    if path.suffix == ".jpg":
        picture.save(path, quality=86, optimize=True)
        return
    if picture.width > SIZE[0]:
        picture = picture.resize((SIZE[0], picture.height * SIZE[0] // picture.width))
    # A palette of 256 colours looks the same here and is a third of the size.
    for colors, share in ((256, 1), (128, 1), (128, 0.85), (128, 0.7)):
        size = (round(picture.width * share), round(picture.height * share))
        smaller = picture.resize(size, Image.Resampling.LANCZOS)
        smaller.quantize(colors, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            break


def main(names: list[str]) -> None:
    """Take the pictures of these names, or all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pictures = dict(PICTURES)
    if data := os.environ.get("DATA"):
        for model, side in best_and_worst.MODELS.items():
            pictures[f"{PHOTO}{model}"] = partial(best_and_worst.picture, model, Path(data), side)
    for name in names or pictures:
        ending = "jpg" if name.startswith(PHOTO) else "png"
        save(pictures[name](), FOLDER / f"{name}.{ending}")


if __name__ == "__main__":
    main(sys.argv[1:])
