"""Every choice of a training run, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import CONNECTIVITIES, Neighborhood, whole_numbers
from napari_pea.core.settings import SegmentationSettings, check_types
from napari_pea.training.background import Background
from napari_pea.training.mask_settings import MaskObjective

OptimizerName = Literal["adamw", "paper"]
ScheduleName = Literal["one-cycle", "constant"]
ObjectiveKind = Literal["correlation", "affinities", "discriminative", "masks"]
AffinityLoss = Literal["squared", "entropy"]
#: The parts of the settings of a run.
PARTS = ("objective", "masks", "augmentation")


@dataclass(frozen=True)
class ObjectiveSettings:
    """The terms of the loss (methods A5).

    Parameters
    ----------
    ranges, connectivity, z_ranges
        The neighborhood whose affinities are trained. Connectivity 4 and 8 are those of
        images, 6, 18 and 26 those of volumes, which alone have z ranges.
    self_weight : float
        Weight of the self-correlation term (SCM).
    cross_weight : float
        Weight of the cross-correlation term (CCM), 1 in the paper. It costs a second pass
        through the network, and in runs of the length that is usual here it did not pay: 0.
    pyramid_weight : float
        Weight of the self-correlation terms of the embedding pyramid (EPM).
    pyramid_ranges : tuple of int
        How many of the shortest ranges are trained at 1/2, 1/4, 1/8 and 1/16; the authors
        take 1 each in 3D.
    background_pairs : {"object", "apart", "ignored"}
        Whether two pixels of background belong together like those of an object, or no pair
        with background does, as in the authors' 3D code; "ignored" is that they count nowhere,
        so that all is spent on telling objects apart and background is left to the foreground.
    widened : bool
        Whether objects that touch within a section are parted by a line of background, as in
        the authors' 3D code. The foreground is trained without it.
    plain_mean : bool
        Whether affinity terms are means over the channels too and all levels of the pyramid
        count the same, as in the paper. In the authors' code channels are summed, and a level
        at 1/k of the size counts 1/k in 2D. The foreground then counts for more.
    foreground_weight : float
        Weight of the cross entropy of the foreground; 4 corresponds to the authors' 1000.
    balance_classes : bool
        Whether the rarer of "same" and "different" counts more, per image and channel.
    balance_foreground : bool
        Whether foreground and background are each weighted by the other's pixel count, as in
        the authors' code.
    detach_cross : bool
        Whether gradients stay out of the transformed branch, as in the authors' code.
    cross_flips, cross_cutout, cross_intensity : bool
        What changes the image of the transformed branch: flips and transposition, cut-out
        squares, intensity.
    symmetric_cross : bool
        Whether the cross term also takes its first pixels from the transformed branch, and
        averages both directions; the authors' code has one direction.
    distant_pairs : int
        How many random pairs of annotated pixels are drawn in each crop besides those of the
        neighborhood. With sparse paint few pairs of the neighborhood end in two objects.
    distant_weight : float
        Weight of those that end in different objects: see `objectives.distant_loss`.
    kind : {"correlation", "affinities", "discriminative", "masks"}
        What is learned: embeddings by their cosines; to compare with, the affinities
        themselves or embeddings by the discriminative loss (see `baselines`), whose terms are
        `self_weight` times theirs and that of the foreground; or the masks of LSIM, by
        `MaskObjective` and that of the foreground.
    affinity_loss : {"squared", "entropy"}
        How the affinities of the kind "affinities" are compared with the true ones: by their
        squared error, or by the binary cross entropy that is usual in 3D.
    """

    # What is trained is what is looked at afterwards.
    ranges: tuple[int, ...] = SegmentationSettings.ranges
    connectivity: int = 4
    z_ranges: tuple[int, ...] | None = None
    self_weight: float = 1.0
    cross_weight: float = 0.0
    pyramid_weight: float = 1.0
    pyramid_ranges: tuple[int, ...] = (4, 3, 2, 1)
    background_pairs: Background = "object"
    widened: bool = False
    plain_mean: bool = False
    foreground_weight: float = 4.0
    balance_classes: bool = True
    balance_foreground: bool = False
    detach_cross: bool = True
    cross_flips: bool = True
    cross_cutout: bool = True
    cross_intensity: bool = True
    symmetric_cross: bool = False
    distant_pairs: int = 0
    distant_weight: float = 1.0
    kind: ObjectiveKind = "correlation"
    affinity_loss: AffinityLoss = "squared"

    def __post_init__(self) -> None:
        check_types(self)
        # Wrong ranges are to be told now, not when training begins.
        for name, what in (
            ("ranges", "range"),
            ("z_ranges", "z range"),
            ("pyramid_ranges", "number of pyramid ranges"),
        ):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole_numbers(getattr(self, name), what))
        for name, choices in (
            ("background_pairs", Background),
            ("kind", ObjectiveKind),
            ("affinity_loss", AffinityLoss),
        ):
            if getattr(self, name) not in get_args(choices):
                raise InputError(
                    f"{name} {getattr(self, name)!r} is not known: use "
                    f"{', '.join(get_args(choices))}."
                )
        for name in (
            *("self_weight", "cross_weight", "pyramid_weight", "foreground_weight"),
            *("distant_pairs", "distant_weight"),
        ):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} cannot be negative: {getattr(self, name)}.")
        if len(self.pyramid_ranges) != 4:
            raise InputError(
                "pyramid_ranges needs one number for each of 1/2, 1/4, 1/8 and 1/16 of the "
                f"size, not {len(self.pyramid_ranges)} numbers."
            )
        _ = self.neighborhood

    @property
    def ndim(self) -> int:
        """The number of axes of the images that the connectivity is one of; 2 for others."""
        return 3 if self.connectivity in CONNECTIVITIES[3] else 2

    @property
    def neighborhood(self) -> Neighborhood:
        """The neighborhood at full resolution."""
        return Neighborhood(self.ranges, self.connectivity, self.ndim, self.z_ranges)

    def for_ndim(self, ndim: int) -> ObjectiveSettings:
        """Return the settings for images of `ndim` axes: as many of them may change at once."""
        if ndim == self.ndim:
            return self
        n_axes = CONNECTIVITIES[self.ndim][self.connectivity]
        same = {axes: known for known, axes in CONNECTIVITIES[ndim].items()}
        return replace(self, connectivity=same[min(n_axes, ndim)], z_ranges=None)

    @property
    def pyramid_neighborhoods(self) -> tuple[Neighborhood, ...]:
        """The neighborhoods at 1/2, 1/4, 1/8 and 1/16."""
        return tuple(self.neighborhood.first(count) for count in self.pyramid_ranges)


@dataclass(frozen=True)
class AugmentationSettings:
    """Random changes of the training crops (methods A7).

    Parameters
    ----------
    geometric_probability : float
        How often a crop is rotated by any angle, scaled and bent; otherwise it is only
        flipped and turned by right angles.
    scale : (float, float)
        Smallest and largest magnification.
    elastic_amplitude : float
        Largest displacement in pixels.
    elastic_spacing : int
        Distance of the points that are displaced independently, in pixels.
    intensity_probability : float
        How often contrast, brightness and gamma change.
    contrast, brightness : float
        Largest relative change of contrast and largest shift of brightness.
    gamma : float
        Largest change of the exponent, as a power of 2.
    blur_probability, noise_probability : float
        How often a crop is blurred or made noisy.
    blur, noise : float
        Largest blur in pixels and largest standard deviation of the noise.
    missing_probability, shift_probability : float
        How often a section of a volume is missing, and how often all sections from some one
        on are shifted.
    shift : int
        Largest shift in pixels.
    """

    geometric_probability: float = 0.7
    scale: tuple[float, float] = (0.8, 1.25)
    elastic_amplitude: float = 3.0
    elastic_spacing: int = 32
    intensity_probability: float = 0.7
    contrast: float = 0.3
    brightness: float = 0.15
    gamma: float = 0.7
    blur_probability: float = 0.15
    blur: float = 1.0
    noise_probability: float = 0.25
    noise: float = 0.06
    missing_probability: float = 0.0
    shift_probability: float = 0.0
    shift: int = 10

    def __post_init__(self) -> None:
        check_types(self)
        try:
            smallest, largest = self.scale
            fits = 0 < smallest <= largest
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise InputError(
                f"scale is a smallest and a largest magnification above 0, not {self.scale}."
            )
        if self.elastic_spacing < 1:
            raise InputError(f"elastic_spacing must be at least 1, not {self.elastic_spacing}.")
        if self.shift < 0:
            raise InputError(f"shift cannot be negative: {self.shift}.")
        for known in fields(self):
            value = getattr(self, known.name)
            if known.name.endswith("_probability") and not 0 <= value <= 1:
                raise InputError(f"{known.name} lies between 0 and 1, not {value}.")
            if known.type == "float" and not value >= 0:
                raise InputError(f"{known.name} cannot be negative: {value}.")


@dataclass(frozen=True)
class TrainingSettings:
    """One training run.

    Parameters
    ----------
    iterations : int
        Number of optimiser steps.
    batch_size, crop : int
        Crops for each step and their side in pixels, a multiple of 16.
    crop_depth : int
        Sections of the crops of volumes: a multiple of 16 where the network treats sections
        like pixels.
    learning_rate, weight_decay : float
        Of the optimiser; for "one-cycle" the peak.
    optimizer : {"adamw", "paper"}
        "paper" is Adam with AMSGrad, and eps 0.01 and weight decay 1e-6 scaled as our loss is
        (methods A5, A8).
    schedule : {"one-cycle", "constant"}
        "one-cycle" rises over the first `warmup` of the run and anneals to 0.
    warmup : float
        Fraction of the run.
    ema_decay : float
        The model that is kept averages the weights over about 1 / (1 - ema_decay) steps.
    validate_every, checkpoint_every : int
        In iterations.
    hold_out : float
        Share of the annotated objects that are held out to validate on, if no validation
        images are given.
    frozen_stages : int
        How many stages of the encoder, from the image on, keep the weights they start with.
    replay : float
        Share of the crops that show what the model knows already: see `replay`.
    seed : int
        Decides the initial weights and every random draw.
    objective : ObjectiveSettings
        What the loss is made of.
    masks : MaskObjective
        How masks are learned, for the kind "masks".
    augmentation : AugmentationSettings
        How crops are changed.

    Raises
    ------
    InputError
        If a value makes no sense.
    """

    iterations: int = 3000
    batch_size: int = 4
    crop: int = 256
    crop_depth: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    optimizer: OptimizerName = "adamw"
    schedule: ScheduleName = "one-cycle"
    warmup: float = 0.1
    ema_decay: float = 0.998
    validate_every: int = 500
    checkpoint_every: int = 250
    hold_out: float = 0.0
    frozen_stages: int = 0
    replay: float = 0.0
    seed: int = 555
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    masks: MaskObjective = field(default_factory=MaskObjective)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def __post_init__(self) -> None:
        check_types(self)
        for name, kind in (
            ("objective", ObjectiveSettings),
            ("masks", MaskObjective),
            ("augmentation", AugmentationSettings),
        ):
            if not isinstance(getattr(self, name), kind):
                raise InputError(f"{name} must be {kind.__name__}, not {getattr(self, name)!r}.")
        for name in (
            *("iterations", "batch_size", "crop", "crop_depth"),
            *("validate_every", "checkpoint_every"),
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.crop % 16:
            raise InputError(f"crop must be a multiple of 16, not {self.crop}.")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate must be above 0, not {self.learning_rate}.")
        if self.seed < 0:
            raise InputError(f"seed cannot be negative: {self.seed}.")
        if not self.weight_decay >= 0:
            raise InputError(f"weight_decay cannot be negative: {self.weight_decay}.")
        if not 0 <= self.warmup <= 1:
            raise InputError(f"warmup is a fraction between 0 and 1, not {self.warmup}.")
        for name in ("hold_out", "replay"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"{name} is a share of at least 0 and below 1, not {getattr(self, name)}."
                )
        if self.frozen_stages < 0:
            raise InputError(f"frozen_stages cannot be negative: {self.frozen_stages}.")
        if not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay is at least 0 and below 1, not {self.ema_decay}.")
        for name, known in (("optimizer", OptimizerName), ("schedule", ScheduleName)):
            if getattr(self, name) not in get_args(known):
                raise InputError(
                    f"The {name} {getattr(self, name)!r} is not known: use "
                    f"{' or '.join(get_args(known))}."
                )

    @property
    def crop_shape(self) -> tuple[int, ...]:
        """The shape of a crop."""
        plane = (self.crop, self.crop)
        return plane if self.objective.ndim == 2 else (self.crop_depth, *plane)

    def for_ndim(self, ndim: int) -> TrainingSettings:
        """Return the settings for a network of `ndim` axes."""
        return replace(self, objective=self.objective.for_ndim(ndim))

    def updated(self, **changes: Any) -> TrainingSettings:
        """Return settings with some values changed, those of the parts included.

        Parameters
        ----------
        **changes
            Values of this object and of its parts: objective, masks and augmentation.

        Raises
        ------
        InputError
            If a setting does not exist or a value makes no sense.
        """
        homes: dict[str, str | None] = {known.name: None for known in fields(self)}
        for part in PARTS:
            homes |= {known.name: part for known in fields(getattr(self, part))}
        for name in changes:
            if name not in homes:
                raise InputError(
                    f"There is no setting {name!r}; the settings are {', '.join(homes)}."
                )

        def of(home: str | None) -> dict[str, Any]:
            return {name: value for name, value in changes.items() if homes[name] == home}

        settings = replace(self, **of(None))
        return replace(
            settings, **{part: replace(getattr(settings, part), **of(part)) for part in PARTS}
        )
