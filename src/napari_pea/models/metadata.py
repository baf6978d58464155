"""What a model file says about itself."""

from __future__ import annotations

from dataclasses import fields
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from napari_pea.core.neighborhood import DEFAULT_RANGES, Offset
from napari_pea.core.normalization import Normalization
from napari_pea.core.scaling import SCALES
from napari_pea.core.settings import SegmentationSettings

#: Raised when the format changes in a way that older versions cannot read.
FORMAT_VERSION = 1
#: How architectures are called that are a program of their authors, with 2d or 3d behind it.
FOREIGN = "zoo"


def _printable(text: str) -> str:
    """Return a text without what a terminal would take for a command."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)


#: A text for the user, who may not know where it comes from.
Told = Annotated[str, AfterValidator(_printable)]


class DataSource(BaseModel):
    """A data set that a model was trained on."""

    model_config = ConfigDict(frozen=True)

    name: Told
    licence: Told = ""
    url: Told = ""


class ModelMetadata(BaseModel):
    """Everything about a model but its weights.

    Attributes
    ----------
    name, description : str
        For the user.
    version : str
        Of the model, not of the software.
    format_version : int
        Of the model file.
    architecture : str
        A name in `napari_pea.core.networks.ARCHITECTURES`.
    arguments : dict
        How the architecture was built.
    normalization : Normalization
        How images are normalised.
    scale : float
        Images are resized by this factor before the network sees them.
    training_ranges : tuple of int
        The ranges whose affinities were trained, in pixels of the resized images.
    offsets : tuple of offset
        What it knows affinities of, in pixels of the images as they were given; empty for
        models that predict an embedding, which know all.
    can_average : bool
        Whether it predicts masks that can be averaged (LSIM).
    recommended : SegmentationSettings
        The settings that scored best on the validation data.
    object_diameter : float, optional
        Median diameter of the training objects in pixels of the images as they were given.
    pixel_size_um : float or tuple of float, optional
        Pixel size of the training data in micrometres; one number for each axis if sections
        are further apart than pixels.
    data : tuple of DataSource
        What it was trained on.
    licence : str
        Of the weights.
    scores : dict
        Figures by data set and metric; those that are no numbers are left out.
    parent : str, optional
        The model that training started from.
    training : dict
        Settings of the run.
    imported_from : str
        The file or address that it was imported from; empty for models made here.
    picture : str
        An example: a JPEG file as base64, or empty.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Told
    description: Told = ""
    version: Told = "1"
    format_version: int = Field(default=FORMAT_VERSION, le=FORMAT_VERSION)
    architecture: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    normalization: Normalization = Normalization()
    scale: float = Field(default=1.0, ge=SCALES[0], le=SCALES[1])
    training_ranges: tuple[int, ...] = DEFAULT_RANGES
    offsets: tuple[Offset, ...] = ()
    can_average: bool = False
    recommended: SegmentationSettings = SegmentationSettings()
    object_diameter: float | None = None
    pixel_size_um: float | tuple[float, ...] | None = None
    data: tuple[DataSource, ...] = ()
    licence: Told = ""
    scores: dict[str, dict[str, float]] = Field(default_factory=dict)
    parent: Told | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    imported_from: Told = ""
    picture: str = ""

    @property
    def ndim(self) -> int:
        """The number of spatial axes of its images; every architecture is named by it."""
        return 3 if self.architecture.endswith("3d") else 2

    @field_validator("scores", mode="before")
    @classmethod
    def _drop_what_is_no_number(cls, value: Any) -> Any:
        """Leave out what JSON has no word for: it writes null, which would not be read again."""
        if not isinstance(value, dict):
            return value
        return {
            name: {
                metric: score
                for metric, score in scores.items()
                if score is not None and not (isinstance(score, float) and not isfinite(score))
            }
            if isinstance(scores, dict)
            else scores
            for name, scores in value.items()
        }

    @field_validator("recommended", mode="before")
    @classmethod
    def _drop_unknown_settings(cls, value: Any) -> Any:
        """Read settings of a later version as far as they are known here."""
        if not isinstance(value, dict):
            return value
        known = {field.name for field in fields(SegmentationSettings)}
        return {name: item for name, item in value.items() if name in known}


def brings_program(metadata: ModelMetadata) -> bool:
    """Whether a model file holds a network that is a program of its authors."""
    return metadata.architecture.startswith(FOREIGN)
