from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.networks.base import EmbeddingNetwork, NetworkOutput
from napari_pea.core.predict import predict
from napari_pea.core.progress import CancelToken

SMALLEST_TILE = 224


class Filter(EmbeddingNetwork):
    """One small convolution, so that tiles may be small, which notes what it is given."""

    ndim = 2
    in_channels = 1
    embedding_dim = 2
    divisor = (4, 4)
    receptive_radius = halo = (3, 3)
    tile = (1280, 1280)

    def __init__(self, *, foreground: bool = True) -> None:
        super().__init__()
        self.kernel = torch.nn.Parameter(torch.rand(2, 1, 7, 7) - 0.5)
        self.has_foreground = foreground
        self.tiles: list[torch.Tensor] = []
        self.dtypes: list[torch.dtype] = []

    def forward(self, image: torch.Tensor, *, pyramid: bool = False) -> NetworkOutput:
        self.tiles.append(image)
        filtered = functional.conv2d(image, self.kernel, padding=3)
        self.dtypes.append(filtered.dtype)
        return NetworkOutput(filtered, filtered if self.has_foreground else None, ())


class Constant(Filter):
    """Says the same of every pixel of a tile, and two different things in turn."""

    def forward(self, image: torch.Tensor, *, pyramid: bool = False) -> NetworkOutput:
        self.tiles.append(image)
        one, zero = torch.ones_like(image), torch.zeros_like(image)
        odd = len(self.tiles) % 2 == 1
        embedding = torch.cat([one, zero] if odd else [zero, one], dim=1)
        return NetworkOutput(embedding, torch.cat([zero, one], dim=1), ())


