"""Compares two trees by docker's rules, pure; what trees share is skipped unseen.

docker's rules (moby go-archive, changes_unix.go), where they see everything: an entry is changed
when its type, mode, owner or device number differ, or, for anything but a directory, its time or
size. Beyond them: a symlink's target, xattrs, and bytes that differ under equal size and time. A
directory with a change below shows as changed itself, the root never; a deleted directory is one
line, and so is one that became something else; an added one is as many as it holds. A directory's
own time does not count.

Files that were one under two names and are two now, or the other way round, differ in `links`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from layerkit.tree import Change, Kind, Node, Tree, inside, join, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layerkit.tree import Entry

SameContent: TypeAlias = Callable[[bytes, Node, Node], bool]
"""Whether two files of equal size, seen at this path, hold the same bytes."""

REASONS = (
    "type", "content", "mode", "owner", "device", "target", "xattr", "time", "links", "below",
)  # fmt: skip
"""What `Change.why` may hold, in its order; a directory that only holds changes has `below`."""

_SECOND = 10**9
HOST_POLICY = "security.selinux"
"""An xattr that the host sets, not whoever made the tree."""


def compare(
    old: Tree,
    new: Tree,
    same_content: SameContent,
    *,
    splits: bool = False,
) -> list[Change]:
    """The changes from `old` to `new`, sorted by path.

    `splits` tells, too, where only the other name of a file was replaced: not of what overlayfs
    wrote, which gives a name that is written to a file of its own.
    """
    found: dict[bytes, Change] = {}
    folders: list[tuple[bytes, Node, Node]] = []
    files: dict[bytes, tuple[Node, Node]] = {}
    stack = [(b"", old, new)]
    while stack:
        path, before, after = stack.pop()
        for here, below, node in _names(path, before, after):
            why = _why(here, below, node, same_content)
            if below is None or node is None or why:
                found[here] = Change(here, below, node, why)
            if below is not None and node is not None and node.children is not None:
                # Of a directory that became something else, that alone is told.
                folders.append((here, below, node))
                stack.append(folders[-1])
            if below is not None and node is not None and _are_files(below, node):
                files[here] = below, node
    if files:
        _add_regrouped(found, _files(old, new) if splits else files, splits=splits)
    changed = {parent for path in found for parent in _parents(path)}
    for path, before, after in folders:
        if path in changed and path not in found:
            found[path] = Change(path, before, after, ("below",))
    return [found[path] for path in sorted(found)]


def _names(
    path: bytes, before: Node, after: Node
) -> Iterator[tuple[bytes, Node | None, Node | None]]:
    """The names of one directory that both sides do not share, with all that is in new ones."""
    old, new = inside(before), inside(after)
    for name in old.keys() - new.keys():
        yield join(path, name), old[name], None
    for name, node in new.items():
        below = old.get(name)
        if below is node:
            continue
        here = join(path, name)
        yield here, below, node
        if below is None:
            yield from ((inner, None, child) for inner, child in walk(node, here))


def _why(
    path: bytes, old: Node | None, new: Node | None, same_content: SameContent
) -> tuple[str, ...]:
    if old is None or new is None:
        return ()
    return tuple(sorted(reasons(path, old, new, same_content), key=REASONS.index))


def reasons(path: bytes, old: Node, new: Node, same_content: SameContent) -> Iterator[str]:
    """What differs between two nodes: `type`, or some of the others; what takes reading comes last."""
    before, after = old.entry, new.entry
    if before.kind is not after.kind:
        yield "type"
        return
    checks = {
        "mode": before.mode != after.mode and before.kind is not Kind.SYMLINK,
        "owner": (before.uid, before.gid) != (after.uid, after.gid),
        "device": before.device != after.device,
        "target": before.kind is Kind.SYMLINK and before.link != after.link,
        "xattr": shown_xattrs(before) != shown_xattrs(after),
        "time": before.kind is not Kind.DIRECTORY and not same_time(before.mtime, after.mtime),
    }
    yield from (name for name, differs in checks.items() if differs)
    if before.kind is Kind.FILE and (before.size != after.size or not same_content(path, old, new)):
        yield "content"


def same_time(one: int, other: int) -> bool:
    """Whether two times in nanoseconds are the same; archives often keep whole seconds only."""
    if one == other:
        return True
    return one // _SECOND == other // _SECOND and not (one % _SECOND and other % _SECOND)


def shown_xattrs(entry: Entry) -> dict[str, bytes]:
    """The xattrs that count."""
    return {name: value for name, value in entry.xattrs.items() if name != HOST_POLICY}


def _are_files(old: Node, new: Node) -> bool:
    return old.kind is new.kind is Kind.FILE


def _files(old: Tree, new: Tree) -> dict[bytes, tuple[Node, Node]]:
    """All files that both trees have, by path, also those that they share."""
    found = {}
    stack = [(b"", old, new)]
    while stack:
        path, before, after = stack.pop()
        for name in inside(before).keys() & inside(after).keys():
            pair = inside(before)[name], inside(after)[name]
            if _are_files(*pair):
                found[join(path, name)] = pair
            else:
                stack.append((join(path, name), *pair))
    return found


def _add_regrouped(
    found: dict[bytes, Change], files: Mapping[bytes, tuple[Node, Node]], *, splits: bool
) -> None:
    """Add `links` where a file has other names than it had, among those that both trees have."""
    old_names: dict[int, set[bytes]] = defaultdict(set)
    new_names: dict[int, set[bytes]] = defaultdict(set)
    for path, (old, new) in files.items():
        old_names[id(old)].add(path)
        new_names[id(new)].add(path)
    for path, (old, new) in files.items():
        had, has = old_names[id(old)], new_names[id(new)]
        if not has <= had or (splits and has != had):
            why = found[path].why if path in found else ()
            found[path] = Change(path, old, new, (*why, "links"))


def _parents(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path
