"""Writes what a terminal shows as an asciicast, version 2, which `asciinema play` shows again.

Its clock is not the real one: keys come as fast as somebody types, whatever the machine does meanwhile.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

WIDTH: Final = 110
HEIGHT: Final = 32
_KEY = 0.035
"""Seconds from one key to the next."""
_LOOK = 1.2
"""Seconds to read what came, before the next command."""


class Recording:
    """A file that is being written, one event a line: the time in seconds, "o", and the text."""

    def __init__(self, path: Path, title: str) -> None:
        self._now = 0.0
        self._last = time.monotonic()
        header = {"version": 2, "width": WIDTH, "height": HEIGHT, "title": title}
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._file.write(json.dumps(header) + "\n")

    def shown(self, text: str) -> None:
        """A program has written this, so much later than what was before."""
        moment = time.monotonic()
        self._now += min(moment - self._last, _LOOK)
        self._last = moment
        self._event(text)

    def typed(self, text: str) -> None:
        """Somebody typed this, after a look at the screen."""
        self._now += _LOOK
        for key in text:
            self._event(key)
            self._now += _KEY
        self._last = time.monotonic()

    def close(self) -> None:
        """All is written."""
        self._file.close()

    def _event(self, text: str) -> None:
        lines = text.replace("\r\n", "\n").replace("\n", "\r\n")
        self._file.write(json.dumps([round(self._now, 3), "o", lines], ensure_ascii=False) + "\n")