def untiled(
    network: EmbeddingNetwork, image: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return vectors and foreground of the image in one piece, in the plainest way."""
    height, width = image.shape[1:]
    step = network.divisor[0]
    filled = np.pad(image, [(0, 0), (0, -height % step), (0, -width % step)], mode="symmetric")
    with torch.inference_mode():
        output = network(torch.from_numpy(filled)[None])
        vectors = functional.normalize(output.embedding[0], dim=0)
        foreground = output.foreground[0].softmax(dim=0)[1]
    return vectors[:, :height, :width].numpy(), foreground[:height, :width].numpy()


@pytest.mark.parametrize(
    ("shape", "tile"),
    [
        ((256, 320), SMALLEST_TILE),
        ((250, 470), 256),
        ((333, 241), (240, 224)),
        ((40, 531), 256),
        ((9, 300), SMALLEST_TILE),
        ((260, 1), 240),
        ((300, 300), 512),
        ((33, 17), 256),
        ((5, 11), 256),
        ((1, 1), 256),
    ],
)
def test_tiles_give_the_result_of_the_whole_image(make_network, shape, tile) -> None:
    network = make_network(full_resolution_skip=True)
    image = np.random.default_rng(0).random((1, *shape), dtype=np.float32)
    vectors, foreground = untiled(network, image)
    embedding = predict(network, image, precision="full", tile=tile)
    assert embedding.shape == shape
    assert embedding.vectors.dtype == embedding.foreground.dtype == np.float32
    np.testing.assert_allclose(embedding.vectors, vectors, atol=1e-3)
    np.testing.assert_allclose(embedding.foreground, foreground, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(embedding.vectors, axis=0), 1, atol=1e-5)


def test_images_with_several_channels(make_network) -> None:
    network = make_network(in_channels=3)
    image = np.random.default_rng(1).random((3, 230, 250), dtype=np.float32)
    vectors, foreground = untiled(network, image)
    embedding = predict(network, image, precision="full", tile=SMALLEST_TILE)
    np.testing.assert_allclose(embedding.vectors, vectors, atol=1e-3)
    np.testing.assert_allclose(embedding.foreground, foreground, atol=1e-3)


@given(st.integers(1, 300), st.integers(1, 90), st.integers(28, 80))
def test_tiles_of_any_size_agree_everywhere(height: int, width: int, tile: int) -> None:
    torch.manual_seed(0)
    network = Filter()
    image = np.random.default_rng(height).random((1, height, width), dtype=np.float32)
    vectors, foreground = untiled(network, image)
    network.tiles.clear()
    embedding = predict(network, image, precision="full", tile=tile)
    np.testing.assert_allclose(embedding.vectors, vectors, atol=1e-4)
    np.testing.assert_allclose(embedding.foreground, foreground, atol=1e-5)
    assert all(max(seen.shape[2:]) <= tile for seen in network.tiles)


@given(st.integers(1, 1000), st.integers(1, 60), st.integers(28, 80))
def test_the_weights_of_all_tiles_sum_to_1(height: int, width: int, tile: int) -> None:
    network = Constant()
    embedding = predict(network, np.zeros((1, height, width), np.float32), tile=tile)
    # The foreground is not scaled afterwards, so a seam would show.
    np.testing.assert_allclose(embedding.foreground, 1 / (1 + np.exp(-1)), atol=1e-6)


def test_tiles_start_at_multiples_of_the_divisor() -> None:
    rows, columns = np.mgrid[:90, :70].astype(np.float32)
    for coordinate in (rows, columns):
        network = Filter()
        predict(network, coordinate[None], tile=33)
        starts = {float(seen[0, 0, 0, 0]) for seen in network.tiles}
        assert len(starts) > 3
        assert all(start % 4 == 0 for start in starts)
        # 33 pixels are the most there is room for.
        assert {tuple(seen.shape) for seen in network.tiles} == {(1, 1, 32, 32)}


def test_tiles_are_blended_and_not_cut() -> None:
    vectors = predict(Constant(), np.zeros((1, 4, 200), np.float32), tile=64).vectors
    assert vectors[0, 0, 0] == 1
    assert vectors[0].min() == 0
    assert np.abs(np.diff(vectors, axis=-1)).max() < 0.2
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), 1, atol=1e-6)


def test_progress_counts_the_tiles() -> None:
    network = Filter()
    seen: list[tuple[int, int]] = []
    predict(
        network,
        np.zeros((1, 60, 40), np.float32),
        tile=32,
        progress=lambda done, total: seen.append((done, total)),
    )
    total = len(network.tiles)
    assert total > 2
    assert seen == [(done, total) for done in range(total + 1)]


def test_cancelling_stops_between_tiles() -> None:
    network = Filter()
    token = CancelToken()

    def progress(done: int, total: int) -> None:
        if done == 2:
            token.cancel()

    with pytest.raises(Cancelled):
        predict(
            network, np.zeros((1, 60, 40), np.float32), tile=32, progress=progress, cancel=token
        )
    assert len(network.tiles) == 2


def test_a_cancelled_job_does_not_begin() -> None:
    network = Filter()
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        predict(network, np.zeros((1, 8, 8), np.float32), cancel=token)
    assert network.tiles == []


def test_a_network_without_foreground() -> None:
    network = Filter(foreground=False)
    assert predict(network, np.ones((1, 60, 40), np.float32), tile=32).foreground is None


def test_the_network_is_evaluated_not_trained(make_network) -> None:
    network = make_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    predict(network, np.random.default_rng(0).random((1, 32, 32), dtype=np.float32))
    assert not network.training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name])
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_image_stays_as_it_was(make_network) -> None:
    image = np.random.default_rng(0).random((1, 30, 40), dtype=np.float32)
    image.setflags(write=False)
    predict(make_network(), image)


def test_views_of_other_arrays_are_taken(make_network) -> None:
    network = make_network()
    stack = np.random.default_rng(0).random((48, 32, 2), dtype=np.float32)
    view = np.moveaxis(stack, -1, 0)[:1, ::-1]
    expected = predict(network, view.copy(), precision="full").vectors
    np.testing.assert_array_equal(predict(network, view, precision="full").vectors, expected)


@pytest.mark.parametrize(
    ("precision", "native", "dtype"),
    [
        ("auto", True, torch.bfloat16),
        ("mixed", True, torch.bfloat16),
        ("full", True, torch.float32),
        ("auto", False, torch.float32),
    ],
)
def test_precision_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, precision: str, native: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    network = Filter()
    embedding = predict(network, np.ones((1, 8, 8), np.float32), precision=precision)
    assert network.dtypes == [dtype]
    assert embedding.vectors.dtype == np.float32
    assert embedding.foreground.dtype == np.float32


def test_float16_is_left_where_numbers_exceed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_pea.core.device.mixed_dtype", lambda *_, **__: torch.float16)
    image = np.random.default_rng(0).random((1, 8, 8), dtype=np.float32)
    network = Filter()
    assert np.isfinite(predict(network, image).vectors).all()
    assert network.dtypes == [torch.float16]
    expected = predict(network, 1e5 * image, precision="full")
    with torch.no_grad():
        network.kernel *= 1e5
    network.dtypes.clear()
    found = predict(network, image)
    assert network.dtypes == [torch.float16, torch.float32]
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-4)


def test_mixed_precision_stays_close_to_single(
    make_network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    network = make_network()
    image = np.random.default_rng(0).random((1, 240, 250), dtype=np.float32)
    single = predict(network, image, precision="full", tile=SMALLEST_TILE)
    mixed = predict(network, image, precision="mixed", tile=SMALLEST_TILE)
    assert (single.vectors != mixed.vectors).any()
    assert (single.vectors * mixed.vectors).sum(axis=0).mean() > 0.99
    assert np.abs(single.foreground - mixed.foreground).mean() < 0.02


@pytest.mark.parametrize(
    ("tile", "message"),
    [
        (0, "A tile of 0 pixels is too small: use at least 224"),
        (-300, "A tile of -300 pixels is too small"),
        (223, "A tile of 223 pixels is too small: use at least 224"),
        ((512, 100), "A tile of 100 pixels is too small"),
        ((512,), "A tile needs 2 sides, not 1"),
        ((512, 512, 512), "A tile needs 2 sides, not 3"),
    ],
)
def test_bad_tiles_are_named(make_network, tile, message: str) -> None:
    with pytest.raises(InputError, match=message):
        predict(make_network(), np.zeros((1, 32, 32), np.float32), tile=tile)


def test_tile_sides_of_numpy_are_taken(make_network) -> None:
    image = np.zeros((1, 16, 300), np.float32)
    assert predict(make_network(), image, tile=np.int64(256)).shape == (16, 300)
