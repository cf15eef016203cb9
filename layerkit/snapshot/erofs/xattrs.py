"""Extended attributes: what several inodes have stands once in an area of its own, the rest behind
its inode.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from layerkit.snapshot.erofs.format import (
    LONGEST_VALUE,
    XATTR,
    XATTR_HEADER,
    XATTR_PREFIXES,
    XATTR_UNIT,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LONGEST_NAME = 255
_MOST_SHARED = 255


class Xattrs:
    """The extended attributes of all inodes."""

    def __init__(self, everybody: Iterable[Mapping[str, bytes]]) -> None:
        self._places: dict[bytes, int] = {}
        self.shared = bytearray()
        """The area of those that several inodes have."""
        counts = Counter(
            record for xattrs in everybody if xattrs for record in _records(xattrs).values()
        )
        for record, count in counts.items():
            if record and count > 1:
                self._places[record] = len(self.shared) // XATTR_UNIT
                self.shared += record

    def behind(self, xattrs: Mapping[str, bytes]) -> tuple[bytes, list[str]]:
        """What stands behind an inode with these attributes, in whole units, and the names that cannot.

        Nothing stands there for an inode without any.
        """
        found = _records(xattrs)
        lost = [name for name, record in found.items() if not record]
        records = [record for record in found.values() if record]
        shared = [record for record in records if record in self._places][:_MOST_SHARED]
        own = [record for record in records if record not in shared]
        places = (self._places[record].to_bytes(4, "little") for record in shared)
        header = XATTR_HEADER.pack(0, len(shared))
        return (b"".join((header, *places, *own)) if records else b""), lost

    @staticmethod
    def units(behind: bytes) -> int:
        """The size that an inode tells of what stands behind it; the header counts as one."""
        return 1 + (len(behind) - XATTR_HEADER.size) // XATTR_UNIT if behind else 0


def _records(xattrs: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: _record(name, value) for name, value in sorted(xattrs.items())}


def _record(name: str, value: bytes) -> bytes:
    """One attribute in whole units, nothing if EROFS cannot hold it."""
    for prefix, number in XATTR_PREFIXES.items():
        rest = name.removeprefix(prefix).encode("utf-8", "surrogateescape")
        is_whole = prefix.endswith(".") or not rest
        if name.startswith(prefix) and is_whole:
            if len(rest) > _LONGEST_NAME or len(value) > LONGEST_VALUE:
                return b""
            record = XATTR.pack(len(rest), number, len(value)) + rest + value
            return record + bytes(-len(record) % XATTR_UNIT)
    return b""
