from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_pea.experiments import nuclei_lsim
from napari_pea.experiments.benchmark_codes import measure_recipe
from napari_pea.experiments.recipes import Recipe
from napari_pea.training.labelled import LabelledImage


def squares(seed: int) -> LabelledImage:
    """Return touching squares of 12 pixels with borders that are dark."""
    place = int(np.random.default_rng(seed).integers(12))
    cells = (np.arange(96) + place) // 12
    labels = (1 + cells[:, None] * 9 + cells).astype(np.int32)
    return LabelledImage(np.cos(labels.astype(np.float32)), labels)


def test_longer_codes_tell_more_of_masks() -> None:
    model = nuclei_lsim.MODEL
    model = model.model_copy(
        update={"arguments": {**model.arguments, "dense": (2,), "sparse": (), "widths": (4,) * 4}}
    )
    settings = replace(nuclei_lsim.SETTINGS, crop=48)
    recipe = Recipe(model, settings, [squares(0), squares(1)], [squares(2)])
    told = []
    found = measure_recipe(
        recipe, lengths=(1, 16), steps=60, progress=lambda *step: told.append(step)
    )
    assert [(row["branch"], row["length"]) for row in found] == [(2, 1), (2, 16)]
    assert found[0]["right"] < found[1]["right"] <= 1
    assert 0 <= found[0]["dice"] <= found[1]["dice"] <= 1
    assert told[-1] == (120, 120)
