"""The two ends of a copy: what is at a path and below it, and where things are put."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from layerkit.errors import IntegrityError, LayerkitError
from layerkit.layer import archive, wrapping
from layerkit.layer.forward import ForwardReader
from layerkit.layer.names import show
from layerkit.ops import content, sources
from layerkit.ops.cp_rules import Spot, There, Way, decide
from layerkit.snapshot import beneath, fill, scoped, upper
from layerkit.tree import NO_XATTRS, Entry, Kind, join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerkit.ops.inside_root import Root
    from layerkit.snapshot.beneath import Opener
    from layerkit.snapshot.placing import Placer

_FOLDER = os.O_PATH | os.O_DIRECTORY
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_CHUNK = 1 << 20
_DEVICES = (Kind.CHARACTER, Kind.BLOCK)
_LEFT_OUT = {Kind.SOCKET: "a socket", Kind.WHITEOUT: "a whiteout", Kind.OPAQUE: "a whiteout"}


class Item(NamedTuple):
    """One thing to copy; a file is open to be read in `file`, or `fill` writes it to a descriptor."""

    entry: Entry
    fill: Callable[[int], None] | None = None
    file: int = -1


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a copy keeps of each entry, which gets a path below `prefix`.

    Without `top` the directory itself is not written, as it is there. An `owner` is everybody's new one; without `special`, devices and the setuid and setgid bits are
    left out.
    """

    prefix: bytes
    top: bool
    owner: tuple[int, int] | None
    xattrs: bool
    special: bool

    def of(self, entry: Entry) -> Entry:
        """What is to be written of an entry."""
        uid, gid = self.owner or (entry.uid, entry.gid)
        return msgspec.structs.replace(
            entry,
            path=self._path(entry.path),
            link=self._path(entry.link) if entry.kind is Kind.HARDLINK else entry.link,
            mode=entry.mode if self.special else entry.mode & ~(stat.S_ISUID | stat.S_ISGID),
            uid=uid,
            gid=gid,
            xattrs=entry.xattrs if self.xattrs else NO_XATTRS,
        )

    def reason_against(self, entry: Entry) -> str:
        """Why an entry is not copied at all, if it is not."""
        if entry.kind in _DEVICES and not self.special:
            return "a device, which only -a copies to this machine"
        return _LEFT_OUT.get(entry.kind, "")

    def _path(self, path: bytes) -> bytes:
        return join(self.prefix, path) if path else self.prefix


# -- sources --------------------------------------------------------------------------------------


@contextlib.contextmanager
def found(root: Root, spot: Spot, *, follow: bool) -> Iterator[int]:
    """What is at a path, open with O_PATH; raises `LayerkitError` where nothing can be copied."""
    flags = _FOLDER if spot.is_folder else os.O_PATH if follow else os.O_PATH | os.O_NOFOLLOW
    try:
        top = scoped.open_path(root.descriptor, spot.path, flags)
    except OSError as error:
        raise LayerkitError(os.strerror(error.errno or 0).lower()) from None
    try:
        if os.fstat(top).st_dev in root.closed:
            raise LayerkitError("the kernel makes up what is there, it is no file of the container")
        yield top
    finally:
        os.close(top)


def items(top: int, closed: frozenset[int], warn: Callable[[str], None]) -> Iterator[Item]:
    """What is at `top`, and all below it, parents first; an item's file is closed before the next.

    What goes away meanwhile is left out.
    """
    if not stat.S_ISDIR(os.fstat(top).st_mode):
        yield from _one(upper.read_one(top), top, warn)
        return
    opener = beneath.opener(top)
    lost: set[bytes] = set()
    for entry in upper.read_below(top, opener=opener, closed=closed):
        name = entry.link if entry.kind is Kind.HARDLINK else entry.path
        handle = _handle(opener, top, entry) if entry.kind is Kind.FILE else -1
        if handle is None or name in lost:
            lost.add(name)
            warn(f"left out '{show(entry.path)}': it was removed meanwhile")
            continue
        try:
            yield from _one(entry, handle, warn)
        finally:
            if handle >= 0:
                os.close(handle)


