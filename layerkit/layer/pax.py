"""PAX extended headers (POSIX.1-2001 pax, "pax Extended Header"), pure."""

from __future__ import annotations

import re
from typing import TypeAlias

from layerkit.errors import ArchiveError

Records: TypeAlias = list[tuple[bytes, bytes]]
"""Keys and values in the order of the header; sparse format 0.0 repeats keys."""

_XATTR = b"SCHILY.xattr."
_INTEGER = re.compile(rb"-?[0-9]{1,19}")
_TIME = re.compile(rb"(-?)([0-9]{1,19})(?:\.([0-9]*))?")


def parse(data: bytes) -> Records:
    r"""The records of one header body: `LENGTH KEY=VALUE\n` again and again."""
    records: Records = []
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        length = data[position:space] if space > 0 else b""
        if not length.isdigit():
            raise ArchiveError("invalid PAX record: its length is no number")
        end = position + int(length)
        record = data[space + 1 : end]
        if end > len(data) or not record.endswith(b"\n") or b"=" not in record:
            raise ArchiveError(f"invalid PAX record of length {length.decode()}")
        key, _, value = record[:-1].partition(b"=")
        if not key or b"\0" in key:
            raise ArchiveError(f"invalid PAX record: key {key[:40]!r}")
        records.append((key, value))
        position = end
    return records


def integer(value: bytes, key: str) -> int:
    """A decimal number within 64 bits."""
    if not _INTEGER.fullmatch(value) or not -(2**63) <= int(value) < 2**63:
        raise ArchiveError(f"invalid PAX {key} {value[:40]!r}: not a 64-bit number")
    return int(value)


def time(value: bytes, key: str) -> tuple[int, int]:
    """A time with a fraction of any length as (seconds, nanoseconds); digits beyond are cut."""
    match = _TIME.fullmatch(value)
    if match is None or int(match[2]) >= 2**62:
        raise ArchiveError(f"invalid PAX {key} {value[:40]!r}: not a time")
    sign, whole, fraction = match.groups()
    total = int(whole) * 10**9 + int((fraction or b"").ljust(9, b"0")[:9])
    return divmod(-total if sign else total, 10**9)


def xattrs(records: Records) -> dict[str, bytes]:
    """The extended attributes (`SCHILY.xattr.NAME`); unlike with other keys, empty is a value.

    Raises `ArchiveError` for a name that is not UTF-8: PAX keys are.
    """
    found: dict[str, bytes] = {}
    for key, value in records:
        if key.startswith(_XATTR):
            found[_utf8(key[len(_XATTR) :])] = value
    return found


def _utf8(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise ArchiveError(f"invalid PAX xattr {name[:40]!r}: its name is not UTF-8") from None
