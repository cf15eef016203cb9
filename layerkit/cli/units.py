"""Sizes and times as docker prints them (its go-units), and sizes as users write them; pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_DAY = 24
_SIZE = re.compile(r"(\d{1,18})(?:\.(\d{1,9}))? ?([a-z]{0,3})", re.ASCII | re.IGNORECASE)
_PART = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern}){{1,5}}", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_GO_PART = re.compile(r"(\d{1,12})(?:\.(\d{0,9}))?(ns|us|µs|ms|s|m|h)", re.ASCII)
_GO_DURATION = re.compile(rf"(?:{_GO_PART.pattern}){{1,7}}", re.ASCII)
_GO_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_UNIX = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d(?:T\d\d(?::\d\d(?::\d\d)?)?)?)(?:(?<=:\d\d:\d\d)\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_MULTIPLES: dict[str, int] = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtp", start=1):
    _MULTIPLES |= dict.fromkeys((_letter, f"{_letter}ib"), 1 << 10 * _power)
    _MULTIPLES[f"{_letter}b"] = 1000**_power


def human_size(size: int) -> str:
    """Bytes with 3 significant digits: `203MB`; docker's `1e+03kB` is `1MB` here."""
    number = float(size)
    for unit in _UNITS[:-1]:
        if float(f"{number:.3g}") < 1000:  # noqa: PLR2004
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}{_UNITS[-1]}"


def binary_size(size: int) -> str:
    """Bytes with 4 significant digits, by 1024: `1.5MiB`, as docker tells of memory."""
    number = float(size)
    for unit in _BINARY_UNITS[:-1]:
        if number < 1024:  # noqa: PLR2004
            return f"{number:.4g}{unit}"
        number /= 1024
    return f"{number:.4g}{_BINARY_UNITS[-1]}"


def parse_size(text: str) -> int | None:
    """The bytes that `500MiB`, `1.5G` or `20000` says, None if it is no size.

    `G` and `GiB` count by 1024, `GB` by 1000, and so with K, M, T and P, large or small.
    """
    match = _SIZE.fullmatch(text)
    multiple = _MULTIPLES.get(match[3].lower()) if match else None
    if match is None or multiple is None:
        return None
    part = match[2] or ""
    scale: int = 10 ** len(part)
    return int(match[1] + part) * multiple // scale


def parse_duration(text: str) -> timedelta | None:
    """The span that `12h`, `7d`, `1h30m` or `0` says, None if it is none; also s, m and w."""
    if text != "0" and _DURATION.fullmatch(text) is None:
        return None
    parts = [
        timedelta(seconds=int(number) * _SECONDS[unit]) for number, unit in _PART.findall(text)
    ]
    return sum(parts, timedelta())


def parse_moment(text: str, now: int) -> int | None:
    """The time that docker's `--since` means by this text, None if it means none.

    RFC 3339 as far as it goes, in this zone where it names none; seconds since 1970; or a Go
    duration before `now`. Both times are nanoseconds since 1970.
    """
    if match := _UNIX.fullmatch(text):
        return int(match[1]) * 10**9 + _nanoseconds(match[2])
    if _GO_DURATION.fullmatch(text):
        return max(0, now - sum(_go_part(*part) for part in _GO_PART.findall(text)))
    match = _MOMENT.fullmatch(text)
    return None if match is None else _moment(match[1], match[2], match[3])


def _moment(time: str, fraction: str | None, zone: str | None) -> int | None:
    day, _, clock = time.partition("T")
    try:
        seconds = datetime.fromisoformat(f"{day}T{clock or '00'}{zone or ''}").timestamp()
    except (OverflowError, OSError, ValueError):
        return None
    return max(0, int(seconds) * 10**9 + _nanoseconds(fraction))


def _go_part(whole: str, fraction: str, unit: str) -> int:
    return (int(whole) * 10**9 + _nanoseconds(fraction)) * _GO_UNITS[unit] // 10**9


def _nanoseconds(fraction: str | None) -> int:
    """The part of a second, from the digits behind its point."""
    return int((fraction or "").ljust(9, "0"))


def human_duration(duration: timedelta) -> str:
    """A span in its largest fitting unit: `4 weeks`, `About an hour`."""
    total = duration.total_seconds()
    seconds, minutes, hours = int(total), int(total / 60), int(total / 3600 + 0.5)
    steps = (
        (seconds < 1, "Less than a second"),
        (seconds == 1, "1 second"),
        (seconds < 60, f"{seconds} seconds"),  # noqa: PLR2004
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),  # noqa: PLR2004
        (hours == 1, "About an hour"),
        (hours < 2 * _DAY, f"{hours} hours"),
        (hours < 14 * _DAY, f"{hours // _DAY} days"),
        (hours < 60 * _DAY, f"{hours // (7 * _DAY)} weeks"),
        (hours < 730 * _DAY, f"{hours // (30 * _DAY)} months"),
    )
    years = f"{int(total / 3600) // (365 * _DAY)} years"
    return next((text for fits, text in steps if fits), years)


def parse_time(text: str) -> datetime | None:
    """The time that RFC 3339 `text` spells, None if it is none; UTC where it names no zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def ago(text: str, now: datetime) -> str:
    """How long before `now` RFC 3339 `text` was: `4 weeks ago`, `N/A` if it is no time."""
    time = parse_time(text)
    return "N/A" if time is None else f"{human_duration(now - time)} ago"


def local_time(text: str) -> str:
    """RFC 3339 `text` in this zone as docker lists it: `2020-11-14 00:20:04 +0000 UTC`."""
    time = _local(text)
    return "N/A" if time is None else time.strftime("%Y-%m-%d %H:%M:%S %z %Z")


def rfc3339(text: str) -> str:
    """RFC 3339 `text` in this zone, in whole seconds: `2020-11-14T00:20:04Z`."""
    time = _local(text)
    return "N/A" if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _local(text: str) -> datetime | None:
    time = parse_time(text)
    try:
        return None if time is None else time.astimezone()
    except (OverflowError, OSError, ValueError):  # a year that this zone does not reach
        return time
