"""What whole archives may be wrapped in: what layers may, and bzip2 and xz, which users like.

A layer stays what image-spec lists (`compression`); this is for files that users hand over, an
image archive or a root file system, of which only the tar inside counts.
"""

from __future__ import annotations

import bz2
import lzma
from typing import TYPE_CHECKING, Protocol

from layerkit.errors import ArchiveError
from layerkit.layer import compression

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

SNIFF = 6
"""As many bytes as `kind` wants to see."""

_OUTPUT = 1 << 20
_XZ_MEMORY = 256 << 20  # xz -9 wants 65 MiB
_MAGICS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    **{bytes((first,)) + b"\x2a\x4d\x18": "zstd" for first in range(0x50, 0x60)},
}
_DAMAGE = (lzma.LZMAError, OSError, EOFError)  # bz2 has no error of its own


class _Stream(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...


def kind(head: bytes) -> str:
    """The compression that a file with this beginning has: gzip, zstd, bzip2, xz, or ""."""
    return next((name for magic, name in _MAGICS.items() if head.startswith(magic)), "")


def is_layer(head: bytes) -> bool:
    """Whether a file with this beginning may be a layer as it is."""
    return kind(head) not in {"bzip2", "xz"}


def unwrap(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The uncompressed bytes of an archive; raises `ArchiveError` as `compression.inflate`."""
    return compression.inflate(as_layer(chunks))


def as_layer(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of an archive as a layer may be: as they are, or plain for bzip2 and xz."""
    source = iter(chunks)
    head = b""
    for chunk in source:
        head += chunk
        if len(head) >= SNIFF:
            break
    whole = _chain(head, source)
    match kind(head):
        case "bzip2":
            return _streams(whole, bz2.BZ2Decompressor, "bzip2")
        case "xz":
            return _streams(whole, _xz, "xz")
        case _:
            return whole


def _xz() -> _Stream:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _streams(chunks: Iterator[bytes], new: Callable[[], _Stream], name: str) -> Iterator[bytes]:
    """Several streams in a row are one; zeros between and behind them are padding."""
    stream: _Stream | None = new()
    for chunk in chunks:
        data = chunk
        while data := data if stream else data.lstrip(b"\0"):
            stream = stream or new()
            try:
                data = yield from _feed(stream, data)
            except _DAMAGE as error:
                raise ArchiveError(f"damaged {name} stream: {error}") from None
            if stream.eof:
                stream = None
    if stream is not None:
        raise ArchiveError(f"the {name} stream is cut off")


def _feed(stream: _Stream, data: bytes) -> Generator[bytes, None, bytes]:
    """Yield what `data` stands for; returns what lies behind the end of the stream."""
    yield stream.decompress(data, _OUTPUT)
    while not stream.needs_input and not stream.eof:
        yield stream.decompress(b"", _OUTPUT)
    return stream.unused_data
