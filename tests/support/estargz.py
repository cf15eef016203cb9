"""Layers as eStargz: a gzip of many members, with an index that lazy clients read from its end.

The form is that of stargz-snapshotter's docs/estargz.md: each header and each piece of content is a
member of its own; the tar's last entry is the index; a footer of 51 bytes says where that begins.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

from support import tars

if TYPE_CHECKING:
    from collections.abc import Sequence

INDEX = "stargz.index.json"
LANDMARK = ".no.prefetch.landmark"
_PIECE = 4096
_KINDS = {b"0": "reg", b"1": "hardlink", b"2": "symlink", b"5": "dir"}


def estargz(entries: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The blob and the tar of a layer of these entries, landmark and index added."""
    blob, described = bytearray(), []
    for entry in (*entries, tars.file(LANDMARK, b"\x0f")):
        head, content = entry[: tars.BLOCK], entry[tars.BLOCK :]
        described.append(_described(head, content, len(blob)))
        blob += _member(head)
        for at in range(0, len(content), _PIECE):
            blob += _member(content[at : at + _PIECE])
    index = tars.file(INDEX, json.dumps({"version": 1, "entries": described}))
    begin = len(blob)
    blob += _member(index + tars.END)
    tar = b"".join((*entries, tars.file(LANDMARK, b"\x0f"), index, tars.END))
    return bytes(blob) + footer(begin), tar


def footer(begin: int) -> bytes:
    """An empty gzip member whose extra field says where the index begins."""
    subfield = b"%016xSTARGZ" % begin
    extra = b"SG" + struct.pack("<H", len(subfield)) + subfield
    head = b"\x1f\x8b\x08\x04" + bytes(4) + b"\0\xff" + struct.pack("<H", len(extra)) + extra
    return head + b"\x01\0\0\xff\xff" + bytes(8)


def _described(head: bytes, content: bytes, begin: int) -> dict[str, Any]:
    size = int(head[124:135], 8)
    digest = f"sha256:{hashlib.sha256(content[:size]).hexdigest()}"
    return {
        "name": head[:100].rstrip(b"\0").decode(),
        "type": _KINDS[head[156:157]],
        "size": size,
        "offset": begin + len(_member(head)),
        "digest": digest,
        "chunkDigest": digest,
    }


def _member(data: bytes) -> bytes:
    """One gzip member."""
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packed.compress(data) + packed.flush()
