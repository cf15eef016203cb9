"""The steps that hold a container back or open up to it what the user wants, as values; see `steps`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class LoadSeccomp:
    """Put all system calls through this compiled program."""

    program: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"load a seccomp filter of {len(self.program) // 8} instructions"


@dataclass(frozen=True, slots=True)
class NoNewPrivileges:
    """Let no program that runs from here on have more rights than the one that started it."""

    def __str__(self) -> str:
        return "set no-new-privileges"


IsolationStep: TypeAlias = LoadSeccomp | NoNewPrivileges
