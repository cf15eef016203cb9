"""Directories made from trees: built beside, synced, and then named at once."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from layerkit import digest as digests
from layerkit.digest import ChainID
from layerkit.errors import StoreError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


class Folders:
    """Directories below `place`, each with a name, built in `scratch`.

    `remove` removes a directory with all in it, if it is there. Methods raise `StoreError` and
    `StoreFullError`.
    """

    def __init__(self, place: Path, scratch: Path, remove: Callable[[Path], None]) -> None:
        self._place = place
        self._scratch = scratch
        self._remove = remove

    def path(self, name: str) -> Path:
        """Where the directory of this name is, or will be."""
        return self._place / name

    def chains(self) -> Iterator[ChainID]:
        """The ChainIDs that names of directories here begin with; raises `OSError`."""
        for name in os.listdir(self._place) if self._place.is_dir() else ():
            with contextlib.suppress(ValueError):
                yield ChainID(digests.parse(f"sha256:{name.partition('-')[0]}"))

    @contextlib.contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """A new directory, which gets the name in the end; whoever is second drops its own."""
        beside = self._scratch / f"tree-{os.urandom(8).hex()}"
        try:
            with guarded("write"):
                beside.mkdir()
                yield beside
                self._place.mkdir(exist_ok=True)
                _name(beside, self._place / name)
        finally:
            with contextlib.suppress(OSError):
                self._remove(beside)

    def remove(self, name: str) -> None:
        """Remove the directory of this name if it is here."""
        with guarded("remove"):
            self._remove(self._place / name)


def _name(beside: Path, target: Path) -> None:
    try:
        os.rename(beside, target)
    except OSError as error:
        if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
            raise


@contextlib.contextmanager
def open_all(paths: Sequence[Path]) -> Iterator[list[int]]:
    """The descriptors of files, closed again at the end; raises `StoreError`."""
    with contextlib.ExitStack() as stack:
        with guarded("read"):
            descriptors = [stack.enter_context(opened(path)) for path in paths]
        yield descriptors


@contextlib.contextmanager
def opened(path: Path, flags: int = 0) -> Iterator[int]:
    """The descriptor of a file, or with `O_DIRECTORY` of a directory; raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def guarded(what: str) -> Iterator[None]:
    """Turn an `OSError` inside into a `StoreError` that says `cannot WHAT PATH: reason`."""
    try:
        yield
    except OSError as error:
        kind = StoreFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else StoreError
        reason = os.strerror(error.errno or 0).lower()
        raise kind(f"cannot {what} {error.filename}: {reason}") from error
