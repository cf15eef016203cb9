"""Cat: the bytes of one file of an image or container."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit.errors import NotFoundError, UsageError
from layerkit.tree import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.ops.inside import Inside

_NAMES = {
    Kind.DIRECTORY: "a directory",
    Kind.CHARACTER: "a character device",
    Kind.BLOCK: "a block device",
    Kind.FIFO: "a fifo",
    Kind.SOCKET: "a socket",
}


def cat(inside: Inside, path: bytes) -> Iterator[bytes]:
    """The bytes of the file at `path`, symlinks followed inside the root, holes as zeros.

    Raises at once `NotFoundError`, or `UsageError` for what is no file, and later what reading
    raises: `StoreError`, or `RegistryError` and `IntegrityError` for an image in a registry.
    """
    found = inside.find(path)
    if found is None:
        raise _error(NotFoundError, inside, path, "no such file or directory")
    if found.node.kind is not Kind.FILE:
        raise _error(UsageError, inside, path, f"it is {_NAMES[found.node.kind]}")
    if path.endswith(b"/"):
        raise _error(UsageError, inside, path, "it is not a directory")
    return inside.content(found)


def _error(
    kind: type[NotFoundError | UsageError], inside: Inside, path: bytes, why: str
) -> NotFoundError | UsageError:
    return kind(f"cannot read {os.fsdecode(path)} of {inside.name}: {why}")
