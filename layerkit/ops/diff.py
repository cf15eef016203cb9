"""Diff: what a container changed, or how any two trees differ."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from layerkit.diff.compare import compare
from layerkit.errors import NotFoundError
from layerkit.ops import sides
from layerkit.ops.inside import Finding, LocalContainer
from layerkit.ops.snapshots import open_inside
from layerkit.tree import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.diff.report import Row
    from layerkit.ops.home import Home
    from layerkit.ops.inside import Comparable
    from layerkit.ops.layers import Known
    from layerkit.tree import Change, Node, Tree


class Comparison:
    """The `changes` between two sides, sorted by path, and the content of what changed."""

    def __init__(self, old: Comparable, new: Comparable, changes: list[Change]) -> None:
        self.changes = changes
        self._old = old
        self._new = new

    @property
    def names(self) -> tuple[str, str]:
        """What the two sides are called."""
        return self._old.name, self._new.name

    def digests(self, change: Change) -> tuple[str | None, str | None]:
        """The sha256 digests of the content before and after, None for all but files."""
        return (
            _digest(self._old, change.path, change.before),
            _digest(self._new, change.path, change.after),
        )

    def text(self, change: Change) -> list[str] | None:
        """The unified diff of a text file's content, in lines; None where there is nothing to show."""
        from layerkit.diff import text  # noqa: PLC0415  only here

        if "content" not in change.why and change.before is not None and change.after is not None:
            return None
        if all(
            node is None or node.kind is not Kind.FILE for node in (change.before, change.after)
        ):
            return None
        return text.unified(
            change.path,
            _start(self._old, change.path, change.before, text.LIMIT),
            _start(self._new, change.path, change.after, text.LIMIT),
        )

    def page(self) -> str:
        """A page that shows all of it, as HTML."""
        from layerkit.diff import report  # noqa: PLC0415  only here

        return report.page(*self.names, [self._row(change) for change in self.changes])

    def _row(self, change: Change) -> Row:
        from layerkit.diff.report import Row  # noqa: PLC0415  only here

        before, after = change.before, change.after
        node = after or before
        assert node is not None
        lines = self.text(change)
        return Row(
            change.letter,
            change.path,
            node.kind.name.lower(),
            change.why,
            before_size=_size(before),
            after_size=_size(after),
            before_mode=None if before is None else before.entry.mode,
            after_mode=None if after is None else after.entry.mode,
            before_owner=_owner(before),
            after_owner=_owner(after),
            text="\n".join(lines) if lines else None,
        )


def _owner(node: Node | None) -> tuple[int, int] | None:
    return None if node is None else (node.entry.uid, node.entry.gid)


def _size(node: Node | None) -> int | None:
    return node.entry.size if node is not None and node.kind is Kind.FILE else None


@contextlib.contextmanager
def diff(home: Home, old: str, new: str | None = None) -> Iterator[Comparison]:
    """Compare two sides, or a container with its image; see `sides.find` for what they may be.

    Of a container, or a snapshot of one, what layerkit itself puts there does not show. Raises
    `NotFoundError`, `UsageError`, `StoreError`, also while the block runs.
    """
    if new is None:
        _, inside = open_inside(home, old)
        with contextlib.closing(inside):
            changes = compare(inside.base(), inside.tree(), inside.same_content)
            yield Comparison(_Base(inside), inside, changes)
        return
    known: Known = {}
    with (
        contextlib.closing(sides.find(home, old, known)) as one,
        contextlib.closing(sides.find(home, new, known)) as other,
    ):
        yield Comparison(one, other, changes_between(one, other))


def changes_between(one: Comparable, other: Comparable) -> list[Change]:
    """The changes from one side to the other, sorted by path.

    Content is read only of files that are equal in size, but lie in another layer or place. Raises
    `StoreError`.
    """

    def same(path: bytes, before: Node, after: Node) -> bool:
        return _same(one, before, other, after, path)

    return compare(_tree(one), _tree(other), same, splits=True)


def diff_container(home: Home, text: str) -> list[Change]:
    """The changes of a container against its image, sorted by path; raises as `diff`."""
    with diff(home, text) as comparison:
        return comparison.changes


class _Base:
    """What a container was made from, under its own name."""

    def __init__(self, inside: LocalContainer) -> None:
        self.name = f"{inside.name} (its image)"
        self.tree = inside.base
        self.find = inside.find
        self.whole = inside.whole
        self.content = inside.content
        self.origin = inside.origin
        self.close = inside.close


def _tree(side: Comparable) -> Tree:
    return side.plain() if isinstance(side, LocalContainer) else side.tree()


def _same(one: Comparable, old: Node, other: Comparable, new: Node, path: bytes) -> bool:
    """Whether two files of equal size hold the same; what vanished meanwhile does not."""
    place = one.origin(old)
    if place is not None and place == other.origin(new):
        return True
    try:
        return _equal(one.content(Finding(path, old)), other.content(Finding(path, new)))
    except NotFoundError:
        return False


def _equal(one: Iterator[bytes], other: Iterator[bytes]) -> bool:
    """Whether two streams are equal, however they are cut."""
    mine, its = b"", b""
    while True:
        mine, its = mine or next(one, b""), its or next(other, b"")
        size = min(len(mine), len(its))
        if mine[:size] != its[:size]:
            return False
        if not size:
            return not mine and not its
        mine, its = mine[size:], its[size:]


def _digest(side: Comparable, path: bytes, node: Node | None) -> str | None:
    if node is None or node.kind is not Kind.FILE:
        return None
    found = hashlib.sha256()
    try:
        for chunk in side.content(Finding(path, node)) if node.entry.size else ():
            found.update(chunk)
    except NotFoundError:
        return None
    return f"sha256:{found.hexdigest()}"


def _start(side: Comparable, path: bytes, node: Node | None, limit: int) -> bytes | None:
    """The content of a file, of a long one a little more than `limit`; None where there is no file."""
    if node is None or node.kind is not Kind.FILE:
        return None
    found = bytearray()
    with contextlib.suppress(NotFoundError):
        for chunk in side.content(Finding(path, node)) if node.entry.size else ():
            found += chunk
            if len(found) > limit:
                break
    return bytes(found)
