"""The index of a layer (TOC) as bytes: written once beside the tar, read by everything after it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import msgspec

from layerkit.errors import IntegrityError
from layerkit.tree import Entry

_MAGIC = b"layerkit toc 2\n"
"""Changes with the format; an index with another one is made again from its tar."""
_CRC = 4


@dataclass(frozen=True, slots=True)
class Toc:
    """The entries of one layer in the order of its tar, and what its reader warned about."""

    entries: list[Entry]
    warnings: list[str]


def encode(toc: Toc) -> bytes:
    """The file form: magic, CRC-32 of the rest, MessagePack."""
    body = msgspec.msgpack.encode((toc.entries, toc.warnings))
    return _MAGIC + zlib.crc32(body).to_bytes(_CRC, "big") + body


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
