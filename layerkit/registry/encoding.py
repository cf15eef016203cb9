"""Bodies that come compressed although nobody asked for that: some proxies do it to whatever passes."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GZIP = ("gzip", "x-gzip")
_GZIP_OR_ZLIB = 47
_CHUNK = 64 << 10


class Inflater:
    """Gives on a gzip stream uncompressed, never more of it at a time than is wanted."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_GZIP_OR_ZLIB)

    def read(self, more: Callable[[int], bytes], amount: int) -> bytes:
        """At most `amount` bytes, none at the end; `more` gives the next ones of the stream.

        Raises `ValueError` for a stream that is damaged or cut.
        """
        while not self._zlib.eof:
            chunk = self._zlib.unconsumed_tail or more(_CHUNK)
            try:
                data = self._zlib.decompress(chunk, amount)
            except zlib.error:
                raise ValueError("a damaged gzip body") from None
            if data:
                return data
            if not chunk:
                raise ValueError("a gzip body without its end")
        return b""
