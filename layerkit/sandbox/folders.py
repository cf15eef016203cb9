"""Makes folders in a container's root, by descriptor, wherever links of the image lead inside it."""

from __future__ import annotations

import os
import posixpath
import stat
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.tree import LINK_LIMIT

if TYPE_CHECKING:
    from layerkit.sandbox.inside import Inside

_SCOPED = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
_FOLDER = os.O_PATH | os.O_DIRECTORY


def make_folders(inside: Inside, whole: str, *, links: int = 0) -> None:
    """Make the folder at the absolute path `whole`, with its parents, where they are missing.

    Where a link leads to nothing, the folder is made there. Others may do the same meanwhile.
    """
    path = ""
    for name in filter(None, whole.split("/")):
        parent, path = path or "/", f"{path}/{name}"
        try:
            os.close(linux.openat2(inside.root, path, _FOLDER, _SCOPED))
        except FileNotFoundError:
            link = _make_folder(inside.root, parent, name)
            if link is not None and links < LINK_LIMIT:
                make_folders(inside, posixpath.join(parent, link), links=links + 1)


def _make_folder(root: int, parent: str, name: str) -> str | None:
    """Make one folder, unless something is there; if that is a link, what is written in it."""
    folder = linux.openat2(root, parent, _FOLDER, _SCOPED)
    try:
        os.mkdir(name, 0o755, dir_fd=folder)
    except FileExistsError:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return os.readlink(name, dir_fd=folder)
    finally:
        os.close(folder)
    return None
