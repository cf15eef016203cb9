"""A small language for layer archives, written header by header so that illegal ones can be made.

    archive(directory("etc"), file("etc/motd", b"hello"), whiteout("etc/issue"))

Each function gives the bytes of one entry (with the extra headers it needs) and takes the header
fields of `Fields` as keywords; `archive` joins them and adds the end mark. Names are written as
they are given: nothing is normalised, checked or shortened.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypedDict, Unpack

from isal import igzip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Name: TypeAlias = str | bytes

BLOCK = 512
END = bytes(2 * BLOCK)
USTAR = b"ustar\x0000"
GNU = b"ustar  \0"
V7 = b""
MTIME = 1_000_000_000
"""The time of every entry that says no other, in seconds."""

GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"


class Fields(TypedDict, total=False):
    """Header fields; bytes in place of a number are written as they are.

    `patches` overwrites the header at the given offsets before its checksum is made; `pax` puts an
    extended header with these records in front of the entry.
    """

    mode: int | bytes
    uid: int | bytes
    gid: int | bytes
    size: int | bytes
    mtime: int | bytes
    prefix: bytes
    magic: bytes
    device: tuple[int, int]
    patches: Mapping[int, bytes]
    pax: Mapping[Name, Name]


def header(name: Name, kind: bytes, *, link: Name = b"", **fields: Unpack[Fields]) -> bytes:
    """One header block, after a pax header where `fields` ask for one."""
    block = bytearray(BLOCK)
    magic = fields.get("magic", USTAR)
    _put(block, 0, encoded(name)[:100])
    _put(block, 100, number(fields.get("mode", 0o644), 8))
    _put(block, 108, number(fields.get("uid", 0), 8))
    _put(block, 116, number(fields.get("gid", 0), 8))
    _put(block, 124, number(fields.get("size", 0), 12))
    _put(block, 136, number(fields.get("mtime", MTIME), 12))
    _put(block, 156, kind)
    _put(block, 157, encoded(link)[:100])
    _put(block, 257, magic)
    if magic == USTAR or "device" in fields:
        major, minor = fields.get("device", (0, 0))
        _put(block, 329, number(major, 8) + number(minor, 8))
    _put(block, 345, fields.get("prefix", b"")[:155])
    for offset, patch in fields.get("patches", {}).items():
        _put(block, offset, patch)
    _put(block, 148, checksum(block))
    records = fields.get("pax")
    return (pax(records) if records else b"") + bytes(block)


def checksum(block: bytes | bytearray) -> bytes:
    """The checksum field of a header: the sum of its bytes, the field itself counted as spaces."""
    total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    return b"%06o\0 " % total


def number(value: int | bytes, width: int) -> bytes:
    """`value` in octal, or in GNU's base 256 where octal has no room or no sign for it."""
    if isinstance(value, bytes):
        return value
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    sign = b"\xff" if value < 0 else b"\x80"
    return sign + value.to_bytes(width, "big", signed=True)[1:]


def encoded(name: Name) -> bytes:
    """The bytes of a name; surrogates in a string stand for bytes that are no UTF-8."""
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")


def padded(data: bytes) -> bytes:
    """`data`, filled up to whole blocks."""
    return data + bytes(-len(data) % BLOCK)


def file(name: Name, data: Name = b"x", **fields: Unpack[Fields]) -> bytes:
    """A regular file."""
    content = encoded(data)
    fields.setdefault("size", len(content))
    return header(name, b"0", **fields) + padded(content)


def directory(name: Name, mode: int = 0o755, **fields: Unpack[Fields]) -> bytes:
    """A directory."""
    return header(name, b"5", **{**fields, "mode": mode})


def symlink(name: Name, target: Name, **fields: Unpack[Fields]) -> bytes:
    """A symbolic link."""
    fields.setdefault("mode", 0o777)
    return header(name, b"2", link=target, **fields)


def hardlink(name: Name, target: Name, **fields: Unpack[Fields]) -> bytes:
    """A hard link to the entry called `target`."""
    return header(name, b"1", link=target, **fields)


def character(name: Name, major: int, minor: int, **fields: Unpack[Fields]) -> bytes:
    """A character device."""
    return header(name, b"3", **{**fields, "device": (major, minor)})


def block(name: Name, major: int, minor: int, **fields: Unpack[Fields]) -> bytes:
    """A block device."""
    return header(name, b"4", **{**fields, "device": (major, minor)})


def fifo(name: Name, **fields: Unpack[Fields]) -> bytes:
    """A named pipe."""
    return header(name, b"6", **fields)


def whiteout(path: str, **fields: Unpack[Fields]) -> bytes:
    """The mark that deletes `path` of the layers below (image-spec layer.md, "Whiteouts")."""
    parent, slash, name = path.rpartition("/")
    return header(f"{parent}{slash}.wh.{name}", b"0", **fields)


def opaque(path: str, **fields: Unpack[Fields]) -> bytes:
    """The mark that hides what the layers below have in the directory `path`."""
    return header(f"{path}/.wh..wh..opq" if path else ".wh..wh..opq", b"0", **fields)


