"""A limit on bytes per second that several connections share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class RateLimit:
    """Says how long to wait so that no more than `rate` bytes a second pass on average."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._free = clock()
        self._lock = threading.Lock()

    def pause(self, count: int) -> float:
        """Let `count` bytes pass; the seconds to wait before the next ones."""
        with self._lock:
            now = self._clock()
            self._free = max(now, self._free) + count / self._rate
            return self._free - now
