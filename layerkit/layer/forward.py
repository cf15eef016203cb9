"""Random access to bytes that come only once, as far as the tar reader needs it: forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOK_BACK = 512
"""How far behind the bytes asked for last one may still go: the tar reader looks once, by less than
a block, whether the last file is whole."""


class ForwardReader:
    """A `ReadAt` over chunks in their order; to skip bytes is to take and drop them.

    In memory are one chunk, `LOOK_BACK` bytes, and what one call asks for.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = bytearray()
        self._start = 0

    def reaches(self, offset: int) -> bool:
        """Whether the bytes at `offset` have not gone by."""
        return offset >= self._start

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes there, fewer only at the end; raises `ValueError` for bytes that are gone."""
        if not self.reaches(offset):
            raise ValueError(f"byte {offset} is gone: the reader is at byte {self._start}")
        while self._end < offset + size and self._take(offset):
            pass
        at = offset - self._start
        return bytes(memoryview(self._buffer)[at : at + size])

    def drain(self) -> None:
        """Take what is left."""
        while self._take(self._end):
            pass

    @property
    def _end(self) -> int:
        return self._start + len(self._buffer)

    def _take(self, wanted: int) -> bool:
        """Add the next chunk, dropping what is too far before `wanted`; False when there is none."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        gone = max(0, min(wanted, self._end) - LOOK_BACK - self._start)
        del self._buffer[:gone]
        self._start += gone
        self._buffer += chunk
        return True
