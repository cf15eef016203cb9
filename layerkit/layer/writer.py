"""The tar writer: entries to header blocks, the same entries to the same bytes everywhere.

POSIX ustar, with a pax extended header (POSIX.1-2001 pax) just where a field cannot hold its value:
names that are long or not ASCII, large numbers, fractions of a second, extended attributes. What is
no property of the file is left out: no names of owners, no access time, no process id. Sparse files
are written as plain ones (image-spec layer.md).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from layerkit.layer.header import BLOCK
from layerkit.layer.names import show
from layerkit.tree import Entry, Kind, join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

END = bytes(2 * BLOCK)
"""What an archive ends with."""

_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_CHECKSUM = slice(148, 156)
_MAGIC = b"ustar\x0000"
_NAME = 100
_PREFIX = 155
_ID_LIMIT = 8**7
_SIZE_LIMIT = 8**11
_PAX_NAME = b"././@PaxHeader"
_XATTR = b"SCHILY.xattr."
_TYPEFLAGS = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHARACTER: b"3",
    Kind.BLOCK: b"4",
    Kind.DIRECTORY: b"5",
    Kind.FIFO: b"6",
}
_MARKERS = {Kind.WHITEOUT: b".wh.", Kind.OPAQUE: b".wh..wh..opq"}


def header(entry: Entry) -> bytes:
    """The header blocks of an entry; a file's `size` bytes and their `padding` come behind.

    `entry` is one that `writable` gave; a whiteout becomes its marker, an empty file.
    """
    if entry.kind in _MARKERS:
        return _blocks(Entry(_marker(entry), Kind.FILE), _marker(entry))
    if not entry.path:
        return _blocks(entry, b"./")
    return _blocks(entry, entry.path + b"/" if entry.kind is Kind.DIRECTORY else entry.path)


def padding(size: int) -> bytes:
    """The zeros that fill `size` bytes of content up to whole blocks."""
    return bytes(-size % BLOCK)


def writable(entry: Entry, warn: Callable[[str], None]) -> Entry | None:
    """What a tar can hold of an entry, None for a socket; `warn` is told what is left out."""
    if entry.kind is Kind.SOCKET:
        warn(f"left out socket '{show(entry.path)}': a tar holds none")
        return None
    lost = [name for name in entry.xattrs if not _is_key(name)]
    if not lost:
        return entry
    for name in lost:
        warn(f"left out xattr {name!a} of '{show(entry.path)}': a tar cannot spell its name")
    kept = {name: value for name, value in entry.xattrs.items() if name not in lost}
    return msgspec.structs.replace(entry, xattrs=kept)


def _is_key(xattr: str) -> bool:
    """Whether this can be in the key of a pax record, which is UTF-8 and ends at the first `=`."""
    return "=" not in xattr and _is_utf8(xattr.encode("utf-8", "surrogateescape"))


def arrange(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in the order of an archive: by components in byte order, so parents come first.

    Whiteouts come before their siblings (image-spec layer.md), and of the names of one file the
    first has the content, whichever had it before; links name that file, not another link.
    """
    found = list(entries)
    firsts = _first_names(found)
    moved = []
    for entry in found:
        old = entry.link if entry.kind is Kind.HARDLINK else entry.path
        first = firsts.get(old, old) if entry.kind not in _MARKERS else old
        if first == old:
            moved.append(entry)
        elif entry.kind is not Kind.HARDLINK:
            moved.append(msgspec.structs.replace(entry, path=first))
        else:
            path = old if entry.path == first else entry.path
            moved.append(msgspec.structs.replace(entry, path=path, link=first))
    return sorted(moved, key=_place)


def _first_names(entries: list[Entry]) -> dict[bytes, bytes]:
    """For each name that hard links of these entries point to: the first name of that file."""
    firsts: dict[bytes, bytes] = {}
    here = {entry.path for entry in entries if entry.kind not in (*_MARKERS, Kind.HARDLINK)}
    for entry in entries:
        if entry.kind is Kind.HARDLINK and entry.link in here:
            known = firsts.get(entry.link, entry.link)
            firsts[entry.link] = min(known, entry.path, key=_components)
    return firsts


def _components(path: bytes) -> bytes:
    """Sorts as the list of components: what is lower than every other byte of a name parts them."""
    return path.replace(b"/", b"\0")


