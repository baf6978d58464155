"""Which files of a training run are shown, and which are held out."""

from __future__ import annotations

from pathlib import Path

from napari_pea.core.errors import InputError
from napari_pea.training.files import Pairs


def split(
    pairs: Pairs, training: Path | None, validation: Path | None, hold_out: float
) -> tuple[Pairs, Pairs]:
    """Return what to train on and what to hold out.

    Parameters
    ----------
    pairs : list of (Path, Path)
        Everything there is.
    training, validation : Path or None
        Text files with one file name a line. With one list only, the images of the other
        part are those that it does not name, or none if it names those to train on.
    hold_out : float
        Share to hold out, evenly spread, if there are no lists.

    Raises
    ------
    InputError
        If a list names an image that is not there, or both name the same.
    """
    if not 0 <= hold_out < 1:
        raise InputError(f"--hold-out lies between 0 and 1, not {hold_out}.")
    if training is None and validation is None:
        count = round(len(pairs) * hold_out)
        chosen = {int((index + 0.5) * len(pairs) / count) for index in range(count)}
        held_out = [pair for index, pair in enumerate(pairs) if index in chosen]
        return [pair for pair in pairs if pair not in held_out], held_out
    held_out = [] if validation is None else _listed(validation, pairs)
    if training is None:
        return [pair for pair in pairs if pair not in held_out], held_out
    shown = _listed(training, pairs)
    both = [pair[0].name for pair in shown if pair in held_out]
    if both:
        raise InputError(f"{both[0]} stands in both lists: images to train on cannot be held out.")
    return shown, held_out


def _listed(path: Path, pairs: Pairs) -> Pairs:
    """Return the pairs that a list names, by file name with or without suffix."""
    try:
        names = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list {path} cannot be read.") from error
    known = {key: pair for pair in pairs for key in (pair[0].stem, pair[0].name)}
    wanted = [name.strip() for name in names if name.strip()]
    missing = [name for name in wanted if name not in known]
    if missing:
        raise InputError(f"The list {path} names {missing[0]}, which is not among the images.")
    if not wanted:
        raise InputError(f"The list {path} is empty: write one file name a line.")
    return [known[name] for name in dict.fromkeys(wanted)]
