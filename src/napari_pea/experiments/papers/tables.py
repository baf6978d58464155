"""The tables of PEA that need training: which runs they have, and which rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_pea.core.neighborhood import Neighborhood
from napari_pea.experiments.arms import Arm
from napari_pea.experiments.papers.benchmarks import LEAVES
from napari_pea.experiments.papers.figure import Panel
from napari_pea.experiments.papers.neuron_benchmarks import SECTIONS
from napari_pea.experiments.papers.published import (
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    Row,
)

#: The run that most tables share.
PEA = Arm("pea", "PEA: SCM, CCM and EPM")
#: Dimensions and longest lists of ranges that are compared with those of the paper.
DIMENSIONS = (4, 8, 32)
RANGE_SETS = ((1, 3), (1, 3, 5), (1, 3, 5, 9), (1, 3, 5, 9, 15, 27))
#: What the row with those of the paper is called.
USUAL = "16 dimensions, ranges as in the paper"
#: What is learned by the baselines has no pyramid and no second branch.
PLAIN = {"cross_weight": 0.0, "pyramid_weight": 0.0}


@dataclass(frozen=True)
class Entry:
    """A row of a table.

    Attributes
    ----------
    arm : Arm
        What is trained.
    way : str
        How objects are made of what it predicts: see `scoring.WAYS`.
    published : Row
        The row of the paper.
    """

    arm: Arm
    way: str
    published: Row


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes
    ----------
    name : str
        As it is asked for.
    title : str
        What it shows.
    data : str
        The data set of the paper.
    entries : tuple of Entry
        Its rows.
    metrics : tuple of str
        Its columns.
    note : str
        What else has to be known to read it.
    panels : tuple of Panel
        The curves of what the paper shows as a figure; none for tables.
    """

    name: str
    title: str
    data: str
    entries: tuple[Entry, ...]
    metrics: tuple[str, ...] = ("sbd", "dic", "aji", "pq")
    note: str = ""
    panels: tuple[Panel, ...] = ()

    @property
    def arms(self) -> tuple[Arm, ...]:
        """What is trained, each once."""
        return tuple({entry.arm.name: entry.arm for entry in self.entries}.values())


def ways_of(arm: Arm, ndim: int) -> tuple[str, ...]:
    """Return every way to objects that makes sense for what an arm learns.

    Mean shift is for images: on the voxels of a volume it takes hours.
    """
    kind = arm.settings.get("kind", "correlation")
    images = {
        "correlation": ("mutex",),
        "affinities": ("affinities",),
        "discriminative": ("mean-shift", "mutex"),
    }
    volumes = {
        "correlation": ("multicut", "mutex"),
        "affinities": ("affinities-multicut", "affinities"),
        "discriminative": ("multicut", "mutex"),
    }
    return (images if ndim == 2 else volumes)[kind]


def _direct(name: str, title: str, neighborhood: Neighborhood, **settings: Any) -> Arm:
    """Return the arm that predicts the affinities of a neighborhood themselves."""
    return Arm(
        name,
        title,
        {"kind": "affinities", **PLAIN, **settings},
        {"embedding_dim": len(neighborhood.offset_list)},
    )


def _ranges(ranges: tuple[int, ...]) -> str:
    """Return what a row with other ranges is called."""
    return f"ranges {' '.join(map(str, ranges))}"


