from __future__ import annotations

import numpy as np

from napari_pea.volumes.contacts import Contacts
from napari_pea.volumes.output import type_for
from napari_pea.volumes.stitch import groups, of_one_group, stitched, without_small


def contacts(*said):
    objects = np.array([pair for *pair, _ in said], dtype=np.int64).reshape(-1, 2)
    return Contacts(objects, np.array([evidence for *_, evidence in said], dtype=float))


def test_what_is_said_to_be_one_becomes_one():
    owner = stitched(5, contacts((1, 4, 3.0), (2, 3, -1.0), (3, 5, 2.0)))
    assert owner.tolist() == [0, 1, 2, 3, 1, 3]


def test_the_sum_of_all_contacts_decides():
    # 1 and 2 are apart in their block, and 3 lies across the face from both.
    assert stitched(3, contacts((1, 3, 4.0), (2, 3, 1.0), (1, 2, -3.0))).tolist() == [0, 1, 2, 1]
    assert stitched(3, contacts((1, 3, 4.0), (2, 3, 5.0), (1, 2, -3.0))).tolist() == [0, 1, 1, 1]


def test_without_contacts_all_stay_as_they_are():
    assert stitched(3, contacts()).tolist() == [0, 1, 2, 3]
    assert stitched(0, contacts()).tolist() == [0]


def test_small_objects_go_and_the_rest_is_numbered_without_gaps():
    owner = np.array([0, 1, 2, 1, 3])
    sizes = np.array([0, 2, 4, 3, 9])
    assert without_small(owner, sizes, 5).tolist() == [0, 1, 0, 1, 2]
    assert without_small(owner, sizes, 0).tolist() == [0, 1, 2, 1, 3]


def test_only_what_something_joins_is_of_one_group():
    said = contacts((1, 2, 1.0), (2, 3, 0.5), (3, 4, -1.0), (4, 5, 2.0))
    group = groups(6, said)
    assert len({int(group[n]) for n in (1, 2, 3)}) == 1
    assert len({int(group[n]) for n in (0, 3, 4, 6)}) == 4
    apart = contacts((1, 3, -4.0), (2, 5, -1.0), (4, 5, -0.5))
    assert of_one_group(apart, group).objects.tolist() == [[1, 3], [4, 5]]


def test_ids_beyond_32_bits_are_written_with_64():
    assert type_for(2**32 - 1) == np.uint32
    assert type_for(2**32) == np.uint64
