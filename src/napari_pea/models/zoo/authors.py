"""Who made a model, under which licence, and what to cite."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from napari_pea.core.errors import InputError

#: Licences that the dock offers, by their SPDX names.
LICENCES = ("CC-BY-4.0", "CC0-1.0", "BSD-3-Clause", "MIT", "Apache-2.0", "CC-BY-SA-4.0")
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{1,60}")
_ORCID = re.compile(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]")
_DOI = re.compile(r"10\.\d{4,9}/[^\s\"<>]+[^\s\"<>.,;)]")
_ADDRESS = re.compile(r"https?://[^\s\"<>]+[^\s\"<>.,;)]")


@dataclass(frozen=True)
class Author:
    """A person who made a model.

    Attributes
    ----------
    name : str
        The full name.
    affiliation : str
        Where they work; may be empty.
    orcid : str
        The number that tells them from others; may be empty.
    """

    name: str
    affiliation: str = ""
    orcid: str = ""

    @classmethod
    def parse(cls, text: str) -> Author:
        """Return the author of "Name; affiliation; ORCID", of which the name is needed.

        Raises
        ------
        InputError
            If there is no name, or one that a package cannot hold.
        """
        parts = [part.strip() for part in text.split(";")]
        orcid = next((part for part in parts[1:] if _ORCID.fullmatch(part)), "")
        rest = [part for part in parts[1:] if part and part != orcid]
        if not parts[0] or any(sign in parts[0] for sign in "/\\") or not text.isprintable():
            raise InputError(
                f"An author is given as 'Name; affiliation', not as {text!r}: the name must not "
                "be empty and has no slashes."
            )
        return cls(parts[0], "; ".join(rest), orcid)

    def as_dict(self) -> dict[str, str]:
        """Return what a package says about the author."""
        told = {"name": self.name, "affiliation": self.affiliation, "orcid": self.orcid}
        return {key: value for key, value in told.items() if value}


def check_authors(authors: Sequence[Author | str]) -> tuple[Author, ...]:
    """Return the authors of a package.

    Raises
    ------
    InputError
        If there is none, or one cannot be used.
    """
    found = tuple(
        author if isinstance(author, Author) else Author.parse(author) for author in authors
    )
    if not found:
        raise InputError("A package names its authors: give at least one as 'Name; affiliation'.")
    return found


def check_licence(licence: str) -> str:
    """Return the SPDX name of a licence.

    Raises
    ------
    InputError
        If there is none, or it has no such form.
    """
    if not _LICENCE.fullmatch(licence):
        raise InputError(
            f"A package needs a licence by its SPDX name, such as {', '.join(LICENCES[:3])}, not "
            f"{licence!r}."
        )
    return licence


def citation_of(text: str) -> dict[str, str]:
    """Return a citation as packages hold it: a text, and a DOI or an address.

    Raises
    ------
    InputError
        If there is neither DOI nor address in it.
    """
    doi, address = _DOI.search(text), _ADDRESS.search(text)
    plain = " ".join(text.split())
    if doi:
        return {"text": plain, "doi": doi.group()}
    if address:
        return {"text": plain, "url": address.group()}
    raise InputError(f"A citation needs its DOI or address, and {plain[:80]!r} has none.")
