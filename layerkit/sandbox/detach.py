"""Keys that a terminal's user types to leave a container running: found in what is typed."""

from __future__ import annotations

CTRL_P_CTRL_Q = (16, 17)
"""docker's."""


class Keys:
    """Looks for a sequence of keys in bytes that come in pieces of any size.

    Bytes that could be its beginning are held back until the next one tells, so the first key is
    seen by the container only when another one follows.
    """

    def __init__(self, keys: tuple[int, ...]) -> None:
        self._keys = bytes(keys)
        self._held = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What of it is for the container, and whether the sequence is complete: then no more is."""
        if not self._keys:
            return data, False
        passed = bytearray()
        for byte in data:
            if self._matches(byte, passed):
                return bytes(passed), True
        return bytes(passed), False

    def _matches(self, byte: int, passed: bytearray) -> bool:
        while self._held and self._keys[self._held] != byte:
            self._give_back(byte, passed)
        if self._keys[self._held] != byte:
            passed.append(byte)
            return False
        self._held += 1
        if self._held < len(self._keys):
            return False
        self._held = 0
        return True

    def _give_back(self, byte: int, passed: bytearray) -> None:
        """Let go of the oldest held bytes until the rest may be a beginning again."""
        held = self._keys[: self._held]
        for skipped in range(1, self._held + 1):
            rest = held[skipped:]
            if self._keys.startswith(rest) and (not rest or self._keys[len(rest)] == byte):
                passed += held[:skipped]
                self._held = len(rest)
                return
