"""Where `load` reads from: a directory or an archive, with files by name and nothing else."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from typing import TYPE_CHECKING, Protocol

from layerkit.errors import ArchiveError, NotFoundError, StoreError, UsageError
from layerkit.layer import archive, compression
from layerkit.store import files
from layerkit.tree import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1 << 20


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
def open_source(path: Path, scratch: Path) -> Iterator[Source]:
    """The image at `path`: a directory, or a tar that may be compressed (then inflated to a
    temporary file in `scratch`).
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise _cannot_read(path, error) from None
    try:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            yield DirectorySource(path)
            return
        with tempfile.TemporaryFile(dir=scratch) as plain:
            yield ArchiveSource(_plain(file, plain.fileno()))
    finally:
        os.close(file)


def _cannot_read(path: Path, error: OSError) -> UsageError | StoreError:
    reason = os.strerror(error.errno or 0).lower()
    kind = UsageError if isinstance(error, FileNotFoundError) else StoreError
    return kind(f"cannot read {path}: {reason}")


def _plain(file: int, scratch: int) -> int:
    """The descriptor of the uncompressed archive: `file` itself, or `scratch` filled from it."""
    head = os.pread(file, 512, 0)
    if head[257:262] == b"ustar" or not head:
        return file
    with files.guarded("unpack the archive"):
        for chunk in compression.inflate(_read(file)):
            view = memoryview(chunk)
            while view:
                view = view[os.write(scratch, view) :]
    return scratch


def _read(file: int) -> Iterator[bytes]:
    while chunk := os.read(file, _CHUNK):
        yield chunk


class DirectorySource:
    """A directory, such as an OCI image layout."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, name: str) -> bool:
        """Whether there is a regular file of this name."""
        return (self._root / name).is_file()

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a file."""
        try:
            with open(self._root / name, "rb", buffering=0) as file:
                yield from _read(file.fileno())
        except FileNotFoundError:
            raise NotFoundError(f"{self._root} has no file {name}") from None
        except OSError as error:
            raise _cannot_read(self._root / name, error) from None


class ArchiveSource:
    """A tar archive; names are looked up in its index, links within it followed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._entries = {entry.path: entry for entry in archive.read(self._read_at, _no_warning)}

    def has(self, name: str) -> bool:
        """Whether there is a regular file of this name."""
        return self._find(name) is not None

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a file."""
        entry = self._find(name)
        if entry is None:
            raise NotFoundError(f"the archive has no file {name}")
        for done in range(0, entry.size, _CHUNK):
            chunk = self._read_at(entry.data + done, min(_CHUNK, entry.size - done))
            if not chunk:
                raise ArchiveError(f"the archive is cut off in {name}")
            yield chunk

    def _find(self, name: str) -> Entry | None:
        """The regular file; old docker archives link a layer that occurs twice."""
        path = os.fsencode(os.path.normpath(name))
        for _ in range(8):
            entry = self._entries.get(path)
            if entry is None or entry.kind is Kind.FILE:
                return entry
            if entry.kind is Kind.HARDLINK:
                path = entry.link
            elif entry.kind is Kind.SYMLINK:
                path = os.path.normpath(os.path.join(os.path.dirname(path), entry.link))
            else:
                return None
        return None

    def _read_at(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)


def _no_warning(_text: str) -> None:
    """An image archive is no layer: nothing in it is left out."""
