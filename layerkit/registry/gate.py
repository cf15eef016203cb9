"""How much one registry is asked at a time: fewer connections when it has too much to do (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layerkit.registry.limits import Limits


class Gate:
    """The connections open to one registry, how many may be, and from when on.

    Times are seconds of any clock that does not go back.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._allowed = limits.per_host
        self._open = 0
        self._opens = 0.0
        self._calm = 0.0

    def enter(self, now: float) -> bool:
        """Open one more connection, if that may be."""
        if now < self._opens or self._open >= self._allowed:
            return False
        self._open += 1
        return True

    def leave(self) -> None:
        """One connection less is open."""
        self._open -= 1

    def wakes(self) -> float:
        """When the registry may be asked again."""
        return self._opens

    def overloaded(self, now: float, wait: float) -> None:
        """The registry had too much to do, and asks for a pause of `wait` seconds."""
        if now >= self._calm:  # answers to what was asked at the same time say the same thing
            self._allowed = max(1, self._allowed // 2)
            self._calm = now + max(wait, self._limits.first_wait)
        self._opens = max(self._opens, now + wait)

    def served(self, now: float) -> None:
        """The registry sent what was asked."""
        if now >= self._calm + self._limits.relief and self._allowed < self._limits.per_host:
            self._allowed += 1
            self._calm = now
