"""Changes between two trees as people read them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit.cli import output, units
from layerkit.tree import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.tree import Change, Entry, Node

TYPES = {
    Kind.FILE: "file",
    Kind.DIRECTORY: "directory",
    Kind.SYMLINK: "symlink",
    Kind.CHARACTER: "character device",
    Kind.BLOCK: "block device",
    Kind.FIFO: "fifo",
    Kind.SOCKET: "socket",
}
"""What kinds are called."""


def reasons(change: Change) -> str:
    """What differs, as `mode 0644 -> 0600, content`; what was added or deleted for anything else."""
    before, after = change.before, change.after
    if before is None or after is None:
        node = before or after
        return "" if node is None else TYPES[node.kind]
    return ", ".join(_reason(why, before.entry, after.entry) for why in change.why)


def _reason(why: str, old: Entry, new: Entry) -> str:
    values = {
        "type": (TYPES[old.kind], TYPES[new.kind]),
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
