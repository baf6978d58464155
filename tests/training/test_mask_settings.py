from __future__ import annotations

import pytest

from napari_pea.core.errors import InputError
from napari_pea.training.mask_settings import MaskObjective


def test_defaults_are_those_of_the_authors() -> None:
    settings = MaskObjective()
    assert settings.samples == (120, 120, 120, 90)
    assert settings.spacing == (2, 7, 7)
    assert settings.border == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"samples": (1, 2, 3)},
        {"samples": (0, 1, 1, 1)},
        {"spacing": (1, 1)},
        {"border": -1},
        {"sparse_weight": -0.5},
        {"background": "none"},
    ],
)
def test_values_that_make_no_sense_are_refused(wrong) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        MaskObjective(**wrong)
