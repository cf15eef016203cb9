"""Compressed layers to tar bytes: gzip, zstd or plain, known by their first bytes, not their label.

The diffID guards the result, so sniffing is safe; a wrong media type is common (image-spec layer.md
names gzip and zstd, docker's `diff.tar` may be either). Memory stays bounded whatever the ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeAlias

import zstandard
from isal import igzip_lib, isal_zlib

from layerkit.errors import ArchiveError

Chunks: TypeAlias = Iterable[bytes]

# isal's stub types its exception as an instance.
_DAMAGE: tuple[type[Exception], ...] = (igzip_lib.IsalError, zstandard.ZstdError)  # type: ignore[assignment]
_OUTPUT = 1 << 20
# What follows a member is copied at its end: small pieces keep that cheap for many small members.
_GZIP_INPUT = 32 << 10
# python-zstandard gives all output of its input at once; a 4-byte block can stand for 128 KiB, so
# this much input means at most 64 MiB of output.
_ZSTD_INPUT = 2 << 10
_ZSTD_WINDOW = 128 << 20
_SNIFF = 6
_GZIP = b"\x1f\x8b"
_GZIP_HEADER = 10
_GZIP_HEADER_LIMIT = 1 << 17  # twice what its extra field may have
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 2, 4, 8, 16
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # behind a byte 0x50 to 0x5f
_REFUSED = {b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x04\x22\x4d\x18": "lz4"}


class _Member(Protocol):
    """One gzip member or zstd frame."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    @property
    def done(self) -> bool: ...

    @property
    def rest(self) -> bytes: ...


def inflate(chunks: Chunks) -> Iterator[bytes]:
    """The uncompressed bytes of a layer blob that comes in `chunks` of any size.

    Several members or frames in a row are one stream; zeros behind a member are padding. Raises
    `ArchiveError` for a stream that is cut off, damaged or followed by something else, and for a
    compression that image-spec does not list, by its name.
    """
    head, chunks = _peek(chunks)
    if head.startswith(_GZIP):
        return _members(_pieces(chunks, _GZIP_INPUT), _Gzip, "gzip")
    if head.startswith(_ZSTD) or (head[1:4] == _ZSTD_SKIPPABLE and head[0] >> 4 == 5):  # noqa: PLR2004
        return _members(_pieces(chunks, _ZSTD_INPUT), _Zstd, "zstd")
    for magic, name in _REFUSED.items():
        if head.startswith(magic):
            raise ArchiveError(
                f"unsupported compression {name}: layers are gzip, zstd or plain tar"
            )
    return iter(chunks)


def _peek(chunks: Chunks) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, and the same stream still whole."""
    source = iter(chunks)
    head = b""
    for chunk in source:
        head += chunk
        if len(head) >= _SNIFF:
            break
    return head, _chain(head, source)


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _pieces(chunks: Chunks, size: int) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


def _members(chunks: Chunks, new: Callable[[], _Member], name: str) -> Iterator[bytes]:
    member: _Member | None = new()
    for chunk in chunks:
        data = chunk
        while data:
            if member is None:
                data = data.lstrip(b"\0")
                if not data:
                    break
                member = new()
            try:
                yield from member.feed(data)
            except _DAMAGE as error:
                raise ArchiveError(f"damaged {name} stream: {error}") from None
            if not member.done:
                break
            data, member = member.rest, None
    if member is not None:
        raise ArchiveError(f"the {name} stream is cut off")


class _Gzip:
    def __init__(self) -> None:
        self._inflater = isal_zlib.decompressobj(wbits=31)
        self._header: bytes | None = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._header is not None:
            # isal takes a header's own checksum wrong when the header comes in pieces.
            data = self._header + data
            self._header = None if _has_whole_header(data) else data
        if self._header is None:
            yield from self._inflate(data)

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        while data and not self._inflater.eof:
            yield self._inflater.decompress(data, _OUTPUT)
            data = self._inflater.unconsumed_tail

    @property
    def done(self) -> bool:
        return bool(self._inflater.eof)

    @property
    def rest(self) -> bytes:
        return bytes(self._inflater.unused_data)


def _has_whole_header(data: bytes) -> bool:
    """Whether a gzip member's header is all there (RFC 1952, 2.3); `ArchiveError` if it is none."""
    if not data.startswith(_GZIP[: len(data)]):
        raise ArchiveError("damaged gzip stream: something else follows a member")
    if len(data) < _GZIP_HEADER:
        return False
    flags, end = data[3], _GZIP_HEADER
    if flags & _FEXTRA:
        end += 2 + int.from_bytes(data[end : end + 2], "little")
    for flag in (_FNAME, _FCOMMENT):
        if flags & flag:
            end = data.find(b"\0", end) + 1 or len(data) + 1
    end += 2 if flags & _FHCRC else 0
    if min(end, len(data)) > _GZIP_HEADER_LIMIT:
        raise ArchiveError(f"damaged gzip stream: a header of more than {_GZIP_HEADER_LIMIT} bytes")
    return end <= len(data)


class _Zstd:
    def __init__(self) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._inflater = decompressor.decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._inflater.decompress(data)

    @property
    def done(self) -> bool:
        return self._inflater.eof

    @property
    def rest(self) -> bytes:
        return self._inflater.unused_data
