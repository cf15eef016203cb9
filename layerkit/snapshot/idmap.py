"""Which ids of a user namespace stand for which of the host: a user's own and the subordinate ones.

The user is root inside; the ids from 1 up are the ranges of subuid(5) and subgid(5), in the order of
those files, as other rootless tools map them.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_ETC = Path("/etc")
_MOST = 340
"""As many ranges as a namespace takes (user_namespaces(7))."""
_IDS = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Range:
    """The `count` ids from `inside` on are those from `outside` on."""

    inside: int
    outside: int
    count: int


@dataclass(frozen=True, slots=True)
class IdMaps:
    """The ids of users and of groups; raises `UsageError` for ranges that share an id."""

    uids: tuple[Range, ...]
    gids: tuple[Range, ...]

    def __post_init__(self) -> None:
        for kind, ranges in (("user", self.uids), ("group", self.gids)):
            _check(kind, ranges)


def of_this_user_alone() -> IdMaps:
    """The maps that every process may give a user namespace of its own: of one id each."""
    return IdMaps((Range(0, os.geteuid(), 1),), (Range(0, os.getegid(), 1),))


def of_this_user(etc: Path = _ETC) -> IdMaps | None:
    """The maps that this process may ask newuidmap(1) for; None without subordinate ids of both kinds.

    Raises `UsageError` for files whose ranges share an id.
    """
    uid, gid = os.geteuid(), os.getegid()
    names = _names(uid)
    uids, gids = (list(subordinate(_read(etc / file), names)) for file in ("subuid", "subgid"))
    return IdMaps(mapped(uid, uids), mapped(gid, gids)) if uids and gids else None


def subordinate(text: str, names: Collection[str]) -> Iterator[tuple[int, int]]:
    """The ranges (first, count) of the user with these names; lines of any other form are no range."""
    for line in text.splitlines():
        name, *fields = line.split(":")
        if name in names and len(fields) == 2 and all(map(_is_number, fields)):  # noqa: PLR2004
            first, count = map(int, fields)
            if count and first + count <= _IDS:
                yield first, count


def mapped(own: int, ranges: Iterable[tuple[int, int]]) -> tuple[Range, ...]:
    """The map with `own` as 0 and the ranges one after the other from 1 on."""
    found = [Range(0, own, 1)]
    for first, count in ranges:
        last = found[-1]
        found.append(Range(last.inside + last.count, first, count))
    return tuple(found[:_MOST])


def _check(kind: str, ranges: tuple[Range, ...]) -> None:
    for side in (attrgetter("inside"), attrgetter("outside")):
        for low, high in pairwise(sorted(ranges, key=side)):
            if side(low) + low.count > side(high):
                raise UsageError(
                    f"cannot map {kind} ids: {side(high)} is in two ranges",
                    hint=f"see /etc/sub{kind[0]}id",
                )


def _names(uid: int) -> set[str]:
    """What the files may call a user: the number, or the name."""
    try:
        return {str(uid), pwd.getpwuid(uid).pw_name}
    except KeyError:
        return {str(uid)}


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _is_number(field: str) -> bool:
    return field.isascii() and field.isdigit() and len(field) <= len(str(_IDS))
