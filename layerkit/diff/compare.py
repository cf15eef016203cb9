"""Compares two trees by docker's rules, pure; what trees share is skipped unseen.

docker's rules (moby go-archive, changes_unix.go), where they see everything: an entry is changed
when its type, mode, owner or device number differ, or, for anything but a directory, its time or
size. Beyond them: a symlink's target, xattrs, and bytes that differ under equal size and time. A
directory with a change below shows as changed itself, the root never; a deleted directory is one
line, and so is one that became something else; an added one is as many as it holds. A directory's
own time does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from layerkit.tree import Change, Kind, Node, Tree, inside, join, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.tree import Entry

SameContent: TypeAlias = Callable[[bytes, Node, Node], bool]
"""Whether two files of equal size, seen at this path, hold the same bytes."""

_SECOND = 10**9
HOST_POLICY = "security.selinux"
"""An xattr that the host sets, not whoever made the tree."""


def compare(old: Tree, new: Tree, same_content: SameContent) -> list[Change]:
    """The changes from `old` to `new`, sorted by path."""
    found: dict[bytes, Change] = {}
    folders: list[tuple[bytes, Node, Node]] = []
    stack = [(b"", old, new)]
    while stack:
        path, before, after = stack.pop()
        for change in _names(path, before, after, same_content):
            found[change.path] = change
        for name in inside(before).keys() & inside(after).keys():
            below, here = inside(before)[name], inside(after)[name]
            # Of a directory that became something else, that alone is told.
            if below is not here and here.children is not None:
                folders.append((join(path, name), below, here))
                stack.append(folders[-1])
    changed = {parent for path in found for parent in _parents(path)}
    for path, before, after in folders:
        if path in changed and path not in found:
            found[path] = Change(path, before, after, ("below",))
    return [found[path] for path in sorted(found)]


def _names(path: bytes, before: Node, after: Node, same_content: SameContent) -> Iterator[Change]:
    """The changes among the names of one directory, with everything inside of new ones."""
    old, new = inside(before), inside(after)
    for name in old.keys() - new.keys():
        yield Change(join(path, name), old[name], None)
    for name, node in new.items():
        here = join(path, name)
        below = old.get(name)
        if below is None:
            yield Change(here, None, node)
            yield from (Change(inner, None, child) for inner, child in walk(node, here))
        elif below is not node:
            why = reasons(here, below, node, same_content)
            if why:
                yield Change(here, below, node, why)


def reasons(path: bytes, old: Node, new: Node, same_content: SameContent) -> tuple[str, ...]:
    """What differs between two nodes: `type`, or some of the others; nothing when they are alike."""
    before, after = old.entry, new.entry
    if before.kind is not after.kind:
        return ("type",)
    checks = {
        "mode": before.mode != after.mode and before.kind is not Kind.SYMLINK,
        "owner": (before.uid, before.gid) != (after.uid, after.gid),
        "device": before.device != after.device,
        "target": before.kind is Kind.SYMLINK and before.link != after.link,
        "xattr": _xattrs(before) != _xattrs(after),
        "time": before.kind is not Kind.DIRECTORY and not same_time(before.mtime, after.mtime),
        "content": before.kind is Kind.FILE
        and (before.size != after.size or not same_content(path, old, new)),
    }
    return tuple(name for name, differs in checks.items() if differs)


def same_time(one: int, other: int) -> bool:
    """Whether two times in nanoseconds are the same; archives often keep whole seconds only."""
    if one == other:
        return True
    return one // _SECOND == other // _SECOND and not (one % _SECOND and other % _SECOND)


def _xattrs(entry: Entry) -> dict[str, bytes]:
    return {name: value for name, value in entry.xattrs.items() if name != HOST_POLICY}


def _parents(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path
