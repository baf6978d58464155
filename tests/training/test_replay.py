from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.metrics import evaluate
from napari_pea.models.catalogue import find_model
from napari_pea.models.package import load_network
from napari_pea.sample_data import load_sample
from napari_pea.training.data import AnnotatedImage
from napari_pea.training.replay import replay_images
from napari_pea.training.sampling import CropSampler
from napari_pea.training.settings import AugmentationSettings, TrainingSettings


def test_a_model_labels_images_of_its_kind() -> None:
    network, metadata = load_network(find_model("nuclei"))
    (item,) = replay_images(network, metadata)
    assert item.image.shape == (1, *item.labels.shape)
    assert evaluate(item.labels, load_sample().truth, ["aji"])["aji"] > 0.85
    part = load_sample().image[:128, :160]
    (item,) = replay_images(network, metadata.model_copy(update={"scale": 0.5}), [part])
    assert item.labels.shape == (64, 80)
    with pytest.raises(InputError, match="what the model 'mine' knows: give some"):
        replay_images(network, metadata.model_copy(update={"name": "mine"}))
    noise = np.random.default_rng(0).normal(100, 1, (64, 64))
    strict = metadata.recommended.updated(foreground_threshold=1.0)
    with pytest.raises(InputError, match="'nuclei' finds nothing"):
        replay_images(network, metadata.model_copy(update={"recommended": strict}), [noise])


def test_a_share_of_every_batch_is_replayed() -> None:
    def flat(number: int) -> AnnotatedImage:
        labels = np.full((40, 40), number, np.int32)
        return AnnotatedImage(np.zeros((1, 40, 40), np.float32), labels)

    settings = TrainingSettings(
        crop=16,
        batch_size=4,
        replay=0.5,
        augmentation=AugmentationSettings(geometric_probability=0),
    )
    sampler = CropSampler([flat(1)], settings, [flat(2)])
    for iteration in range(3):
        assert [ids[0, 0] for _, ids in sampler.crops(iteration)] == [2, 2, 1, 1]
    assert {ids[0, 0] for _, ids in CropSampler([flat(1)], settings).crops(0)} == {1}
