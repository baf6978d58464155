from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.sample_data import (
    SAMPLES,
    annotated_nuclei_layers,
    load_sample,
    nuclei_layers,
)


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_have_an_image_and_its_objects(name: str) -> None:
    sample = load_sample(name)
    assert sample.image.shape == sample.truth.shape
    sizes = np.bincount(sample.truth.ravel())[1:]
    assert len(sizes) > 100
    assert sizes.min() >= 25
    inside = sample.image[sample.truth > 0].mean()
    assert inside > 2 * sample.image[sample.truth == 0].mean()


def test_layers_for_napari() -> None:
    sample = load_sample("nuclei")
    ((image, arguments, kind),) = nuclei_layers()
    assert (arguments["name"], kind) == ("nuclei", "image")
    np.testing.assert_array_equal(image, sample.image)
    assert [layer[2] for layer in annotated_nuclei_layers()] == ["image", "labels"]
    np.testing.assert_array_equal(annotated_nuclei_layers()[1][0], sample.truth)


def test_unknown_sample() -> None:
    with pytest.raises(InputError, match="There is no sample 'cats'; choose from nuclei"):
        load_sample("cats")
