"""Models of other programs that predict affinities of fixed offsets."""

from __future__ import annotations

import io
import types
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_pea.core.device import Precision, choose_device
from napari_pea.core.errors import Cancelled, InputError, is_out_of_memory, reason_of
from napari_pea.core.field import AffinityField
from napari_pea.core.image import prepare_image
from napari_pea.core.networks.base import Network
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.tiling import stitched
from napari_pea.models.affinity_model import AffinityModel
from napari_pea.models.metadata import FOREIGN, ModelMetadata
from napari_pea.models.package import read_metadata, torch_tensors
from napari_pea.models.zoo.steps import applied, sigmoid
from napari_pea.models.zoo.trust import is_trusted

if TYPE_CHECKING:
    from napari_pea.core.neighborhood import Offset

#: Sides of tiles that are aimed at, in pixels; shorter in 3D.
TILE = {2: 512, 3: 96}


@dataclass(frozen=True)
class Plan:
    """How a foreign network is run and what of its outputs is taken.

    Attributes
    ----------
    kind : {"torchscript", "pytorch_state_dict"}
        What its weights are.
    name : str
        What makes the network in its code.
    arguments : dict
        With which.
    axes : str
        The axes of its input, such as "bcyx".
    in_channels : int
        Channels of its images.
    smallest, step, halo : tuple of int
        The sizes it takes along each spatial axis, and how many outer pixels are dropped.
    before, after : list of (str, dict)
        What is done to images and to affinities.
    output : int
        Which output holds the affinities.
    first : int
        The first channel of the affinities in it.
    foreground : (int, int) or None
        Output and channel of the foreground probability.
    logits : bool
        Whether outputs are still to become probabilities.
    apart : bool
        Whether affinities tell how surely pixels lie in *different* objects.
    """

    kind: str
    name: str
    arguments: dict[str, Any]
    axes: str
    in_channels: int
    smallest: tuple[int, ...]
    step: tuple[int, ...]
    halo: tuple[int, ...]
    before: list[tuple[str, dict[str, Any]]]
    after: list[tuple[str, dict[str, Any]]]
    output: int = 0
    first: int = 0
    foreground: tuple[int, int] | None = None
    logits: bool = False
    apart: bool = False

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Plan:
        """Return a plan from plain values.

        Raises
        ------
        InputError
            If they are damaged.
        """
        try:
            plan = cls(**told)
            sides = (plan.smallest, plan.step, plan.halo)
            if not all(type(side) is int and side >= 0 for each in sides for side in each):
                raise ValueError(sides)
            return plan
        except (TypeError, ValueError) as error:
            raise InputError("What the model file says about its network is damaged.") from error

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class ForeignNetwork(Network):
    """A network of strangers behind the face of ours.

    Parameters
    ----------
    inner : Module
        The network.
    plan : Plan
        How it is run.
    """

    channels_last = False

    def __init__(self, inner: torch.nn.Module, plan: Plan) -> None:
        super().__init__()
        self.inner = inner
        self.plan = plan
        self.ndim = len(plan.smallest)
        self.in_channels = plan.in_channels
        self.divisor = (1,) * self.ndim
        self.tile = tuple(
            small + step * max(0, -(-(TILE[self.ndim] - small) // step)) if step else small
            for small, step in zip(plan.smallest, plan.step, strict=True)
        )
        # Where nothing is said about it, an eighth of a tile is dropped at each side.
        self.halo = tuple(
            min(max(halo, side // 8), max(0, (side - 8) // 2))
            for halo, side in zip(plan.halo, self.tile, strict=True)
        )

    @property
    def encoder_stages(self) -> tuple[torch.nn.Module, ...]:
        """Not known."""
        return ()

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return all outputs for a batch of shape (B, C, *spatial)."""
        given = image
        if "c" not in self.plan.axes:
            given = given[:, 0]
        if "b" not in self.plan.axes:
            given = given[0]
        found = self.inner(given)
        outputs = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        # All outputs as (B, C, *spatial).
        return tuple(
            output.reshape(1, -1, *output.shape[output.ndim - self.ndim :]) for output in outputs
        )

    def valid_sizes(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Return the sizes that an image is filled up to so that the network takes its tiles."""
        sizes = []
        for size, small, step, side in zip(
            spatial, self.plan.smallest, self.plan.step, self.tile, strict=True
        ):
            more = -(-max(0, size - small) // step) * step if step else side - small
            sizes.append(min(small + more, side) if size <= side else size)
        return tuple(sizes)


class ForeignModel(AffinityModel):
    """A foreign network with what it needs to know about its images.

    See `Model` for the parameters.
    """

    network: ForeignNetwork
    can_average = False

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """The pairs whose affinities the model knows, in pixels."""
        return self.metadata.offsets

    def normalized(
        self, image: Any, *, channel: int | None = None, channel_axis: int | None = None
    ) -> NDArray[np.float32]:
        """Return an image as the network takes it; see `Model.normalized`."""
        channels = prepare_image(
            image,
            self.network.in_channels,
            self.ndim,
            channel=channel,
            channel_axis=channel_axis,
        )
        return applied(channels.astype(np.float32), self.network.plan.before)

    def field(
        self,
        image: Any,
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        tile: int | None = None,
        halo: int | None = None,
        average: bool = False,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> AffinityField:
        """Predict the affinities of an image.

        Parameters
        ----------
        image, channel, channel_axis, halo, progress, cancel
            See `Model.embed`.
        tile : int, optional
            Not used: the network says how large tiles can be.
        average : bool
            Not used: there are no masks.

        Raises
        ------
        InputError
            If the image cannot be used, or the network fails.
        Cancelled
            If `cancel` was set.
        """
        channels = self.normalized(image, channel=channel, channel_axis=channel_axis)
        plan, spatial = self.network.plan, channels.shape[1:]
        padded = np.pad(
            channels,
            [
                (0, 0),
                *(
                    (0, valid - size)
                    for valid, size in zip(self.network.valid_sizes(spatial), spatial, strict=True)
                ),
            ],
            mode="symmetric",
        )

        def read(outputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
            last = plan.first + len(self.offsets)
            found = [outputs[plan.output][0, plan.first : last]]
            if plan.foreground is not None:
                found.append(outputs[plan.foreground[0]][0, plan.foreground[1]])
            return found

        try:
            maps = stitched(
                self.network,
                padded,
                read,
                device=self.device,
                halo=halo,
                progress=progress,
                cancel=cancel,
            )
        except (Exception, SystemExit) as error:
            # Code of strangers may raise anything: one image must not end a whole batch.
            if isinstance(error, (Cancelled, InputError)) or is_out_of_memory(error):
                raise
            raise InputError(
                f"The network of {self.name!r} does not work on this image: {reason_of(error)}."
            ) from error
        where: tuple[Any, ...] = (..., *(slice(size) for size in spatial))
        values, *inside = [self._probabilities(part.numpy()[where]) for part in maps]
        return AffinityField(
            1 - values if plan.apart else values, self.offsets, inside[0] if inside else None
        )

    def embed_normalized(
        self,
        channels: NDArray[np.float32],
        *,
        tile: int | None = None,
        halo: int | None = None,
        precision: Precision = "auto",
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> Embedding:
        """Say that there is no embedding.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(f"The model {self.name!r} predicts affinities and no embedding.")

    def _probabilities(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return outputs between 0 and 1."""
        plan = self.network.plan
        flat = values if values.ndim > self.ndim else values[None]
        made = applied(flat, plan.after)
        if plan.logits:
            made = sigmoid(made)
        return np.clip(made, 0, 1).reshape(values.shape)


def load_foreign(path: Path, device: str = "auto") -> ForeignModel:
    """Load a foreign model that the user has agreed to run.

    Parameters
    ----------
    path : Path
        A model file that an import has made.
    device : str
        See `napari_pea.models.catalogue.load_model`.

    Raises
    ------
    InputError
        If the user has not agreed, or the file is damaged.
    """
    metadata = read_metadata(path)
    if not is_trusted(path):
        raise InputError(
            f"The model {metadata.name!r} runs code of its authors, which was not allowed here: "
            "import it anew, and allow that only if you trust them."
        )
    tensors = torch_tensors(path)
    try:
        code, weights = (tensors[name].numpy().tobytes() for name in ("code", "weights"))
    except KeyError as error:
        raise InputError(f"The model file {path} is damaged: get it again.") from error
    plan = Plan.of(metadata.arguments)
    return ForeignModel(built_network(plan, code, weights), metadata, choose_device(device))


def built_network(plan: Plan, code: bytes, weights: bytes) -> ForeignNetwork:
    """Return a foreign network: this runs code of its authors.

    Parameters
    ----------
    plan : Plan
        How it is made.
    code : bytes
        Its Python file; empty for TorchScript.
    weights : bytes
        Its weights.

    Raises
    ------
    InputError
        If the code or the weights do not work.
    """
    jit: Any = torch.jit
    try:
        if plan.kind == "torchscript":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # TorchScript is called old
                return ForeignNetwork(jit.load(io.BytesIO(weights), map_location="cpu"), plan)
        module = types.ModuleType("foreign_architecture")
        exec(compile(code, "architecture.py", "exec"), module.__dict__)  # noqa: S102 - agreed to
        network = getattr(module, plan.name)(**plan.arguments)
        state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
        network.load_state_dict(state)
        return ForeignNetwork(network.eval(), plan)
    except (Exception, SystemExit) as error:
        # Whatever their code raises, it is theirs: it must not take the window with it.
        raise InputError(
            f"The network of the model cannot be built: {reason_of(error)}."
        ) from error


def foreign_metadata(
    described_name: str, text: str, licence: str, offsets: tuple[Offset, ...], plan: Plan
) -> ModelMetadata:
    """Return what a model file says of a foreign model.

    Parameters
    ----------
    described_name, text, licence
        What its package says.
    offsets : tuple of offset
        Of its affinities.
    plan : Plan
        How it is run.

    Raises
    ------
    InputError
        If the Mutex Watershed cannot work with these offsets.
    """
    from napari_pea.core.known import KnownOffsets
    from napari_pea.core.settings import SegmentationSettings

    known = KnownOffsets(offsets)
    ndim = len(offsets[0])
    settings = known.with_known_z(SegmentationSettings(ranges=known.ranges or (1,)))
    known.check(settings.neighborhood(ndim))
    return ModelMetadata(
        name=described_name,
        description=text,
        architecture=f"{FOREIGN}{ndim}d",
        arguments=plan.as_dict(),
        offsets=offsets,
        training_ranges=known.ranges,
        recommended=settings,
        licence=licence,
    )
