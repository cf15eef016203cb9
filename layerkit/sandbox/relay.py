"""Bytes on their way to a descriptor, without threads: what it has no room for yet is held."""

from __future__ import annotations

import os
import select
import stat

CHUNK = 65536


class Sink:
    """Takes bytes for `descriptor`, one piece at a time: the next one when nothing is held any more.

    `broken` tells that nobody reads any more.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.broken = False
        self._held = memoryview(b"")
        self._limit = _safe_amount(descriptor)
        self._may_try = not os.get_blocking(descriptor)

    @property
    def holding(self) -> bool:
        """Whether there are bytes to write as soon as poll(2) tells of room."""
        return bool(self._held)

    def put(self, data: bytes | memoryview) -> None:
        """Take bytes; they are lost where nobody reads any more."""
        if not self.broken:
            self._held = memoryview(data)
            if self._may_try:
                self.flush()

    def flush(self) -> None:
        """Write as much as there is room for."""
        try:
            written = os.write(self.descriptor, self._held[: self._limit])
        except BlockingIOError:
            return
        except OSError:  # nobody reads any more, or the disk is full: the writer shall notice
            self.broken = True
            written = len(self._held)
        self._held = self._held[written:]


def _safe_amount(descriptor: int) -> int:
    """How many bytes a write may have so that it does not block once poll says there is room.

    A blocking pipe promises room for PIPE_BUF bytes only. Other people's descriptors stay blocking:
    the flag would hold for every process that shares them.
    """
    if not os.get_blocking(descriptor) or stat.S_ISREG(os.fstat(descriptor).st_mode):
        return CHUNK
    return select.PIPE_BUF
