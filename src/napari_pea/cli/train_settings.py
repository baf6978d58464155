"""The settings of a training run as options of the command line."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from napari_pea.cli.console import given, whole_numbers
from napari_pea.training.settings import TrainingSettings

#: Options that most users leave alone are listed under these headings.
PAINT, METHOD, AUGMENTATION = "Painted objects", "Method", "Augmentation"

_DEFAULTS = TrainingSettings()
_DEFAULT_VALUES = vars(_DEFAULTS) | vars(_DEFAULTS.objective) | vars(_DEFAULTS.augmentation)


@dataclass(frozen=True)
class Setting:
    """A training setting that has an option of the same name.

    Attributes
    ----------
    name : str
        Of the setting.
    kind : type
        Of what the user types; lists of whole numbers are typed with commas.
    text : str
        For the help.
    heading : str, optional
        Where it stands in the help.
    """

    name: str
    kind: Any
    text: str
    heading: str | None = None

    @property
    def flag(self) -> str:
        """The option."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def parameter(self) -> inspect.Parameter:
        """The option as a parameter of a command, None unless it is given."""
        option = typer.Option(
            help=f"{self.text}  [default: {_shown(_DEFAULT_VALUES[self.name])}]",
            rich_help_panel=self.heading,
        )
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[self.kind | None, option],
        )

    def read(self, value: Any) -> Any:
        """Return the value of the setting for what was typed."""
        if isinstance(_DEFAULT_VALUES[self.name], tuple) and isinstance(value, str):
            return whole_numbers(value, self.flag)
        return value


SETTINGS: tuple[Setting, ...] = (
    Setting("ranges", str, "Distances of the pixel pairs that are trained; with --start its own."),
    Setting("iterations", int, "Steps of the optimiser."),
    Setting("batch_size", int, "Crops for each step."),
    Setting("crop", int, "Side of the crops, a multiple of 16."),
    Setting("crop_depth", int, "Sections of the crops of volumes."),
    Setting("learning_rate", float, "The highest one."),
    Setting("validate_every", int, "In iterations."),
    Setting("checkpoint_every", int, "In iterations."),
    Setting("frozen_stages", int, "Stages of the encoder that keep their weights, at most 5."),
    Setting("seed", int, "Decides every random draw."),
    Setting("distant_pairs", int, "Random pairs of pixels drawn in each crop.", PAINT),
    Setting("distant_weight", float, "Weight of those in different objects.", PAINT),
    Setting("connectivity", int, "4, or 8 for diagonal pairs too; in 3D 6, 18 or 26.", METHOD),
    Setting("self_weight", float, "Weight of the self-correlation term.", METHOD),
    Setting("cross_weight", float, "Weight of the cross-correlation term; slower.", METHOD),
    Setting("detach_cross", bool, "Keep gradients out of the changed copy of the image.", METHOD),
    Setting(
        "symmetric_cross", bool, "Correlate in both directions, not from the image only.", METHOD
    ),
    Setting("cross_flips", bool, "Flip and transpose the changed copy.", METHOD),
    Setting("cross_cutout", bool, "Cut squares out of the changed copy.", METHOD),
    Setting("cross_intensity", bool, "Change the intensity of the changed copy.", METHOD),
    Setting("pyramid_weight", float, "Weight of the embedding pyramid; 0 is faster.", METHOD),
    Setting("pyramid_ranges", str, "How many ranges are trained at 1/2 to 1/16.", METHOD),
    Setting("background_pairs", str, "Two pixels of background: object, apart or ignored.", METHOD),
    Setting("widened", bool, "Part objects that touch by a line of background.", METHOD),
    Setting("balance_classes", bool, "Let the rarer of same and different count more.", METHOD),
    Setting("plain_mean", bool, "Average channels and count all levels the same.", METHOD),
    Setting("foreground_weight", float, "Weight of the foreground.", METHOD),
    Setting("balance_foreground", bool, "Let foreground and background count the same.", METHOD),
    Setting("optimizer", str, "adamw or paper.", METHOD),
    Setting("schedule", str, "one-cycle or constant.", METHOD),
    Setting("warmup", float, "Share of the run in which the learning rate rises.", METHOD),
    Setting("weight_decay", float, "Of the optimiser adamw.", METHOD),
    Setting(
        "ema_decay", float, "How slowly the averaged weights follow; 0 averages nothing.", METHOD
    ),
    Setting("geometric_probability", float, "How often crops are rotated and bent.", AUGMENTATION),
    Setting("scale", tuple[float, float], "Smallest and largest magnification.", AUGMENTATION),
    Setting("elastic_amplitude", float, "Largest displacement by bending, in px.", AUGMENTATION),
    Setting(
        "intensity_probability", float, "How often brightness and contrast change.", AUGMENTATION
    ),
    Setting("blur_probability", float, "How often crops are blurred.", AUGMENTATION),
    Setting("noise_probability", float, "How often noise is added.", AUGMENTATION),
    Setting("missing_probability", float, "How often a section is missing.", AUGMENTATION),
    Setting("shift_probability", float, "How often sections are out of place.", AUGMENTATION),
)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every one of `SETTINGS`.

    The command takes those that were given as its argument `changes`, a dictionary.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [known for name, known in signature.parameters.items() if name != "changes"]

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        typed = given(**{known.name: values.pop(known.name) for known in SETTINGS})
        changes = {
            known.name: known.read(typed[known.name]) for known in SETTINGS if known.name in typed
        }
        command(**values, changes=changes)

    parameters = [known.replace(kind=inspect.Parameter.KEYWORD_ONLY) for known in own]
    parameters += [known.parameter for known in SETTINGS]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return wrapper


class HeadedCommand(TyperCommand):
    """A command whose help lists options under the headings of their `rich_help_panel`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, options, and then the options of every heading."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for known in self.get_params(ctx):
            record = known.get_help_record(ctx)
            heading = getattr(known, "rich_help_panel", None)
            if record is not None:
                kind = "Arguments" if known.param_type_name == "argument" else "Options"
                sections.setdefault(heading or kind, []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _shown(value: Any) -> str:
    """Return a default as it is typed."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Iterable) and not isinstance(value, str):
        separator = "," if all(isinstance(item, int) for item in value) else " "
        return separator.join(str(item) for item in value)
    return str(value)
