"""What the Segment dock has below its own controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pea.widgets.blocks_group import BlocksGroup
from napari_pea.widgets.controls import Fold
from napari_pea.widgets.corrections_group import CorrectionsGroup
from napari_pea.widgets.live import Live
from napari_pea.widgets.review_group import ReviewGroup
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.truth_group import TruthGroup

if TYPE_CHECKING:
    from napari.viewer import Viewer


def make_groups(viewer: Viewer, state: SegmentState, live: Live, blocks: BlocksGroup) -> list[Fold]:
    """Return the further groups of a dock, from top to bottom.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : SegmentState
        The state of the viewer.
    live : Live
        Carries out changes on the labels.
    blocks : BlocksGroup
        Segments what is larger than memory.
    """
    in_blocks = Fold("blocks_fold", "In blocks", blocks)
    # Few need it; the dock unfolds it for those who do.
    in_blocks.collapse(animate=False)
    truth = Fold("truth_fold", "Truth", TruthGroup(viewer, state, live))
    # Few have one, and the dock is to fit a small screen.
    truth.collapse(animate=False)
    return [
        in_blocks,
        Fold("corrections_fold", "Corrections", CorrectionsGroup(viewer, state, live)),
        Fold("review_fold", "Review", ReviewGroup(viewer, state, live)),
        truth,
    ]
