"""What `-v`, `--mount` and `--tmpfs` have in common: paths, names of volumes, words."""

from __future__ import annotations

import os.path
from pathlib import Path

from layerkit.errors import UsageError

PRIVATE = ("private", "rprivate")
SHARING = ("shared", "rshared", "slave", "rslave")
CONSISTENCY = ("consistent", "cached", "delegated", "default")
"""What docker takes on every system and heeds only on a Mac."""

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def sharing_refused(word: str, what: str) -> UsageError:
    """The error for a mount that is to pass on what is mounted in it later."""
    return UsageError(f"unsupported {what}: propagation {word}: wanted private or rprivate")


def host_path(text: str) -> Path:
    """The path on the host, absolute, without `.` and `..`."""
    return Path("/" + os.path.abspath(text).lstrip("/"))


def target(text: str, what: str) -> str:
    """The place in the container, an absolute path but the root itself; raises `UsageError`."""
    clean = "/" + os.path.normpath(text).lstrip("/")
    if not text.startswith("/") or clean == "/":
        raise UsageError(f"invalid {what}: {text!r} is no absolute path below / of the container")
    return clean


def volume_name(text: str, what: str) -> str:
    """A name that a volume can have; raises `UsageError`."""
    if len(text) > 1 and text[0] not in "_.-" and _NAME.issuperset(text):
        return text
    raise UsageError(
        f"invalid {what}: {text!r} is no name of a volume: wanted two or more letters, digits, "
        "'_', '.', '-', a letter or digit first",
        hint="for a folder of the host, write its absolute path, or ./ before it",
    )
