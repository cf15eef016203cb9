"""Where a copy goes: docker's rules for paths, sources and destinations, pure."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from enum import Enum

from layerkit.errors import LayerkitError, UsageError


@dataclass(frozen=True, slots=True)
class Place:
    """One side of a copy as it was written: a `container` or none, and a path there."""

    container: str | None
    path: str

    def __str__(self) -> str:
        return self.path if self.container is None else f"{self.container}:{self.path}"


@dataclass(frozen=True, slots=True)
class Spot:
    """A path from the root, canonical as in a tree, and what its end says.

    With `is_folder` it ends with `/` or `/.`, so a symlink there is followed; with `is_content`
    with `/.`: only what is in the directory is meant.
    """

    path: bytes
    is_folder: bool
    is_content: bool

    @property
    def name(self) -> bytes:
        """The last component; empty for the root."""
        return self.path.rpartition(b"/")[2]


class There(Enum):
    """What is at a destination."""

    NOTHING = 0
    FOLDER = 1
    OTHER = 2


class Way(Enum):
    """How a source is put: under its own name into a directory, its content into one, or as the
    destination itself.
    """

    INTO = 0
    CONTENT = 1
    AS = 2


def place(text: str) -> Place:
    """What an argument names: `CONTAINER:PATH`, or a path, which may hold a colon behind a `/` or `.`.

    Raises `UsageError` where there is no path.
    """
    name, colon, path = text.partition(":")
    is_here = not colon or not name or text.startswith(("/", "."))
    if not (text if is_here else path):
        raise UsageError(f"no path in {text!r}: wanted CONTAINER:PATH or a path")
    return Place(None, text) if is_here else Place(name, path)


def spot(text: str, folder: str = "/") -> Spot:
    """Where a path leads from a folder; `..` goes up in the text, before any symlink is looked at."""
    path = posixpath.normpath(posixpath.join("/", folder, text)).strip("/")
    is_content = text.rstrip("/").rpartition("/")[2] == "."
    return Spot(os.fsencode(path), is_content or text.endswith("/"), is_content)


def decide(source: Spot, there: There, target: Spot, *, is_folder: bool) -> Way:
    """How a source, a directory or not, is put at a destination; `LayerkitError` where it is not.

    For a destination that is not there, the directory it would be in is.
    """
    if there is There.FOLDER:
        is_content = is_folder and (source.is_content or not source.name)
        return Way.CONTENT if is_content else Way.INTO
    if there is There.OTHER and is_folder:
        raise LayerkitError("cannot copy a directory to a file")
    if there is There.OTHER and target.is_folder:
        raise LayerkitError("the destination is not a directory")
    if target.is_folder and not is_folder:
        raise LayerkitError("the destination directory does not exist")
    return Way.AS
