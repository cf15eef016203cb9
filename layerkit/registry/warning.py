"""`Warning` headers: what a registry wants its users to know (distribution-spec, "Warnings")."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from layerkit.registry import outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 4096  # distribution-spec; what is beyond is not read
_MOST = 20  # texts in the life of one client
_WARNING = re.compile(r'(?:^|,)\s*299 - "((?:[^"\\]|\\.)*)', re.ASCII | re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse(line: str) -> list[str]:
    """The texts in one header line, shortened and on one line each; other codes mean caches."""
    texts = (_ESCAPE.sub(r"\1", text) for text in _WARNING.findall(line[:_LONGEST]))
    return list(filter(None, map(outcome.clean, texts)))


class Warnings:
    """Keeps each text once; may be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._new: list[str] = []

    def take(self, registry: str, lines: Iterable[str]) -> None:
        """Remember what the header lines of an answer say."""
        for text in (text for line in lines for text in parse(line)):
            told = f"registry {registry} says: {text}"
            with self._lock:
                if told not in self._seen and len(self._seen) < _MOST:
                    self._seen.add(told)
                    self._new.append(told)

    def new(self) -> list[str]:
        """What came since this was asked last."""
        with self._lock:
            new, self._new = self._new, []
        return new
