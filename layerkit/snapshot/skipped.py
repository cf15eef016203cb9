"""What a file system, or the rights of the user, did not let be kept of a tree."""

from __future__ import annotations

import os
from collections import Counter

from msgspec import Struct, field

from layerkit.events import Notice

_NOUNS = {"owner": "owner", "device": "device file", "xattr": "extended attribute"}
_PATH_LIMIT = 400  # characters


class Skipped(Struct):
    """How often something could not be kept: "owner", "device", "xattr"; `first` is the first of it.

    Under "recorded" are the owners that are only written down, in `user.rootlesscontainers`.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: str = ""

    def __bool__(self) -> bool:
        return any(self.counts.values())

    def record(self) -> None:
        """Count an owner that was written down."""
        self.counts["recorded"] += 1

    def lose(self, what: str, name: str, path: bytes) -> None:
        """Count something of the entry at `path`; with `name` before the path, it is the example."""
        self.counts[what] += 1
        if not self.first:
            self.first = f"{name} '{os.fsdecode(path)[:_PATH_LIMIT]}'"

    def add(self, other: Skipped) -> None:
        """Count also what another writing could not keep."""
        self.counts += other.counts
        self.first = self.first or other.first

    def notice(self, severity: str, where: str = "") -> Notice:
        """All of it in one line."""
        sentences = []
        if recorded := self.counts["recorded"]:
            sentences.append(
                f"{_count(recorded, 'owner')} only recorded, in user.rootlesscontainers"
            )
        counted = [_count(self.counts[what], noun) for what, noun in _NOUNS.items()]
        lost = ", ".join(each for each in counted if each)
        if lost:
            lack = "for lack of rights or of support in the file system"
            sentences.append(f"not kept{where}, {lack}: {lost} (first: {self.first})")
        return Notice(severity, "; ".join(sentences))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""
