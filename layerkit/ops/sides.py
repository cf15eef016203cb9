"""The two sides of a comparison: what a text names on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.errors import NotFoundError, UsageError
from layerkit.ops.folder import LocalFolder
from layerkit.ops.images import find_image
from layerkit.ops.inside import LocalImage
from layerkit.ops.snapshots import open_inside

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.ops.inside import Comparable
    from layerkit.ops.layers import Known

_NUMBER = re.compile("[0-9]{1,9}")


def find(home: Home, text: str, known: Known) -> Comparable:
    """A container, `container@snapshot`, image, `image#N` (its first N layers) or directory.

    A directory is what begins with `/`, `./` or `../`, or exists under a name that nothing else has.
    Images share trees through `known`. Raises `NotFoundError`, `UsageError`; to be closed.
    """
    if text in {".", ".."} or text.startswith(("/", "./", "../")):
        return _folder(text)
    name, mark, number = text.rpartition("#")
    if mark:
        return _layers(home, name, number, known)
    try:
        return open_inside(home, text)[1]
    except NotFoundError:
        pass
    try:
        return LocalImage(home.store, find_image(home, text), text, known=known)
    except NotFoundError:
        if os.path.isdir(text):
            return _folder(text)
        raise


def _folder(text: str) -> LocalFolder:
    if not os.path.isdir(text):
        raise NotFoundError(f"no such directory: {text}")
    return LocalFolder(Path(text))


def _layers(home: Home, name: str, number: str, known: Known) -> LocalImage:
    image = find_image(home, name)
    if _NUMBER.fullmatch(number) is None or not 1 <= int(number) <= len(image.layers):
        raise UsageError(
            f"invalid layer {number!r} of {name}: wanted a number from 1 to {len(image.layers)}"
        )
    return LocalImage(home.store, image, f"{name}#{number}", count=int(number), known=known)
