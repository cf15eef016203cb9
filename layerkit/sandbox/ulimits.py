"""Limits of a process by the names that docker's `--ulimit` has for them (setrlimit(2))."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import msgspec

from layerkit.errors import UsageError
from layerkit.resources import UNLIMITED
from layerkit.sandbox import capabilities, ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from layerkit.resources import Ulimit

_LOCKS = 10
NUMBERS = {
    "core": resource.RLIMIT_CORE,
    "cpu": resource.RLIMIT_CPU,
    "data": resource.RLIMIT_DATA,
    "fsize": resource.RLIMIT_FSIZE,
    "locks": _LOCKS,  # the standard library has no name for it
    "memlock": resource.RLIMIT_MEMLOCK,
    "msgqueue": resource.RLIMIT_MSGQUEUE,
    "nice": resource.RLIMIT_NICE,
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
    "rss": resource.RLIMIT_RSS,
    "rtprio": resource.RLIMIT_RTPRIO,
    "rttime": resource.RLIMIT_RTTIME,
    "sigpending": resource.RLIMIT_SIGPENDING,
    "stack": resource.RLIMIT_STACK,
}
"""The kernel's number for each name."""


def fitting(ulimits: Sequence[Ulimit]) -> tuple[tuple[Ulimit, ...], tuple[str, ...]]:
    """The limits as this process can set them, and a note for each that had to be lowered.

    Raises `UsageError` for a limit that makes no sense.
    """
    # That of a user namespace does not count.
    if "SYS_RESOURCE" in capabilities.available() and ids.of_this_process() is None:
        return clamped(ulimits, dict.fromkeys(NUMBERS, UNLIMITED))
    return clamped(ulimits, {name: resource.getrlimit(NUMBERS[name])[1] for name in NUMBERS})


def clamped(
    ulimits: Iterable[Ulimit], present: Mapping[str, int]
) -> tuple[tuple[Ulimit, ...], tuple[str, ...]]:
    """The limits below the `present` hard ones, and a note for each that had to be lowered. Pure."""
    wanted = tuple(ulimits)
    found = tuple(_clamped(each, present) for each in wanted)
    notes = [
        f"ulimit {want.name}={_shown(want)} is lowered to {_shown(have)}: more takes CAP_SYS_RESOURCE"
        for want, have in zip(wanted, found, strict=True)
        if want != have
    ]
    return found, tuple(notes)


def _clamped(ulimit: Ulimit, present: Mapping[str, int]) -> Ulimit:
    if ulimit.name not in NUMBERS:
        raise UsageError(f"invalid ulimit type: {ulimit.name}")
    if _lower(ulimit.soft, ulimit.hard) != ulimit.soft:
        raise UsageError(
            f"ulimit soft limit must be less than or equal to hard limit: {_shown(ulimit)}"
        )
    hard = _lower(ulimit.hard, present[ulimit.name])
    return msgspec.structs.replace(ulimit, soft=_lower(ulimit.soft, hard), hard=hard)


def _lower(one: int, other: int) -> int:
    if UNLIMITED in {one, other}:
        return max(one, other)
    return min(one, other)


def _shown(ulimit: Ulimit) -> str:
    return f"{ulimit.soft}:{ulimit.hard}"
