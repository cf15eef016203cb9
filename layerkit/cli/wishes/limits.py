"""Limits: of memory, processors, processes, and of setrlimit(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from layerkit.cli.wishes import sizes
from layerkit.errors import UsageError
from layerkit.resources import UNLIMITED, Limits, Ulimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
    "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip
"""The names that docker knows (go-units ulimit.go)."""

_LEAST_MEMORY = 6 << 20  # as docker: less does not start a process
_LEAST_CPUS = 0.01
_MOST_CPUS = 8192
_LEAST_QUOTA = 1000
_PERIODS = (1000, 1_000_000)


def limits(values: Mapping[str, Any]) -> Limits:
    """The limits that the options of these names give, each a text or None.

    Raises `UsageError` for a text that is none, and for limits that contradict each other.
    """
    found = _read(values)
    _check_memory(found)
    if found.cpus is not None and (found.cpu_period or found.cpu_quota):
        raise UsageError("conflicting options: --cpus and --cpu-period or --cpu-quota")
    return found


def changed_limits(values: Mapping[str, Any]) -> Limits:
    """As `limits`, for a container that has some: -1 lifts one, and what contradicts is not known yet."""
    found = _read(values)

    def lifted(option: str, limit: int | None) -> int | None:
        return UNLIMITED if values[option] == str(UNLIMITED) else limit

    return replace(
        found,
        pids=lifted("pids_limit", found.pids),
        cpu_quota=lifted("cpu_quota", found.cpu_quota),
    )


def _read(values: Mapping[str, Any]) -> Limits:
    def given(name: str) -> str | None:
        value = values.get(name)
        assert value is None or isinstance(value, str)
        return value

    return Limits(
        memory=_memory(given("memory"), "--memory"),
        memory_swap=_swap(given("memory_swap")),
        memory_reservation=_memory(given("memory_reservation"), "--memory-reservation"),
        cpus=cpus(given("cpus")),
        cpu_shares=_number(given("cpu_shares"), "--cpu-shares"),
        cpu_period=_period(given("cpu_period")),
        cpu_quota=_quota(given("cpu_quota")),
        cpuset_cpus=cpuset(given("cpuset_cpus"), "--cpuset-cpus"),
        cpuset_mems=cpuset(given("cpuset_mems"), "--cpuset-mems"),
        pids=pids(given("pids_limit")),
    )


def _check_memory(found: Limits) -> None:
    memory, swap, reservation = found.memory, found.memory_swap, found.memory_reservation
    if swap is not None and swap != UNLIMITED:
        if memory is None:
            raise UsageError("--memory-swap without --memory: it limits memory and swap together")
        if swap < memory:
            raise UsageError(f"--memory-swap {swap} is less than --memory {memory}")
    if memory is not None and reservation is not None and memory < reservation:
        raise UsageError(f"--memory {memory} is less than --memory-reservation {reservation}")


def _memory(text: str | None, option: str) -> int | None:
    found = 0 if text is None else sizes.size(text, option)
    if 0 < found < _LEAST_MEMORY:
        raise UsageError(f"invalid {option} {text!r}: wanted 6m or more")
    return found or None


def _swap(text: str | None) -> int | None:
    if text == str(UNLIMITED):
        return UNLIMITED
    return None if text is None else sizes.size(text, "--memory-swap") or None


def cpus(text: str | None) -> float | None:
    """How many processors `1.5` is; 0 is None, which is no limit. Raises `UsageError`."""
    if text is None:
        return None
    whole, _, part = text.partition(".")
    if sizes.is_number(whole + part):
        number = float(f"{whole or 0}.{part or 0}")
        if number == 0:
            return None
        if _LEAST_CPUS <= number <= _MOST_CPUS:
            return number
    raise UsageError(f"invalid --cpus {text!r}: wanted a number such as 1.5, 0.01 or more")


def _number(text: str | None, option: str) -> int | None:
    return None if text is None else sizes.integer(text, option) or None


def _period(text: str | None) -> int | None:
    if text is None or text == "0":
        return None
    return sizes.integer(text, "--cpu-period", *_PERIODS)


def _quota(text: str | None) -> int | None:
    if text is None or text in ("0", str(UNLIMITED)):
        return None
    return sizes.integer(text, "--cpu-quota", _LEAST_QUOTA)


def pids(text: str | None) -> int | None:
    """How many processes; 0 and -1 are None, which is no limit. Raises `UsageError`."""
    found = 0 if text is None else sizes.integer(text, "--pids-limit", UNLIMITED)
    return found if found > 0 else None


def cpuset(text: str | None, option: str) -> str | None:
    """The list of numbers `0-2,7` as it is, None for an empty one; raises `UsageError`."""
    if not text:
        return None
    for part in text.split(","):
        first, dash, last = part.partition("-")
        bounds = [first, last] if dash else [first, first]
        numbers = [int(each) for each in bounds if sizes.is_number(each)]
        if len(numbers) != len(bounds) or not numbers[0] <= numbers[1] < _MOST_CPUS:
            raise UsageError(f"invalid {option} {text!r}: wanted numbers and ranges, as in 0-2,7")
    return text


def ulimits(texts: Iterable[str]) -> tuple[Ulimit, ...]:
    """The limits that `nofile=100:200` and the like say, by name; the last of a name counts."""
    found = {each.name: each for each in map(ulimit, texts)}
    return tuple(found[name] for name in sorted(found))


def ulimit(text: str) -> Ulimit:
    """The limit of `NAME=SOFT[:HARD]`, -1 for no limit; raises `UsageError`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(
            f"invalid --ulimit {text!r}: wanted NAME=SOFT[:HARD], as in nofile=100:200"
        )
    if name not in ULIMITS:
        raise UsageError(f"invalid --ulimit {text!r}: wanted one of {', '.join(ULIMITS)}")
    soft_text, colon, hard_text = value.partition(":")
    soft = sizes.integer(soft_text, f"--ulimit {name}", UNLIMITED)
    hard = sizes.integer(hard_text, f"--ulimit {name}", UNLIMITED) if colon else soft
    if hard != UNLIMITED and (soft == UNLIMITED or soft > hard):
        raise UsageError(f"invalid --ulimit {text!r}: the soft limit is above the hard one")
    return Ulimit(name, soft, hard)
