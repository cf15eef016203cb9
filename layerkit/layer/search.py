"""Looks for one path from the top layer down, until no layer below can change the answer; pure.

The rules are those of `merge`; this module knows when they need no more layers, and nothing else.
What a layer calls `lib/x` is `usr/lib/x` over one in which `lib` is a symlink. So an answer needs a
layer that says itself that the folders on the way are folders, as those of most tools do; or it is
at the top, where nothing can have been put behind such a symlink later. And where an entry of a
layer may lie anywhere, the search gives up: then all layers are to be merged.

An answer is given at the end of the layer that decides: of two entries for a path the last holds,
and that there is no second one is known only then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from layerkit.tree import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Found:
    """The path is this; a hard link is told as the entry of the same layer that it names."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A symlink on the way makes it this path, to be looked for from the top layer again."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """There is nothing at the path."""


Answer: TypeAlias = Found | Elsewhere | Missing


class Search:
    """The search for one path: `see` each entry of the top layer, `end_layer`, and so on downward.

    When the end gives an answer, that is it. `gave_up` tells that none will come any more. Without
    `follow`, a symlink at the very end is found itself.
    """

    def __init__(self, path: bytes, *, follow: bool = True) -> None:
        names = [name for name in path.split(b"/") if name not in {b"", b"."}]
        self._path = b"/".join(names)
        self._parents = set(_parents(self._path))
        self._follow = follow
        self._stated_above: set[bytes] = set()
        self._is_top = True
        self.gave_up = b".." in names
        self._begin()

    def _begin(self) -> None:
        self._folders: set[bytes] = set()
        self._others: dict[bytes, Entry] = {}
        self._marks: list[Entry] = []
        self._answer: Answer | None = None

    @property
    def expected(self) -> bytes:
        """The path of the file that is looked for, as far as it is known by now."""
        return self._answer.path if isinstance(self._answer, Elsewhere) else self._path

    def see(self, entry: Entry) -> None:
        """Take the next entry of a layer."""
        if not self.gave_up and not self._is_anchored(entry):
            self.gave_up = True
        if self.gave_up:
            return
        if entry.kind not in {Kind.WHITEOUT, Kind.OPAQUE}:
            self._content(entry)
        elif self._hides(entry):
            self._marks.append(entry)

    def end_layer(self) -> Answer | None:
        """Take note that the layer is over; the answer, if one of its entries or marks decides."""
        if self._answer is not None and not self.gave_up:
            return self._answer
        if self._marks and not self.gave_up:
            if any(self._way_to(mark) <= self._folders for mark in self._marks):
                return Missing()
            self.gave_up = True
        self._stated_above |= self._folders & self._parents
        self._is_top = False
        self._begin()
        return None

    def _hides(self, mark: Entry) -> bool:
        """Whether a mark speaks of the path, or of a folder above it."""
        if mark.kind is Kind.OPAQUE and mark.path == self._path:
            return False
        return not mark.path or self._is_on_the_way(mark.path)

    def _way_to(self, mark: Entry) -> set[bytes]:
        """The folders that must be folders for a mark to mean what it says."""
        itself = {mark.path} if mark.kind is Kind.OPAQUE and mark.path else set()
        return itself | set(_parents(mark.path))

    def _is_on_the_way(self, path: bytes) -> bool:
        return path == self._path or path in self._parents

    def _is_anchored(self, entry: Entry) -> bool:
        """Whether this layer tells where the entry is: its folder was stated, or is on the way."""
        folder = entry.path if entry.kind is Kind.OPAQUE else _parent(entry.path)
        return (
            not folder
            or folder in self._folders
            or folder in self._parents
            or (entry.kind is Kind.OPAQUE and folder == self._path)
        )

    def _content(self, entry: Entry) -> None:
        path = entry.path
        if path in self._folders and entry.kind is Kind.DIRECTORY:
            return  # said twice, it stays where it is and keeps what is in it
        if entry.kind is Kind.HARDLINK:
            entry = self._others.get(entry.link, entry)
        is_folder = entry.kind is Kind.DIRECTORY
        if path in (self._others if is_folder else self._folders):
            self.gave_up = True  # one name as two kinds: what came between is where?
        elif is_folder:
            self._folders.add(path)
        else:
            self._others[path] = entry
        if self.gave_up or not self._is_on_the_way(path):
            return
        if self._answer is not None:
            self.gave_up = True  # it was not the last word on the way
        elif path == self._path:
            self._answer = self._at_the_end(entry)
        elif not is_folder:
            self._answer = self._on_the_way(path, entry)

    def _on_the_way(self, path: bytes, entry: Entry) -> Answer | None:
        """What it means that a folder of the path is something else here."""
        if entry.kind is Kind.HARDLINK or not self._is_certain(path):
            self.gave_up = True
            return None
        # Where a layer above made a folder of it, that is a new one, without the path.
        if entry.kind is Kind.SYMLINK and path not in self._stated_above:
            return self._linked(path, entry)
        return Missing()

    def _at_the_end(self, entry: Entry) -> Answer | None:
        if entry.kind is Kind.SYMLINK and self._follow:
            return self._linked(self._path, entry)
        # A hard link whose target is in no layer so far may be to anything.
        if entry.kind is Kind.HARDLINK or not self._is_certain(self._path):
            self.gave_up = True
            return None
        return Found(entry)

    def _linked(self, path: bytes, entry: Entry) -> Answer | None:
        """Where the path goes on behind the symlink at `path`, which is on its way."""
        base = [] if entry.link.startswith(b"/") else path.split(b"/")[:-1]
        names = [name for name in entry.link.split(b"/") if name not in {b"", b"."}]
        steps_up = 0
        while names[steps_up : steps_up + 1] == [b".."]:
            steps_up += 1
        names = names[steps_up:]
        # A step up is by the real folder, and only a folder that this layer states is surely real.
        is_real = set(_parents(path)) <= self._folders
        if not self._is_certain(path) or b".." in names or (base and steps_up and not is_real):
            self.gave_up = True
            return None
        rest = self._path[len(path) + 1 :]
        way = [*base[: max(0, len(base) - steps_up)], *names, rest]
        return Elsewhere(b"/".join(filter(None, way)))

    def _is_certain(self, path: bytes) -> bool:
        """Whether nothing above this layer can be at `path` under another name."""
        return self._is_top or set(_parents(path)) <= self._folders


def _parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def _parents(path: bytes) -> Iterator[bytes]:
    while path := _parent(path):
        yield path
