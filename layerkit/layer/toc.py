"""The index of a layer (TOC) as bytes: written once beside the tar, read by everything after it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from layerkit.errors import IntegrityError
from layerkit.tree import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAGIC = b"layerkit toc 2\n"
"""Changes with the format; an index with another one is made again from its tar."""
_CRC = 4
# MessagePack: an array of two, and the first of them one with a length of 4 bytes.
_START = b"\x92\xdd"
_PLAIN = msgspec.structs.astuple(Entry(b"", Kind.FILE))
_ALWAYS = 2  # path and kind have no default


@dataclass(frozen=True, slots=True)
class Toc:
    """The entries of one layer in the order of its tar, and what its reader warned about."""

    entries: list[Entry]
    warnings: list[str]


def encode(entries: Iterable[Entry], warnings: list[str]) -> bytes:
    """The file form: magic, CRC-32 of the rest, MessagePack.

    Entries are taken one by one, `warnings` when there are no more: a reader may still fill them.
    """
    encoder = msgspec.msgpack.Encoder()
    body = bytearray()
    count = 0
    for count, entry in enumerate(entries, start=1):  # noqa: B007  how many there were
        body += encoder.encode(_short(entry))
    body += encoder.encode(warnings)
    start = _START + count.to_bytes(4, "big")
    crc = zlib.crc32(body, zlib.crc32(start))
    return b"".join((_MAGIC, crc.to_bytes(_CRC, "big"), start, body))


def _short(entry: Entry) -> tuple[Any, ...]:
    """The fields without those at the end that say nothing: read back, these cost no memory."""
    values = msgspec.structs.astuple(entry)
    end = len(values)
    while end > _ALWAYS and values[end - 1] == _PLAIN[end - 1]:
        end -= 1
    return values[:end]


def decode(data: bytes) -> Toc:
    """The index in `data`; `IntegrityError` when it is damaged or of another version."""
    start = len(_MAGIC) + _CRC
    body = memoryview(data)[start:]
    stored = int.from_bytes(data[len(_MAGIC) : start], "big")
    if not data.startswith(_MAGIC) or zlib.crc32(body) != stored:
        raise IntegrityError("damaged layer index, or one of another version")
    try:
        entries, warnings = msgspec.msgpack.decode(body, type=tuple[list[Entry], list[str]])
    except msgspec.MsgspecError as error:
        raise IntegrityError(f"layer index of another form: {error}") from None
    return Toc(entries, warnings)
