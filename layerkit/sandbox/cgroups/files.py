"""Files and folders of the kernel's control groups: read, written, removed."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

from layerkit.errors import SandboxError
from layerkit.sandbox.cgroups.settings import Lack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.sandbox.cgroups.settings import Write

DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""What the kernel answers to somebody who has no right to control groups."""

_MOMENTS = tuple(0.001 * 2**step for step in range(10))
"""Seconds to wait between attempts to remove a group whose processes just ended: one in all."""


def text(path: str) -> str:
    """The content of a file; empty where it is not there, or cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def number(path: str) -> int | None:
    """The number that a file holds; None for `max`, and where there is no such file."""
    content = text(path).strip()
    return int(content) if content.isdecimal() else None


def pairs(path: str) -> dict[str, int]:
    """The numbers of a file with one name and number a line."""
    parts = (line.partition(" ") for line in text(path).splitlines())
    return {name: int(value) for name, _, value in parts if value.isdecimal()}


def write(path: str, content: str) -> None:
    """Write to an existing file in one go, as the kernel wants it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, os.fsencode(content))
    finally:
        os.close(descriptor)


def write_all(writes: Iterable[Write]) -> list[Lack]:
    """Write; what the kernel does not have or this user may not is a lack.

    Raises `SandboxError` for a value that the kernel refuses, and where there is no such group.
    """
    return [lack for each in writes if (lack := _lack_of(each))]


def _lack_of(wanted: Write) -> Lack | None:
    place, file = os.path.split(wanted.path)
    try:
        write(wanted.path, wanted.text)
    except OSError as error:
        if error.errno == errno.ENOENT and os.path.isdir(place):
            return Lack(wanted.limit, f"there is no {file}")
        if error.errno in DENIED:
            return Lack(wanted.limit, f"{file} {wanted.text}: {error.strerror}")
        what = f"{file} of {place} to {wanted.text!r}"
        raise SandboxError(f"cannot set {what}: {error.strerror}") from None
    return None


def remove(place: str) -> None:
    """Remove the folder with those below it, as soon as the kernel lets go of them.

    Nothing happens when it is gone. Raises `SandboxError` when it stays in use.
    """
    for moment in (*_MOMENTS, None):
        try:
            os.rmdir(place)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or moment is None:
                raise SandboxError(f"cannot remove {place}: {error.strerror}") from None
            _remove_below(place)
            time.sleep(moment)
        else:
            return


def _remove_below(place: str) -> None:
    for path, _folders, _files in os.walk(place, topdown=False):
        if path != place:
            with contextlib.suppress(OSError):  # the next attempt meets it again
                os.rmdir(path)