AL_GAO = _direct("al-gao", "AL-Gao: affinities predicted directly", LEAVES.neighborhood(2))
SUPERHUMAN = _direct(
    "superhuman",
    "SuperHuman: affinities predicted directly",
    SECTIONS.neighborhood(3),
    affinity_loss="entropy",
)
ML_DE = Arm("ml-de", "ML-De: discriminative loss", {"kind": "discriminative", **PLAIN})
SCM = Arm("scm", "SCM", PLAIN)
SCM_EPM = Arm("scm-epm", "SCM and EPM", {"cross_weight": 0.0})
SCM_CCM = Arm("scm-ccm", "SCM and CCM", {"pyramid_weight": 0.0})
BACKBONES = {
    "resunet": PEA,
    "resnet50": Arm("resnet50", "ResNet-50", {}, {"depth": 50}, "resnet2d"),
    "resnet101": Arm("resnet101", "ResNet-101", {}, {"depth": 101}, "resnet2d"),
}
UNCHANGED = {
    "no-flip": Arm("no-flip", "no flips", {"cross_flips": False}),
    "no-cutout": Arm("no-cutout", "no cut-out squares", {"cross_cutout": False}),
    "no-intensity": Arm("no-intensity", "no change of intensity", {"cross_intensity": False}),
    "ours": PEA,
}

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "1",
            "backbones",
            "cvppp",
            tuple(Entry(arm, "mutex", TABLE_1[name]) for name, arm in BACKBONES.items()),
            note="The paper's figures are those of the hidden test images, scored again by the "
            "contest's site in 2022; those in print came from another metric. All networks start "
            "from random weights.",
        ),
        Table(
            "2",
            "beside other ways to learn",
            "cvppp",
            (
                Entry(AL_GAO, "affinities", TABLE_2["al-gao"]),
                Entry(ML_DE, "mean-shift", TABLE_2["ml-de-mean-shift"]),
                Entry(ML_DE, "mutex", TABLE_2["ml-de-mutex"]),
                Entry(PEA, "mutex", TABLE_2["ours"]),
            ),
            note="AL-Gao has the class balance of PEA, and no pyramid or cascade. The bandwidth "
            "of mean shift, which the paper does not tell, is the margin 1.5.",
        ),
        Table(
            "3",
            "nuclei",
            "bbbc039",
            (
                Entry(AL_GAO, "affinities", Row("AL-Gao")),
                Entry(ML_DE, "mean-shift", Row("ML-De, mean shift")),
                Entry(ML_DE, "mutex", Row("ML-De, Mutex")),
                Entry(PEA, "mutex", TABLE_3["ours"]),
            ),
            ("aji", "authors' aji", "dice", "pq", "ap50", "sbd", "dic"),
            note="The paper compares with other methods in this table; here those of table 2 "
            "stand for them.",
        ),
        Table(
            "4",
            "neurons",
            "ac3-ac4",
            tuple(
                Entry(arm, way, row)
                for arm, published in (
                    (SUPERHUMAN, TABLE_4["superhuman"]),
                    (ML_DE, TABLE_4["ml-de"]),
                    (PEA, TABLE_4["ours"]),
                )
                for way, row in zip(
                    ways_of(arm, 3),
                    (published, Row(f"{published.title}, Mutex instead of multicut")),
                    strict=True,
                )
            ),
            ("voi_split", "voi_merge", "voi", "arand", "cremi"),
            note="SuperHuman predicts the twelve affinities with the same network, by their "
            "balanced binary cross entropy. As in the paper objects come from the multicut of "
            "direct neighbours, undecided at 1/2. MALA is left out: its network of 84 million "
            "parameters needs a GPU, and nothing else here would use its loss over minimax "
            "paths. 0 is perfect in all columns. Objects are scored as their ids say, not by "
            "connected components as in table 1 of LSIM.",
        ),
        Table(
            "5",
            "parts of the loss",
            "cvppp",
            (
                Entry(SCM, "mutex", TABLE_5["scm"]),
                Entry(SCM_EPM, "mutex", TABLE_5["scm-epm"]),
                Entry(SCM_CCM, "mutex", TABLE_5["scm-ccm"]),
                Entry(PEA, "mutex", TABLE_5["ours"]),
            ),
        ),
        Table(
            "6",
            "transformations of the second branch",
            "cvppp",
            tuple(Entry(arm, "mutex", TABLE_6[name]) for name, arm in UNCHANGED.items()),
            note="In the authors' code the row without flips also lets gradients into the second "
            "branch (methods A5); here only the flips are gone.",
        ),
        Table(
            "figure-6",
            "dimensions and ranges",
            "cvppp",
            (
                *(
                    Entry(
                        Arm(f"dimensions-{count}", "", {}, {"embedding_dim": count}),
                        "mutex",
                        Row(f"{count} dimensions"),
                    )
                    for count in DIMENSIONS
                ),
                *(
                    Entry(
                        Arm(
                            f"ranges-{len(ranges)}",
                            "",
                            {"ranges": ranges},
                            recommended={"ranges": ranges},
                        ),
                        "mutex",
                        Row(_ranges(ranges)),
                    )
                    for ranges in RANGE_SETS
                ),
                Entry(PEA, "mutex", Row(USUAL)),
            ),
            note="The paper shows these in a figure only, so that there are no numbers to "
            "compare with.",
            panels=(
                Panel(
                    "dimensions of the embedding",
                    tuple(
                        (str(count), USUAL if count == 16 else f"{count} dimensions")
                        for count in sorted((*DIMENSIONS, 16))
                    ),
                ),
                Panel(
                    "number of ranges",
                    tuple(
                        (str(len(ranges)), USUAL if ranges == LEAVES.ranges else _ranges(ranges))
                        for ranges in sorted((*RANGE_SETS, LEAVES.ranges), key=len)
                    ),
                ),
            ),
        ),
    )
}
