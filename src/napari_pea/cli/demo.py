"""`napari-pea demo`: the whole way from an image to labels, on the sample."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_pea.cli.console import cancel_on_interrupt, get_ready, progress_bar
from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.segmentation import Segmentation
    from napari_pea.sample_data import Sample


#: What the demo leaves in its folder.
RESULTS = {
    "nuclei_overview.png": "image, embedding and labels side by side: look at this first",
    "nuclei_labels.tif": "an object id for every pixel",
    "nuclei_table.csv": "one row for each object",
    "nuclei.png": "the sample image, 16 bit, so most programs show it dark",
    "nuclei_truth.png": "what annotators saw",
}


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "demo"
    ),
    model: Annotated[
        str, typer.Option("--model", "-m", help="A name of `models list`, or a model file.")
    ] = "nuclei",
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    show: Annotated[bool, typer.Option("--show", help="Also open the result in napari.")] = False,
) -> None:
    """Segment a sample; write labels, table, picture."""
    from napari_pea.core.colors import embedding_colors
    from napari_pea.core.metrics import evaluate
    from napari_pea.core.partition import foreground_mask
    from napari_pea.core.segmenter import Segmenter
    from napari_pea.experiments.overview import save_overview
    from napari_pea.io import write_labels, write_table
    from napari_pea.models.catalogue import load_model
    from napari_pea.sample_data import load_sample

    sample = load_sample("nuclei")
    loaded = load_model(model, device)
    _copy_sample(sample, output)
    get_ready()
    with cancel_on_interrupt() as cancel, progress_bar(sample.name) as progress:
        started = time.perf_counter()
        segmenter = Segmenter(loaded, sample.image)
        result = segmenter.segment(progress=progress, cancel=cancel)
        seconds = time.perf_counter() - started
    aji = evaluate(result.labels, sample.truth, ["aji"])["aji"]
    height, width = sample.image.shape
    typer.echo(
        f"{len(result.table)} nuclei in an image of {height} × {width} pixels, "
        f"{seconds:.1f} s on {loaded.device}."
    )
    typer.echo(f"Annotators saw {sample.truth.max()}; the agreement with them is AJI {aji:.3f}.")
    evidence = segmenter.evidence()
    mask = foreground_mask(evidence.foreground, result.settings)
    codes = evidence.codes
    if codes is None:  # then what is between direct neighbours is shown
        codes = evidence.affinities([(-1, 0), (0, -1), (-1, 0)])
    colors = embedding_colors(codes, mask)
    write_labels(output / "nuclei_labels.tif", result.labels)
    write_table(output / "nuclei_table.csv", result.table)
    save_overview(output / "nuclei_overview.png", sample.image, colors, result.labels)
    typer.echo(f"Written to {output}:")
    for name, what in RESULTS.items():
        typer.echo(f"  {name:21} {what}")
    if show:
        _show(sample, result, colors)


def _copy_sample(sample: Sample, folder: Path) -> None:
    """Give the user the files that the demo started from."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (sample.image_path, sample.truth_path):
            shutil.copyfile(path, folder / path.name)
    except OSError as error:
        raise InputError(
            f"The folder {folder} cannot be written to: {error.strerror or error}."
        ) from error


def _show(sample: Sample, result: Segmentation, colors: NDArray[Any]) -> None:
    """Open image, embedding and labels in napari and wait until it is closed."""
    try:
        import napari
    except ImportError as error:
        raise InputError("napari is not installed: pip install 'napari-pea[gui]'.") from error

    viewer = napari.Viewer(title="napari-pea demo")
    viewer.add_image(sample.image, name=sample.name)
    viewer.add_image(colors, name=f"{sample.name} embedding", rgb=True, visible=False)
    # napari finds the row of an object by the column "index".
    features = result.table.rename(columns={"label": "index"})
    viewer.add_labels(result.labels, name=f"{sample.name} labels", features=features)
    napari.run()
