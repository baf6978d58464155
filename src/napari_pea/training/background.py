"""What background counts as in training; a module of its own because commands start with it."""

from __future__ import annotations

from typing import Literal, TypeAlias

#: An object like others, belonging with nothing, or left out.
Background: TypeAlias = Literal["object", "apart", "ignored"]
