"""One tar header block: its numbers and strings, its checksum, its dialect (POSIX ustar, GNU, v7).

Where dialects and readers disagree, this one does as Go's archive/tar does, since the tools that
write layers were tried against it.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from layerkit.errors import ArchiveError

BLOCK = 512
_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12s")
_USTAR = b"ustar\0"
"""The version behind it does not matter: some writers leave it out."""
_GNU = b"ustar  \0"
_INT64_MAX = 2**63 - 1


class Header(NamedTuple):
    """The fields of one block; `name` has the ustar prefix in front, numbers are parsed."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    typeflag: bytes
    link: bytes
    device: tuple[int, int]


def parse(block: bytes) -> Header:
    """The header in a 512-byte `block`; raises `ArchiveError` with the field that is broken."""
    fields = _FIELDS.unpack(block)
    name, mode, uid, gid, size, mtime, checksum, typeflag, link, magic = fields[:10]
    _verify_checksum(block, checksum)
    name = text(name)
    if prefix := _prefix(magic, fields[14], is_star=block.endswith(b"tar\0")):
        name = prefix + b"/" + name
    device = (0, 0)
    if typeflag in b"34" and magic.startswith(b"ustar"):
        device = (number(fields[12], "device major"), number(fields[13], "device minor"))
    length = number(size, "size")
    if length < 0:
        raise ArchiveError(f"negative size {length}")
    return Header(
        name,
        number(mode, "mode") & 0o7777,
        number(uid, "uid"),
        number(gid, "gid"),
        length,
        number(mtime, "mtime"),
        typeflag,
        text(link),
        device,
    )


def _prefix(magic: bytes, field: bytes, *, is_star: bool) -> bytes:
    """What stands in front of the name: only POSIX headers have it, and star's keep times behind."""
    if magic.startswith(_USTAR):
        return text(field[:131] if is_star else field)
    if magic == _GNU and not _is_times(field):
        return text(field)
    return b""


def _is_times(field: bytes) -> bool:
    """Whether a GNU header has atime and ctime there; Go before 1.8 wrote a prefix instead."""
    try:
        for part in (field[:12], field[12:24]):
            number(part, "time")
    except ArchiveError:
        return not text(field).isascii()
    return True


def text(field: bytes) -> bytes:
    """A string field up to its NUL, or the whole field where it has none."""
    return field.partition(b"\0")[0]


def number(field: bytes, what: str) -> int:
    """An octal field, or GNU's base-256 when its first bit is set; blank is 0."""
    if field[0] & 0x80:
        return _base256(field, what)
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    # int() would also take signs, underscores and "0o".
    if digits.isdigit() and not digits.strip(b"01234567"):
        return int(digits, 8)
    raise ArchiveError(f"invalid {what} {field!r}: not an octal number")


def _base256(field: bytes, what: str) -> int:
    bits = 8 * len(field) - 1
    value = int.from_bytes(field, "big") & ((1 << bits) - 1)
    if field[0] & 0x40:
        value -= 1 << bits
    if not -_INT64_MAX <= value <= _INT64_MAX:
        raise ArchiveError(f"invalid {what}: {value} does not fit 64 bits")
    return value


def _verify_checksum(block: bytes, field: bytes) -> None:
    # adler32's low half is 1 + the sum of the bytes modulo 65521; half a block stays below that,
    # so this is the exact sum at a tenth of the cost of sum().
    total = (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2
    # The sum is taken with the checksum field itself as eight blanks.
    total += 256 - sum(field)
    wanted = number(field, "checksum")
    if wanted != total and wanted != _signed_sum(block):
        raise ArchiveError(f"wrong header checksum: got {total}, wanted {wanted}")


def _signed_sum(block: bytes) -> int:
    """The checksum as old tars computed it, with signed characters."""
    signed: tuple[int, ...] = struct.unpack("148b8x356b", block)
    return sum(signed) + 256
