"""The tar reader: a layer's bytes to entries, strict where a lenient reader would lose files.

`tarfile` is not used: it ends silently at a bad checksum, takes negative sizes, and reads times as
floats. What is accepted and refused follows POSIX, GNU tar's extensions, and image-spec layer.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from layerkit.errors import ArchiveError
from layerkit.layer import header, names, pax, sparse
from layerkit.layer.header import BLOCK, Header
from layerkit.limits import DEFAULT, exceeded
from layerkit.tree import NO_XATTRS, Entry, Kind

ReadAt: TypeAlias = Callable[[int, int], bytes]
"""`read_at(offset, size)` gives the bytes there, fewer only at the end of the archive."""

_EXTENSION_LIMIT = 1 << 20
_SIZE_LIMIT = 1 << 62  # behind it, offsets would no longer be 64-bit numbers
_EXTENSIONS = frozenset((b"x", b"X", b"L", b"K", b"g"))
_ZERO = bytes(BLOCK)
_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}
_NO_ID = 2**32 - 1  # chown(2) reads it as "leave as it is"
_DEVICE_LIMITS = (1 << 12, 1 << 20)  # Linux: 12 bits of major, 20 of minor


class _Extensions:
    """What headers before an entry say about it; a later header replaces an earlier one."""

    def __init__(self) -> None:
        self.records: pax.Records | None = None
        self.long_name = b""
        self.long_link = b""
        self._values: dict[bytes, bytes] = {}

    def set_records(self, records: pax.Records) -> None:
        self.records = records
        # An empty value means that the header's own field holds.
        self._values = {key: value for key, value in records if value}

    def any(self) -> bool:
        return bool(self.records is not None or self.long_name or self.long_link)

    @property
    def name(self) -> bytes:
        return (
            self._values.get(b"GNU.sparse.name") or self.long_name or self._values.get(b"path", b"")
        )

    @property
    def link(self) -> bytes:
        return self.long_link or self._values.get(b"linkpath", b"")

    def number(self, key: bytes, otherwise: int) -> int:
        value = self._values.get(key)
        return otherwise if value is None else pax.integer(value, key.decode())

    def mtime(self, seconds: int) -> tuple[int, int]:
        value = self._values.get(b"mtime")
        return (seconds, 0) if value is None else pax.time(value, "mtime")

    def sparse_version(self) -> tuple[bytes, bytes]:
        """Major and minor number; both empty for plain files and where only the map tells."""
        number = self._values.get
        return number(b"GNU.sparse.major", b""), number(b"GNU.sparse.minor", b"")


class _Content(NamedTuple):
    """`data`: offset in the archive; `size`: bytes of the file; `extents`: where it is sparse."""

    data: int
    size: int
    extents: sparse.Map | None


def read(
    read_at: ReadAt, warn: Callable[[str], None], *, limit: int = DEFAULT.entries
) -> Iterator[Entry]:
    """The entries of the archive, in its order.

    Markers come as WHITEOUT and OPAQUE entries. What is left out on purpose (AUFS bookkeeping,
    overlayfs' own xattrs) is told to `warn`, one line each. Raises `ArchiveError`, naming the
    entry, for everything else that is not as the formats have it, and beyond `limit` entries,
    those left out included.
    """
    reader = _Reader(read_at, warn)
    for count, entry in enumerate(reader.entries(), start=1):
        if count > limit:
            raise exceeded("entries", f"more than {limit} entries in one layer")
        if entry is not None:
            yield entry


class _Reader:
    def __init__(self, read_at: ReadAt, warn: Callable[[str], None]) -> None:
        self._read_at = read_at
        self._warn = warn
        self._position = 0
        self._data_end = 0

    def entries(self) -> Iterator[Entry | None]:
        """One item for each entry, None for those that are left out."""
        extensions = _Extensions()
        while (block := self._next_header(extensions)) is not None:
            found = self._parse(block, extensions)
            if found.typeflag in _EXTENSIONS:
                self._extend(extensions, found)
                continue
            yield self._entry(found, block, extensions)
            extensions = _Extensions()

    def _next_header(self, extensions: _Extensions) -> bytes | None:
        """The next header block, None at the end of the archive."""
        block = self._read_at(self._position, BLOCK)
        if len(block) == BLOCK and block != _ZERO:
            self._position += BLOCK
            self._data_end = 0  # what lies before a header is there
            return block
        if extensions.any():
            raise ArchiveError("the archive ends between an extended header and its entry")
        if block == _ZERO:
            self._verify_end()
        elif block or not self._is_whole():
            raise self._cut()
        return None

    def _is_whole(self) -> bool:
        """Whether the last entry's data is all there; its padding may be missing."""
        return not self._data_end or bool(self._read_at(self._data_end - 1, 1))

    def _verify_end(self) -> None:
        """POSIX ends an archive with two zero blocks; one at the very end is common and harmless."""
        second = self._read_at(self._position + BLOCK, BLOCK)
        if second not in {b"", _ZERO}:
            raise ArchiveError(f"one zero block at byte {self._position}, then something else")

    def _cut(self) -> ArchiveError:
        return ArchiveError(f"the archive is cut off after {self._position} bytes")

    def _block(self) -> bytes:
        block = self._read_at(self._position, BLOCK)
        self._position += BLOCK
        if len(block) < BLOCK:
            raise self._cut()
        return block

    def _parse(self, block: bytes, extensions: _Extensions) -> Header:
        try:
            return header.parse(block)
        except ArchiveError as error:
            name = extensions.long_name or header.text(block[:100])
            at = self._position - BLOCK
            raise ArchiveError(
                f"{error} in the header of '{names.show(name)}' at byte {at}"
            ) from None

    def _extend(self, extensions: _Extensions, found: Header) -> None:
        """Take in a header that speaks about the next entry; a later one replaces an earlier one."""
        if found.size > _EXTENSION_LIMIT:
            raise ArchiveError(f"extended header of {found.size} bytes, at most {_EXTENSION_LIMIT}")
        at = self._position - BLOCK
        body = self._read_at(self._position, found.size)
        self._position += _padded(found.size)
        if len(body) < found.size:
            raise self._cut()
        match found.typeflag:
            case b"L":
                extensions.long_name = header.text(body)
            case b"K":
                extensions.long_link = header.text(body)
            case b"g":
                # Global records are about the archive (git writes a comment); the peers ignore them.
                _records(body, at)
            case _:
                extensions.set_records(_records(body, at))

    def _entry(self, found: Header, block: bytes, extensions: _Extensions) -> Entry | None:
        raw_name = extensions.name or found.name
        try:
            kind = _kind(found, raw_name)
            content = self._content(kind, found, block, extensions)
            path = names.clean(raw_name)
            if names.is_marker(path):
                return self._marker(path)
            return self._assemble(path, kind, found, content, extensions)
        except ArchiveError as error:
            raise ArchiveError(f"{error} (entry '{names.show(raw_name)}')") from None

    def _content(
        self, kind: Kind, found: Header, block: bytes, extensions: _Extensions
    ) -> _Content:
        """Where an entry's content lies; moves on behind it."""
        if kind is not Kind.FILE:
            # Only files have data, whatever the size field of another kind says.
            return _Content(0, 0, None)
        stored = extensions.number(b"size", found.size)
        if not 0 <= stored <= _SIZE_LIMIT:
            raise ArchiveError(f"size {stored} is out of range")
        content = self._sparse(found, block, extensions, stored)
        if content is None:
            content = _Content(self._position, stored, None)
        self._data_end = self._position + stored
        self._position += _padded(stored)
        if content.extents is not None and _total(content.extents) != self._data_end - content.data:
            raise ArchiveError("invalid sparse map: it does not add up to the data")
        return content

    def _sparse(
        self, found: Header, block: bytes, extensions: _Extensions, stored: int
    ) -> _Content | None:
        """The content of a sparse file of which `stored` bytes follow, None for a plain file."""
        if found.typeflag == b"S":
            extents, size = sparse.old_gnu(block, self._block)
            return _Content(self._position, size, extents)
        start = self._position
        match extensions.sparse_version():
            case (b"1", b"0"):
                size = extensions.number(b"GNU.sparse.realsize", -1)
                extents, data = sparse.pax_1(self._read_at, start, start + stored, size)
                return _Content(data, size, extents)
            case (b"", b"") | (b"0", b"0" | b"1"):
                in_records = sparse.pax_0(extensions.records or [])
                return in_records and _Content(start, in_records[1], in_records[0])
            case major, minor:
                raise ArchiveError(f"unknown sparse format {names.show(major + b'.' + minor)}")

    def _marker(self, path: bytes) -> Entry | None:
        """The entry of a whiteout or an opaque mark, by its name alone; None for AUFS bookkeeping."""
        if names.reserved(path):
            self._warn(f"left out '{names.show(path)}': bookkeeping of AUFS")
            return None
        kind, hidden = names.whiteout(path)
        return Entry(hidden, kind)

    def _assemble(
        self, path: bytes, kind: Kind, found: Header, content: _Content, extensions: _Extensions
    ) -> Entry:
        if not path and kind is not Kind.DIRECTORY:
            raise ArchiveError(f"the root would become a {kind.name.lower()}")
        return Entry(
            path,
            kind,
            found.mode,
            _owner("uid", extensions.number(b"uid", found.uid)),
            _owner("gid", extensions.number(b"gid", found.gid)),
            *extensions.mtime(found.mtime),
            content.size,
            content.data,
            _link(kind, extensions.link or found.link),
            _device(kind, found.device),
            self._xattrs(path, extensions.records) if extensions.records else NO_XATTRS,
            content.extents,
        )

    def _xattrs(self, path: bytes, records: pax.Records) -> Mapping[str, bytes]:
        found = pax.xattrs(records)
        for name in [name for name in found if _steers_a_tool(name)]:
            del found[name]
            self._warn(f"left out xattr {names.show(name.encode())} of '{names.show(path)}'")
        return found or NO_XATTRS


def _steers_a_tool(xattr: str) -> bool:
    """Whether overlayfs or a rootless runtime would obey this xattr; a layer must not steer them."""
    return xattr.startswith(("trusted.overlay.", "user.overlay.")) or xattr in {
        "user.rootlesscontainers",
        "user.containers.override_stat",
    }


def _records(body: bytes, at: int) -> pax.Records:
    try:
        return pax.parse(body)
    except ArchiveError as error:
        raise ArchiveError(f"{error} in the extended header at byte {at}") from None


def _total(extents: sparse.Map) -> int:
    return sum(extent.size for extent in extents)


def _kind(found: Header, raw_name: bytes) -> Kind:
    kind = _KINDS.get(found.typeflag)
    if kind is None:
        raise ArchiveError(f"unknown type flag {found.typeflag!r}")
    if found.typeflag == b"\0" and raw_name.endswith(b"/"):
        return Kind.DIRECTORY  # v7 has no type for folders
    return kind


def _owner(what: str, number: int) -> int:
    if not 0 <= number < _NO_ID:
        raise ArchiveError(f"{what} {number} is out of range")
    return number


def _link(kind: Kind, target: bytes) -> bytes:
    if kind is Kind.HARDLINK:
        if not target:
            raise ArchiveError("hard link without a target")
        return names.clean(target)
    if kind is not Kind.SYMLINK:
        return b""
    if not target or b"\0" in target or len(target) > names.PATH_LIMIT:
        raise ArchiveError(f"symlink with an invalid target '{names.show(target)}'")
    return target


def _device(kind: Kind, device: tuple[int, int]) -> tuple[int, int]:
    if kind not in {Kind.CHARACTER, Kind.BLOCK}:
        return (0, 0)
    if not all(0 <= number < limit for number, limit in zip(device, _DEVICE_LIMITS, strict=True)):
        raise ArchiveError(f"device number {device[0]}:{device[1]} is out of range")
    if kind is Kind.CHARACTER and device == (0, 0):
        raise ArchiveError("character device 0:0, which overlayfs would read as a whiteout")
    return device


def _padded(size: int) -> int:
    return size + -size % BLOCK
