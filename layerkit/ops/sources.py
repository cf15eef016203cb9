"""Where `load` and `import` read from: a directory or an archive, with files by name."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from typing import TYPE_CHECKING, Protocol, TypeAlias

from layerkit.errors import ArchiveError, NotFoundError, StoreError, UsageError
from layerkit.layer import archive, wrapping
from layerkit.ops import content
from layerkit.store import files
from layerkit.tree import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.limits import Limits

_CHUNK = 1 << 20
_HEADER = 512
_LINK_LIMIT = 8

Origin: TypeAlias = "Path | int"
"""A path, or the descriptor of an open file or pipe, which stays open."""


class Source(Protocol):
    """Files by their name in the image; raises `NotFoundError` for one that is not there."""

    def has(self, name: str) -> bool:
        """Whether there is a regular file of this name."""
        ...

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a file."""
        ...


def read_small(source: Source, name: str, limit: int) -> bytes:
    """A whole file of at most `limit` bytes."""
    data = b""
    for chunk in source.chunks(name):
        data += chunk
        if len(data) > limit:
            raise ArchiveError(f"{name} is larger than {limit} bytes")
    return data


@contextlib.contextmanager
def open_source(origin: Origin, scratch: Path, limits: Limits) -> Iterator[Source]:
    """The image at `origin`: a directory, or a tar.

    What is compressed or comes from a pipe goes through a temporary file in `scratch`.
    """
    with opened(origin) as file:
        if not isinstance(origin, int) and stat.S_ISDIR(os.fstat(file).st_mode):
            yield DirectorySource(origin)
            return
        with tempfile.TemporaryFile(dir=scratch) as plain:
            descriptor = _plain(file, plain.fileno(), limits.keep_free)
            yield ArchiveSource(descriptor, limits.entries)


@contextlib.contextmanager
def opened(origin: Origin) -> Iterator[int]:
    """A descriptor to read `origin` from; raises `UsageError` when nothing is there."""
    try:
        file = os.dup(origin) if isinstance(origin, int) else os.open(origin, os.O_RDONLY)
    except OSError as error:
        raise _cannot_read(origin, error) from None
    try:
        yield file
    finally:
        os.close(file)


def read_all(file: int) -> Iterator[bytes]:
    """The bytes of an open file or pipe from where it stands; raises `StoreError`."""
    with files.guarded("read the archive"):
        while chunk := os.read(file, _CHUNK):
            yield chunk


def read_at(file: int) -> archive.ReadAt:
    """What reads an open regular file at any place."""
    return lambda offset, size: os.pread(file, size, offset)


def is_regular(file: int) -> bool:
    """Whether an open file can be read at any place, and twice."""
    return stat.S_ISREG(os.fstat(file).st_mode)


def spool(chunks: Iterator[bytes], target: int, keep_free: int) -> None:
    """Write everything to the open file `target`; raises `StoreError`, before the disk is full."""
    room = files.Room(target, keep_free)
    for chunk in chunks:
        with files.guarded("unpack the archive"):
            room.take(len(chunk))
            view = memoryview(chunk)
            while view:
                view = view[os.write(target, view) :]


def _plain(file: int, scratch: int, keep_free: int) -> int:
    """The descriptor of the uncompressed archive: `file` itself, or `scratch` filled from it."""
    if is_regular(file):
        head = os.pread(file, _HEADER, 0)
        if head[257:262] == b"ustar" or not head:
            return file
        os.lseek(file, 0, os.SEEK_SET)
    spool(wrapping.unwrap(read_all(file)), scratch, keep_free)
    return scratch


def _cannot_read(origin: Origin, error: OSError) -> UsageError | StoreError:
    reason = os.strerror(error.errno or 0).lower()
    kind = UsageError if isinstance(error, FileNotFoundError) else StoreError
    return kind(f"cannot read {show(origin)}: {reason}")


def show(origin: Origin) -> str:
    """The origin for messages."""
    return "standard input" if origin == 0 else str(origin)


class DirectorySource:
    """A directory, such as an OCI image layout; names that lead out of it are not there."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, name: str) -> bool:
        """Whether there is a regular file of this name."""
        return _stays_inside(name) and os.path.isfile(self._root / name)

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a file."""
        if not self.has(name):
            raise NotFoundError(f"{self._root} has no file {name}")
        try:
            with open(self._root / name, "rb", buffering=0) as file:
                yield from read_all(file.fileno())
        except OSError as error:
            raise _cannot_read(self._root / name, error) from None


def _stays_inside(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/") and "\0" not in name


class ArchiveSource:
    """A tar archive; names are looked up in its index, links within it followed."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._read_at = read_at(descriptor)
        kinds = (Kind.FILE, Kind.HARDLINK, Kind.SYMLINK)
        found = archive.read(self._read_at, _no_warning, limit=limit)
        self._entries = {entry.path: entry for entry in found if entry.kind in kinds}

    def has(self, name: str) -> bool:
        """Whether there is a regular file of this name."""
        return self._find(name) is not None

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a file."""
        entry = self._find(name)
        if entry is None:
            raise NotFoundError(f"the archive has no file {name}")
        return content.whole(entry, self._read_at)

    def _find(self, name: str) -> Entry | None:
        """The regular file; old docker archives link a layer that occurs twice."""
        path = os.path.normpath(os.fsencode(name))
        for _ in range(_LINK_LIMIT):
            entry = self._entries.get(path)
            if entry is None or entry.kind is Kind.FILE:
                return entry
            path = entry.link
            if entry.kind is Kind.SYMLINK:
                path = os.path.normpath(os.path.join(os.path.dirname(entry.path), path))
        return None


def _no_warning(_text: str) -> None:
    """An image archive is no layer: nothing in it is left out."""
