"""The columns of `ps` as docker writes them (pure)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from layerkit.cli import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerkit.ops.ps import Listed
    from layerkit.ports import Publication

TITLES = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "CreatedAt": "CREATED AT",
    "Status": "STATUS",
    "State": "STATE",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Label": "LABEL",
    "Mounts": "MOUNTS",
    "Networks": "NETWORKS",
}

_ID_WIDTH = 12
_COMMAND_WIDTH = 20
_MOUNT_WIDTH = 15
_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
    "\t": "\\t", "\v": "\\v",
}  # fmt: skip
_WORDS = {"created": "Created", "removing": "Removal In Progress", "dead": "Dead"}
_ALL_ADDRESSES = "0.0.0.0"  # noqa: S104  told, not listened on


def record(listed: Listed, now: float, *, full: bool) -> dict[str, Any]:
    """The fields of one container under docker's names, shortened unless `full`; `Label` is a map."""
    created = datetime.fromtimestamp(listed.created, UTC).isoformat()
    return {
        "ID": listed.id if full else listed.id[:_ID_WIDTH],
        "Image": listed.image if full else listed.image.partition("@")[0],
        "Command": _command(listed.command, full=full),
        "RunningFor": f"{_span(listed.created, now)} ago",
        "CreatedAt": units.local_time(created),
        "Status": status(listed, now),
        "State": listed.status,
        "Ports": ports(listed.ports),
        "Names": ",".join(listed.names),
        "Size": _size(listed),
        "Labels": ",".join(sorted(f"{key}={value}" for key, value in listed.labels)),
        "Label": dict(listed.labels),
        "Mounts": ",".join(each if full else _cut(each, _MOUNT_WIDTH) for each in listed.mounts),
        "Networks": ",".join(listed.networks),
    }


def status(listed: Listed, now: float) -> str:
    """What the container does, and how long: `Up 3 minutes (Paused)`, `Exited (0) 2 hours ago`."""
    match listed.status:
        case "running" | "paused":
            paused = " (Paused)" if listed.status == "paused" else ""
            return f"Up {_span(listed.started, now)}{paused}"
        case "exited" | "restarting" as word:
            return f"{word.title()} ({_code(listed)}) {_span(listed.finished, now)} ago"
        case word:
            return _WORDS.get(word, word.title())


def _code(listed: Listed) -> int:
    """255 where nobody saw the end."""
    return 255 if listed.exit_code is None else listed.exit_code


def _span(since: float | None, now: float) -> str:
    begin = now if since is None else since
    return units.human_duration(
        datetime.fromtimestamp(now, UTC) - datetime.fromtimestamp(begin, UTC)
    )


def _command(words: Sequence[str], *, full: bool) -> str:
    first, *rest = words or ("",)
    text = " ".join([first, *(f"'{word}'" if " " in word else word for word in rest)])
    return _quoted(text if full else _cut(text, _COMMAND_WIDTH))


def _quoted(text: str) -> str:
    """As Go's strconv.Quote."""
    return f'"{"".join(map(_escape, text))}"'


def _escape(letter: str) -> str:
    if letter.isprintable() and letter not in _ESCAPES:
        return letter
    number = ord(letter)
    code = f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}"  # noqa: PLR2004
    return _ESCAPES.get(letter, code)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _size(listed: Listed) -> str:
    if listed.size is None:
        return "0B"
    virtual = units.human_size(listed.size + listed.image_size)
    return f"{units.human_size(listed.size)} (virtual {virtual})"


def ports(publications: Sequence[Publication]) -> str:
    """`0.0.0.0:8080->80/tcp, 443/tcp`; ports beside one another, the same outside, are a range."""
    single: list[str] = []
    ranges: list[list[Publication]] = []
    for each in sorted(publications, key=_order):
        if each.host_port is not None and each.host_port != each.container_port:
            single.append(f"{host(each)}:{each.host_port}->{each}")
        elif ranges and _follows(ranges[-1][-1], each):
            ranges[-1].append(each)
        else:
            ranges.append([each])
    return ", ".join([*map(_range, ranges), *single])


def _order(each: Publication) -> tuple[str, str, int, int]:
    return (each.protocol, host(each), each.container_port, each.host_port or 0)


def _follows(before: Publication, each: Publication) -> bool:
    same = (before.protocol, host(before)) == (each.protocol, host(each))
    return same and each.container_port == before.container_port + 1


def _range(group: Sequence[Publication]) -> str:
    first, last = group[0].container_port, group[-1].container_port
    span = str(first) if first == last else f"{first}-{last}"
    address = host(group[0])
    inside = f"{span}/{group[0].protocol}"
    return f"{address}:{span}->{inside}" if address else inside


def host(each: Publication) -> str:
    """The address of the host, empty for a port that is exposed only."""
    if each.host_port is None:
        return ""
    return f"[{each.host_ip}]" if ":" in each.host_ip else each.host_ip or _ALL_ADDRESSES