def place(path: bytes, *, hides: bool) -> tuple[bytes, ...]:
    """Sorts the paths of an archive: by components, what `hides` before what is there."""
    if not path:
        return ()
    *parents, name = path.split(b"/")
    return *(b"\1" + parent for parent in parents), (b"\0" if hides else b"\1") + name


def _place(entry: Entry) -> tuple[bytes, ...]:
    if entry.kind in _MARKERS:
        return place(_marker(entry), hides=True)
    return place(entry.path, hides=False)


def _marker(entry: Entry) -> bytes:
    if entry.kind is Kind.OPAQUE:
        return join(entry.path, _MARKERS[Kind.OPAQUE])
    parent, _, name = entry.path.rpartition(b"/")
    return join(parent, _MARKERS[Kind.WHITEOUT] + name)


# -- blocks ---------------------------------------------------------------------------------------


def _blocks(entry: Entry, name: bytes) -> bytes:
    split = _split(name)
    records = _records(entry, name if split is None else b"")
    main = _block(split or (b"", name[:_NAME]), _TYPEFLAGS[entry.kind], entry)
    if not records:
        return main
    body = b"".join(_record(key, records[key]) for key in sorted(records))
    extension = Entry(b"", Kind.FILE, size=len(body))
    return _block((b"", _PAX_NAME), b"x", extension) + body + padding(len(body)) + main


def _size(entry: Entry) -> int:
    return entry.size if entry.kind is Kind.FILE else 0


def _block(split: tuple[bytes, bytes], typeflag: bytes, entry: Entry) -> bytes:
    """One block; a number that does not fit is 0 there, a time the nearest one that does."""
    prefix, name = split
    block = bytearray(
        _FIELDS.pack(
            name,
            _octal(entry.mode, 8),
            _octal(entry.uid if entry.uid < _ID_LIMIT else 0, 8),
            _octal(entry.gid if entry.gid < _ID_LIMIT else 0, 8),
            _octal(_size(entry) if _size(entry) < _SIZE_LIMIT else 0, 12),
            _octal(min(max(entry.seconds, 0), _SIZE_LIMIT - 1), 12),
            b" " * 8,  # the checksum is taken with blanks in its place
            typeflag,
            entry.link[:_NAME],
            _MAGIC,
            b"",
            b"",
            _octal(entry.device[0], 8),
            _octal(entry.device[1], 8),
            prefix,
        )
    )
    block[_CHECKSUM] = b"%06o\0 " % sum(block)
    return bytes(block)


def _octal(number: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, number)


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """The ustar prefix and name, None where `name` does not fit them or is not ASCII."""
    if not name.isascii():
        return None
    if len(name) <= _NAME:
        return b"", name
    cut = name.rfind(b"/", 0, min(_PREFIX + 1, len(name) - 1))
    return (name[:cut], name[cut + 1 :]) if cut > 0 and len(name) - cut - 1 <= _NAME else None


# -- pax ------------------------------------------------------------------------------------------


def _records(entry: Entry, long_name: bytes) -> dict[bytes, bytes]:
    """What the header's own fields cannot say; `long_name` is empty where they say the name.

    Names that are no UTF-8 are there as they are, as Go writes them and all readers take them;
    the `hdrcharset` that POSIX has for this makes GNU tar warn.
    """
    records = {_XATTR + name.encode(): value for name, value in entry.xattrs.items()}
    if long_name:
        records[b"path"] = long_name
    if len(entry.link) > _NAME or not entry.link.isascii():
        records[b"linkpath"] = entry.link
    for key, number in ((b"uid", entry.uid), (b"gid", entry.gid)):
        if number >= _ID_LIMIT:
            records[key] = b"%d" % number
    if _size(entry) >= _SIZE_LIMIT:
        records[b"size"] = b"%d" % entry.size
    if entry.nanos or not 0 <= entry.seconds < _SIZE_LIMIT:
        records[b"mtime"] = _time(entry.mtime)
    return records


def _time(nanoseconds: int) -> bytes:
    whole, fraction = divmod(abs(nanoseconds), 10**9)
    sign = "-" if nanoseconds < 0 else ""
    return f"{sign}{whole}.{fraction:09d}".rstrip("0").rstrip(".").encode()


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _record(key: bytes, value: bytes) -> bytes:
    r"""`LENGTH KEY=VALUE\n`, where the length counts its own digits."""
    size = len(key) + len(value) + 3
    length = size + len(str(size))
    length = size + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