def _handle(opener: Opener, top: int, entry: Entry) -> int | None:
    """The file of an entry, open with O_PATH, which does nothing to a device; None for no file."""
    try:
        handle = opener(top, entry.path, os.O_PATH)
    except OSError as error:
        if error.errno not in _GONE:
            raise
        return None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    return None


def _one(entry: Entry, handle: int, warn: Callable[[str], None]) -> Iterator[Item]:
    if entry.kind is not Kind.FILE:
        yield Item(entry)
        return
    file = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY)
    try:
        entry = msgspec.structs.replace(entry, size=os.fstat(file).st_size)

        def clone(target: int) -> None:
            try:
                fill.clone(file, target)
            except IntegrityError:
                warn(f"filled '{show(entry.path)}' with zeros: it shrank meanwhile")

        yield Item(entry, clone, file)
    finally:
        os.close(file)


def chunks(file: int) -> Iterator[bytes]:
    """The bytes of an open file."""
    while chunk := os.read(file, _CHUNK):
        yield chunk


def tar_items(file: int, warn: Callable[[str], None], limit: int) -> Iterator[Item]:
    """What is in the tar, compressed or not, that comes from `file`; raises `ArchiveError`."""
    tar = ForwardReader(wrapping.unwrap(sources.read_all(file)))
    for entry in archive.read(tar.read_at, warn, limit=limit):
        yield Item(entry, _filler(entry, tar.read_at) if entry.kind is Kind.FILE else None)
    tar.drain()


def _filler(entry: Entry, read_at: archive.ReadAt) -> Callable[[int], None]:
    def write(target: int) -> None:
        os.ftruncate(target, entry.size)  # what no run covers stays a hole
        for offset, size, source in content.runs(entry):
            if source:
                _write(target, content.read(read_at, source, size), offset)

    return write


def _write(file: int, data: bytes, offset: int) -> None:
    left = memoryview(data)
    while left:
        done = os.pwrite(file, left, offset)
        offset += done
        left = left[done:]


# -- destinations ---------------------------------------------------------------------------------


@contextlib.contextmanager
def landing(
    root: Root, target: Spot, source: Spot, *, is_folder: bool
) -> Iterator[tuple[int, bytes]]:
    """The open directory that a source is put into, and its name there; empty for its content only.

    Raises `LayerkitError` where docker's rules do not allow it.
    """
    folder, there = look(root, target)
    try:
        way = decide(source, there, target, is_folder=is_folder)
        name = source.name if way is Way.INTO else b""
        if way is Way.AS:
            folder, name = _place(root, target)
        yield folder, name
    finally:
        if folder >= 0:
            os.close(folder)


def _place(root: Root, target: Spot) -> tuple[int, bytes]:
    try:
        return scoped.open_place(root.descriptor, target.path)
    except FileNotFoundError:
        raise LayerkitError("the directory of the destination does not exist") from None


def look(root: Root, target: Spot) -> tuple[int, There]:
    """What is at a destination; a directory is open then, to be closed by the caller."""
    try:
        return scoped.open_path(root.descriptor, target.path, _FOLDER), There.FOLDER
    except FileNotFoundError:
        return -1, There.NOTHING
    except NotADirectoryError:
        return -1, There.OTHER


def put_all(
    placer: Placer, found_items: Iterator[Item], keeping: Keeping, warn: Callable[[str], None]
) -> int:
    """Place all items, and give directories their attributes; how many bytes the files have."""
    total = 0
    for item in found_items:
        if reason := keeping.reason_against(item.entry):
            warn(f"left out '{show(item.entry.path)}': {reason}")
            continue
        if not item.entry.path and not keeping.top:
            continue
        placer.put(keeping.of(item.entry), item.fill)
        total += item.entry.size
    placer.finish()
    return total