def pax(records: Mapping[Name, Name], *, everywhere: bool = False) -> bytes:
    """A pax header for the next entry, or for all that follow."""
    data = b"".join(_pax_record(encoded(key), encoded(value)) for key, value in records.items())
    return header("PaxHeaders/x", b"g" if everywhere else b"x", size=len(data)) + padded(data)


def gnu_long_name(name: Name) -> bytes:
    """GNU's header for a next entry with a long name."""
    return _gnu_long(b"L", encoded(name))


def gnu_long_link(target: Name) -> bytes:
    """GNU's header for a next entry with a long link target."""
    return _gnu_long(b"K", encoded(target))


def gnu_sparse(name: Name, segments: Sequence[tuple[int, int]], size: int, data: bytes) -> bytes:
    """A sparse file in GNU's old form: `segments` are (offset, length), `data` their bytes."""
    first, rest = segments[:4], segments[4:]
    patches = {386: _sparse_slots(first), 482: b"\1" if rest else b"\0", 483: number(size, 12)}
    head = header(name, b"S", size=len(data), magic=GNU, patches=patches)
    while rest:
        group, rest = rest[:21], rest[21:]
        extension = bytearray(BLOCK)
        _put(extension, 0, _sparse_slots(group))
        _put(extension, 504, b"\1" if rest else b"\0")
        head += bytes(extension)
    return head + padded(data)


def archive(*entries: bytes, end: bytes = END) -> bytes:
    """The archive of these entries."""
    return b"".join(entries) + end


def gzipped(tar: bytes) -> bytes:
    """`tar` as one gzip member, the same bytes every time."""
    out = io.BytesIO()
    _compress(io.BytesIO(tar), out)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer as the registry has it, however wrong: its bytes, type, and the diffID it claims."""

    data: bytes
    diff_id: str
    media_type: str = GZIP_LAYER


Layer: TypeAlias = bytes | Path | Blob
"""The bytes of a tar, the path of a tar file (both will be compressed), or a finished blob."""


def oci_layout(
    folder: Path,
    layers: Iterable[Layer],
    *,
    name: str = "test",
    config: Mapping[str, Any] | None = None,
) -> str:
    """Write `folder` as an OCI image layout with one image; return its manifest's digest.

    `name` is the image's `org.opencontainers.image.ref.name`; `config` goes over a default one.
    """
    (folder / "blobs/sha256").mkdir(parents=True)
    stored = [_store_layer(folder, layer) for layer in layers]
    rootfs = {"type": "layers", "diff_ids": [diff_id for _, diff_id in stored]}
    described = {"architecture": "amd64", "os": "linux", "rootfs": rootfs, **(config or {})}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _store_json(folder, described, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor for descriptor, _ in stored],
    }
    descriptor = _store_json(folder, manifest, manifest["mediaType"])
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "manifests": [descriptor]}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps(index))
    return descriptor["digest"]


def _put(block: bytearray, offset: int, data: bytes) -> None:
    block[offset : offset + len(data)] = data


def _pax_record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    # The length counts its own digits.
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _gnu_long(kind: bytes, text: bytes) -> bytes:
    data = text + b"\0"
    return header("././@LongLink", kind, size=len(data), magic=GNU) + padded(data)


def _sparse_slots(segments: Sequence[tuple[int, int]]) -> bytes:
    return b"".join(number(offset, 12) + number(length, 12) for offset, length in segments)


def _compress(source: BinaryIO, target: BinaryIO) -> None:
    with igzip.IGzipFile("", "wb", compresslevel=1, fileobj=target, mtime=0) as packed:
        shutil.copyfileobj(source, packed, 1 << 20)


def _store_layer(folder: Path, layer: Layer) -> tuple[dict[str, Any], str]:
    """The descriptor and diffID of a layer, after its blob was written."""
    if isinstance(layer, Blob):
        return _store(folder, layer.data, layer.media_type), layer.diff_id
    unfinished = folder / "blobs/unfinished"
    with (
        layer.open("rb") if isinstance(layer, Path) else io.BytesIO(layer) as source,
        unfinished.open("wb") as target,
    ):
        diff_id = f"sha256:{hashlib.file_digest(source, 'sha256').hexdigest()}"
        source.seek(0)
        _compress(source, target)
    with unfinished.open("rb") as blob:
        hexadecimal = hashlib.file_digest(blob, "sha256").hexdigest()
    final = unfinished.rename(folder / "blobs/sha256" / hexadecimal)
    return _descriptor(GZIP_LAYER, hexadecimal, final.stat().st_size), diff_id


def _store_json(folder: Path, document: Mapping[str, Any], media_type: str) -> dict[str, Any]:
    return _store(folder, json.dumps(document).encode(), media_type)


def _store(folder: Path, data: bytes, media_type: str) -> dict[str, Any]:
    hexadecimal = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256" / hexadecimal).write_bytes(data)
    return _descriptor(media_type, hexadecimal, len(data))


def _descriptor(media_type: str, hexadecimal: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hexadecimal}", "size": size}
