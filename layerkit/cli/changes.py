"""Changes between two trees as people and programs read them."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from layerkit.cli import output, units
from layerkit.tree import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.tree import Change, Entry, Node

_TYPES = {
    Kind.FILE: "file",
    Kind.DIRECTORY: "directory",
    Kind.SYMLINK: "symlink",
    Kind.CHARACTER: "character device",
    Kind.BLOCK: "block device",
    Kind.FIFO: "fifo",
    Kind.SOCKET: "socket",
}


def reasons(change: Change) -> str:
    """What differs, as `mode 0644 -> 0600, content`; what was added or deleted for anything else."""
    before, after = change.before, change.after
    if before is None or after is None:
        node = before or after
        return "" if node is None else _TYPES[node.kind]
    return ", ".join(_reason(why, before.entry, after.entry) for why in change.why)


def _reason(why: str, old: Entry, new: Entry) -> str:
    values = {
        "type": (_TYPES[old.kind], _TYPES[new.kind]),
        "mode": (f"{old.mode:04o}", f"{new.mode:04o}"),
        "owner": (f"{old.uid}:{old.gid}", f"{new.uid}:{new.gid}"),
        "device": ("{}:{}".format(*old.device), "{}:{}".format(*new.device)),
        "target": (_text(old.link), _text(new.link)),
    }
    return "{} {} -> {}".format(why, *values[why]) if why in values else why


def _text(raw: bytes) -> str:
    return output.printable(os.fsdecode(raw))


def size(change: Change) -> str:
    """How many bytes of files it added or took away, as `+1.5kB`; nothing for what has none."""
    if not any(node and node.kind is Kind.FILE for node in (change.before, change.after)):
        return ""
    return _signed(_bytes(change.after) - _bytes(change.before))


def _signed(number: int) -> str:
    return f"{'-' if number < 0 else '+'}{units.human_size(abs(number))}"


def _bytes(node: Node | None) -> int:
    return node.entry.size if node is not None and node.kind is Kind.FILE else 0


def totals(changes: Iterable[Change]) -> str:
    """All of it in one line; a file with several names counts once."""
    parts = []
    found = list(changes)
    for letter, text in (("A", "added"), ("C", "changed"), ("D", "deleted")):
        mine = [change for change in found if change.letter == letter]
        nodes = {id(node): node for each in mine if (node := each.after or each.before)}
        parts.append(f"{len(mine)} {text} ({units.human_size(sum(map(_bytes, nodes.values())))})")
    return ", ".join(parts)


def digests(before: str | None, after: str | None) -> str:
    """The digests of a file's content; one where it stayed, or there is only one."""
    if before is None or after is None or before == after:
        return after or before or ""
    return f"{before} -> {after}"


def record(change: Change, digests: tuple[str | None, str | None] | None) -> dict[str, Any]:
    """The change as one JSON object; content is only hashed where `digests` has it."""
    before, after = digests or (None, None)
    return {
        "kind": change.letter,
        "path": "/" + os.fsdecode(change.path),
        "why": list(change.why),
        "before": _state(change.before, before),
        "after": _state(change.after, after),
    }


def _state(node: Node | None, digest: str | None) -> dict[str, Any] | None:
    if node is None:
        return None
    entry = node.entry
    return {
        "type": _TYPES[entry.kind],
        "size": entry.size if entry.kind is Kind.FILE else None,
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime": _time(entry),
        "target": os.fsdecode(entry.link) if entry.kind is Kind.SYMLINK else None,
        "digest": digest,
        "xattrs": {
            name: base64.b64encode(value).decode() for name, value in sorted(entry.xattrs.items())
        },
    }


def _time(entry: Entry) -> str | float:
    """RFC 3339 with nanoseconds; in seconds since 1970 where the calendar ends."""
    try:
        moment = datetime.fromtimestamp(entry.seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return entry.mtime / 10**9
    fraction = f".{entry.nanos:09d}" if entry.nanos else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
