"""Arrays segmented block by block."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import zarr

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.files import locked
from napari_pea.core.metrics import evaluate
from napari_pea.core.partition import partition_embedding
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken
from napari_pea.core.refine import refine
from napari_pea.core.settings import SegmentationSettings
from napari_pea.volumes import job as module
from napari_pea.volumes.job import VolumeOptions, segment_volume

SETTINGS = SegmentationSettings(ranges=(1, 3, 5), strides=1, min_size=8)


def labels_in(path, level=0):
    return np.asarray(zarr.open_group(path, mode="r")[str(level)][...])


def in_memory(source, settings=SETTINGS):
    embedding = source(tuple(slice(0, size) for size in source.shape))
    neighborhood = settings.neighborhood(len(source.shape))
    pieces = partition_embedding(embedding.vectors, neighborhood, settings, embedding.foreground)
    return refine(pieces, settings, evidence=embedding)


@pytest.mark.parametrize(
    ("shape", "block", "strides"),
    [((90, 110), (40, 32), 1), ((20, 48, 50), (8, 24, 24), 1), ((90, 110), (41, 32), 3)],
)
def test_blocks_give_what_the_whole_array_gives(
    tmp_path, truth_source, tissue, shape, block, strides
):
    source, settings = truth_source(tissue(shape, 20)), SETTINGS.updated(strides=strides)
    result = segment_volume(
        source, tmp_path / "out.zarr", settings, VolumeOptions(block, (6,) * len(shape))
    )
    labels = labels_in(result.path)
    whole = in_memory(source, settings)
    assert evaluate(labels, whole, ["arand"])["arand"] <= 0.01
    assert evaluate(labels, source.truth, ["arand"])["arand"] <= 0.02
    assert result.n_objects == labels.max() == len(np.unique(labels[labels > 0]))
    assert result.n_blocks > 8
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


class Halves:
    """Two halves whose vectors differ by 45 degrees: most pixel pairs would join them."""

    shape = (24, 24)
    identity: ClassVar[dict[str, str]] = {}

    def __call__(self, region, *, cancel=None):
        angle = np.where(np.arange(24) < 12, 0, np.pi / 4)[region[1]]
        rows = region[0].stop - region[0].start
        vectors = np.stack([np.cos(angle), np.sin(angle)])[:, None].repeat(rows, axis=1)
        return Embedding(vectors.astype(np.float32), None)


@pytest.mark.parametrize("block", [(24, 24), (12, 24)])
def test_what_is_held_apart_in_blocks_stays_apart(tmp_path, block):
    settings = SETTINGS.updated(bias=-0.6, merge_fragments=False)
    assert in_memory(Halves(), settings).max() == 2
    result = segment_volume(
        Halves(), tmp_path / "out.zarr", settings, VolumeOptions(block, (12, 12))
    )
    assert (labels_in(result.path) == in_memory(Halves(), settings)).all()


def test_borders_lie_on_faces_no_more_often_than_elsewhere(tmp_path, truth_source, tissue):
    source = truth_source(tissue((160, 160), 60))
    result = segment_volume(
        source, tmp_path / "out.zarr", SETTINGS, VolumeOptions((32, 32), (8, 8))
    )
    labels = labels_in(result.path)
    border = (labels[1:] != labels[:-1]).mean(axis=1)
    faces = np.zeros(len(border), bool)
    faces[31::32] = True
    assert border[faces].mean() <= border[~faces].mean() + 2 * border[~faces].std() / 2


def test_workers_do_not_change_the_result(tmp_path, truth_source, tissue):
    source = truth_source(tissue((70, 80), 30))
    results = [
        labels_in(
            segment_volume(
                source,
                tmp_path / f"{workers}.zarr",
                SETTINGS,
                VolumeOptions((32, 32), workers=workers),
            ).path
        )
        for workers in (1, 3)
    ]
    assert np.array_equal(*results)


def stop_after(n, monkeypatch):
    """Let a job die while it keeps its n-th block."""
    keep = module.JobFolder.keep
    kept = []

    def keep_some(self, block, result):
        if len(kept) == n:
            self._pieces("r+")[block.core] = 7  # half of it was written
            raise KeyboardInterrupt
        keep(self, block, result)
        kept.append(block.number)

    monkeypatch.setattr(module.JobFolder, "keep", keep_some)


@pytest.mark.parametrize("n", [0, 3])
def test_a_stopped_job_goes_on_where_it_was(tmp_path, truth_source, tissue, monkeypatch, n):
    truth = tissue((70, 80), 30)
    run = partial(segment_volume, settings=SETTINGS, options=VolumeOptions((32, 32)))
    expected = labels_in(run(truth_source(truth), tmp_path / "straight.zarr").path)
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        stop_after(n, patch)
        with pytest.raises(KeyboardInterrupt):
            run(truth_source(truth), out)
    assert not out.exists()
    with pytest.raises(InputError, match="unfinished job"):
        run(truth_source(truth), out)
    source = truth_source(truth)
    told = []
    result = run(
        source, out, resume=True, progress=lambda done, total, /: told.append((done, total))
    )
    assert np.array_equal(labels_in(result.path), expected)
    assert len(source.regions) == result.n_blocks - n
    assert told[-1][0] == told[-1][1]


def test_a_job_that_ended_while_it_cleared_up_is_finished(
    tmp_path, truth_source, tissue, monkeypatch
):
    source, out = truth_source(tissue((40, 40), 9)), tmp_path / "out.zarr"

    def killed(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.JobFolder, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            segment_volume(source, out, SETTINGS)
    labels = labels_in(out)
    result = segment_volume(source, out, SETTINGS, resume=True)
    assert result.n_objects == labels.max() == labels_in(out).max()
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]
    with pytest.raises(InputError, match="exists already"):
        segment_volume(source, out, SETTINGS, resume=True)


def test_another_job_is_not_gone_on_with(tmp_path, truth_source, tissue, monkeypatch):
    source, out = truth_source(tissue((40, 40), 9)), tmp_path / "out.zarr"
    options = VolumeOptions((32, 32))
    with monkeypatch.context() as patch:
        stop_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            segment_volume(source, out, SETTINGS, options)
    with pytest.raises(InputError, match="another image, model, settings or blocks"):
        segment_volume(source, out, SETTINGS.updated(bias=0.1), options, resume=True)
    result = segment_volume(source, out, SETTINGS.updated(bias=0.1), options, overwrite=True)
    assert result.n_objects > 0


def test_results_are_replaced_only_if_asked_for(tmp_path, truth_source, tissue):
    source, out = truth_source(tissue((40, 40), 9)), tmp_path / "out.zarr"
    segment_volume(source, out, SETTINGS)
    with pytest.raises(InputError, match="exists already"):
        segment_volume(source, out, SETTINGS)
    segment_volume(source, out, SETTINGS.updated(min_size=10**6), overwrite=True)
    assert not labels_in(out).any()


def test_what_a_job_has_not_written_is_never_replaced(tmp_path, truth_source, tissue):
    source, out = truth_source(tissue((40, 40), 9)), tmp_path / "raw.zarr"
    zarr.create_array(out, data=np.arange(9))
    with pytest.raises(InputError, match="holds no labels of napari-pea"):
        segment_volume(source, out, SETTINGS, overwrite=True)
    assert np.asarray(zarr.open_array(out, mode="r")[...]).tolist() == list(range(9))


def test_a_job_that_was_to_replace_labels_goes_on(tmp_path, truth_source, tissue):
    source, out = truth_source(tissue((70, 80), 30)), tmp_path / "out.zarr"
    options = VolumeOptions((32, 32))
    segment_volume(source, out, SETTINGS.updated(min_size=10**6), options)
    token = CancelToken()
    with pytest.raises(Cancelled):
        segment_volume(
            *(source, out, SETTINGS, options),
            overwrite=True,
            progress=lambda done, total, /: token.cancel() if done == 2 else None,
            cancel=token,
        )
    assert not labels_in(out).any()  # those that were there
    assert segment_volume(source, out, SETTINGS, options, resume=True).n_objects > 0
    assert labels_in(out).any()


def test_it_can_be_cancelled_and_resumed(tmp_path, truth_source, tissue):
    source, out = truth_source(tissue((70, 80), 30)), tmp_path / "out.zarr"
    token = CancelToken()

    def cancel_soon(done, total, /):
        if done == 2:
            token.cancel()

    options = VolumeOptions((32, 32))
    with pytest.raises(Cancelled):
        segment_volume(source, out, SETTINGS, options, progress=cancel_soon, cancel=token)
    assert not out.exists()
    assert segment_volume(source, out, SETTINGS, options, resume=True).n_objects > 0


def test_two_programs_do_not_write_the_same(tmp_path, truth_source, tissue):
    source = truth_source(tissue((40, 40), 9))
    with locked(tmp_path / ".out.lock"), pytest.raises(InputError, match="Another program"):
        segment_volume(source, tmp_path / "out.zarr", SETTINGS)


def test_coarser_levels_scale_and_settings_are_written(tmp_path, truth_source, tissue):
    source = truth_source(tissue((20, 600, 40), 30), depth=4)
    result = segment_volume(
        source,
        tmp_path / "out.zarr",
        SETTINGS,
        VolumeOptions((20, 128, 40)),
        pixel_size=(2.0, 0.5, 0.5),
    )
    group = zarr.open_group(result.path, mode="r")
    (about,) = group.attrs["multiscales"]
    scales = [level["coordinateTransformations"][0]["scale"] for level in about["datasets"]]
    assert scales[0] == [2.0, 0.5, 0.5]
    assert len(scales) == 2
    fine, coarse = labels_in(result.path), labels_in(result.path, 1)
    steps = [round(after / before) for before, after in zip(scales[0], scales[1], strict=True)]
    assert np.array_equal(coarse, fine[tuple(slice(None, None, step) for step in steps)])
    assert steps[1] == 2
    assert group.attrs["napari_pea"]["settings"] == SETTINGS.as_dict()


class Disk:
    """A disk whose rim hardly resembles its middle, and goes just beyond a face at row 24."""

    shape = (48, 48)
    identity: ClassVar[dict[str, str]] = {}

    def __call__(self, region, *, cancel=None):
        y, x = np.mgrid[:48, :48]
        away = np.hypot(y - 12, x - 24)[region]
        angle = np.deg2rad(160) * np.clip(away / 14, 0, 1) ** 6
        vectors = np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
        return Embedding(vectors, (away < 14).astype(np.float32))


def test_thin_parts_beyond_a_face_stay_with_their_object(tmp_path):
    settings = SETTINGS.updated(ranges=(1, 3, 5, 9), min_size=20, bias=0.6)
    whole = in_memory(Disk(), settings)
    assert whole.max() == 1
    result = segment_volume(
        Disk(), tmp_path / "out.zarr", settings, VolumeOptions((24, 48), (12, 12))
    )
    assert np.array_equal(labels_in(result.path), whole)


class Ring:
    """A ring around a hole that is larger than the halo, with a speck in it."""

    shape = (60, 60)
    identity: ClassVar[dict[str, str]] = {}

    def __call__(self, region, *, cancel=None):
        away = np.hypot(*(np.mgrid[:60, :60] - 29.5))[region]
        vectors = np.ones((1, *away.shape), np.float32)
        return Embedding(vectors, ((away < 2) | ((away > 18) & (away < 28))).astype(np.float32))


@pytest.mark.parametrize("fill", [True, False])
def test_holes_are_filled_whatever_lies_in_them_and_wherever_faces_are(tmp_path, fill):
    settings = SETTINGS.updated(min_size=50, merge_fragments=False, fill_holes=fill)
    result = segment_volume(
        Ring(), tmp_path / "out.zarr", settings, VolumeOptions((20, 20), (6, 6))
    )
    assert np.array_equal(labels_in(result.path), in_memory(Ring(), settings))
    assert (labels_in(result.path)[30, 30] == 1) == fill


@pytest.mark.parametrize(
    ("options", "name", "message"),
    [
        (VolumeOptions(workers=0), "out.zarr", "at least 1 worker"),
        (VolumeOptions((8,)), "out.zarr", "2 sides of a block"),
        (VolumeOptions(halo=(1, 2, 3)), "out.zarr", "2 widths"),
        (VolumeOptions(), "out.tif", "out.zarr"),
    ],
)
def test_bad_input_is_named(tmp_path, truth_source, tissue, options, name, message):
    with pytest.raises(InputError, match=message):
        segment_volume(truth_source(tissue((20, 20), 4)), tmp_path / name, SETTINGS, options)
