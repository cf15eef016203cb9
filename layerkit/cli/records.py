"""Changes between two trees as programs read them."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from layerkit.cli.changes import TYPES
from layerkit.tree import Kind

if TYPE_CHECKING:
    from layerkit.tree import Change, Entry, Node


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
        "type": TYPES[entry.kind],
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
