"""The ids of users and groups that a process of a user namespace can have (user_namespaces(7))."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PROCESS = Path("/proc/self")
_ALL = ((0, 2**32 - 1),)


@dataclass(frozen=True, slots=True)
class Ids:
    """Runs of ids as (first, how many), and whether a process may choose its groups."""

    uids: tuple[tuple[int, int], ...]
    gids: tuple[tuple[int, int], ...]
    sets_groups: bool = True

    def has_uid(self, number: int) -> bool:
        """Whether there is such a user."""
        return _has(self.uids, number)

    def has_gid(self, number: int) -> bool:
        """Whether there is such a group."""
        return _has(self.gids, number)

    @property
    def last_gid(self) -> int:
        """The highest group."""
        return max(first + count - 1 for first, count in self.gids)


def of_this_process(process: Path = _PROCESS) -> Ids | None:
    """The ids in this process's user namespace; None for all of the machine's, which are root's."""
    uids, gids = (_runs((process / name).read_text()) for name in ("uid_map", "gid_map"))
    if uids == _ALL:
        return None
    return Ids(uids, gids, (process / "setgroups").read_text().strip() != "deny")


def _runs(text: str) -> tuple[tuple[int, int], ...]:
    rows = (line.split() for line in text.splitlines())
    return tuple((int(inside), int(count)) for inside, _outside, count in rows)


def _has(runs: tuple[tuple[int, int], ...], number: int) -> bool:
    return any(first <= number < first + count for first, count in runs)
