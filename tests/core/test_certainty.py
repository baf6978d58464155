from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_pea.core.certainty import certainty


def test_certainty_weighs_foreground_and_margin() -> None:
    table = pd.DataFrame({"foreground": [1.0, 0.5, 1.0], "margin": [1.0, 1.0, 0.0]})
    assert certainty(table) == pytest.approx([1.0, 0.6, 0.8])


def test_an_object_that_touches_no_other_stands_out_best() -> None:
    table = pd.DataFrame({"foreground": [0.9, 0.9], "margin": [np.nan, 1.0]})
    values = certainty(table)
    assert values[0] == values[1] == pytest.approx(0.92)


def test_what_is_not_known_does_not_count() -> None:
    assert certainty(pd.DataFrame({"margin": [0.25, -0.5]})).tolist() == [0.25, 0.0]
    assert certainty(pd.DataFrame({"foreground": [0.5]})) == pytest.approx([0.6])
    assert certainty(pd.DataFrame({"label": [1]})) is None
