"""Network namespaces by descriptor; the calling process has one thread."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from layerkit import linux

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = "/proc/thread-self/ns/net"


def new() -> int:
    """A new, empty namespace, which lives as long as the descriptor or a process in it."""
    with _coming_back():
        linux.unshare(linux.CLONE_NEWNET)
        return os.open(_OURS, os.O_RDONLY)


@contextlib.contextmanager
def entered(namespace: int) -> Iterator[None]:
    """Be in the namespace while the block runs."""
    with _coming_back():
        linux.setns(namespace, linux.CLONE_NEWNET)
        yield


@contextlib.contextmanager
def _coming_back() -> Iterator[None]:
    here = os.open(_OURS, os.O_RDONLY)
    try:
        yield
    finally:
        linux.setns(here, linux.CLONE_NEWNET)
        os.close(here)
