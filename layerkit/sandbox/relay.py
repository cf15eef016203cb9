"""Bytes on their way between the user's descriptors and the container's, without threads.

A pump waits for one thing at a time: for bytes to come, or for room to put them. So no stream can
hold up another one, and nobody's buffer grows.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 65536
_TROUBLE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Pump:
    """Moves bytes from `source` to `sink` until one of them ends, then calls `at_end`.

    With `source_may_return`, EIO is no end: it is what the master of a terminal says while nobody
    has the terminal open, which can change as long as the container lives.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        at_end: Callable[[], None],
        *,
        source_may_return: bool = False,
    ) -> None:
        self._source = source
        self._sink = sink
        self._at_end = at_end
        self._source_may_return = source_may_return
        self._held = memoryview(b"")
        self._limit = _safe_amount(sink)
        self.over = False
        self.resting = False

    @property
    def holding(self) -> bool:
        """Whether bytes were read that are not written yet."""
        return bool(self._held)

    def wanted(self) -> tuple[int, int]:
        """The descriptor and the poll event that this pump waits for."""
        return (self._sink, select.POLLOUT) if self._held else (self._source, select.POLLIN)

    def move(self, ready: int) -> None:
        """Do what is possible now that `ready` are the poll events of the descriptor."""
        if self.over or not ready & (self.wanted()[1] | _TROUBLE):
            return
        if self._held:
            self._write()
        else:
            self._read()

    def end(self) -> None:
        """Stop; bytes that are still held are lost."""
        if not self.over:
            self.over = True
            self._at_end()

    def _read(self) -> None:
        try:
            self._held = memoryview(os.read(self._source, CHUNK))
        except BlockingIOError:
            return
        except OSError as error:
            if self._source_may_return and error.errno == errno.EIO:
                self.resting = True
                return
        if not self._held:
            self.end()

    def _write(self) -> None:
        try:
            written = os.write(self._sink, self._held[: self._limit])
        except BlockingIOError:
            return
        except OSError:  # nobody reads any more, or the disk is full: the writer shall notice
            self.end()
            return
        self._held = self._held[written:]


def _safe_amount(sink: int) -> int:
    """How many bytes a write may have so that it does not block once poll says there is room.

    A blocking pipe promises room for PIPE_BUF bytes only. Other people's descriptors stay blocking:
    the flag would hold for every process that shares them.
    """
    if not os.get_blocking(sink) or stat.S_ISREG(os.fstat(sink).st_mode):
        return CHUNK
    return select.PIPE_BUF
