"""What layers show, worked out slowly and plainly: the yardstick for layerkit's merge.

All is one dict from path to record. A layer is applied in two passes, as image-spec layer.md has
it: first its marks remove what the layers below put there, then its entries are added one by one.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from layerkit.tree import Entry, Kind
from support.listing import attributes_of, content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.trees import Attributes, Scan

_MARKS = (Kind.WHITEOUT, Kind.OPAQUE)
_MOST_LINKS = 40


class Refused(Exception):  # noqa: N818  the model has no other
    """The layer cannot be applied; `entry` is the one that cannot."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry)
        self.entry = entry


class _Loop(Exception):  # noqa: N818
    """A path that symlinks lead round and round."""


@dataclass(eq=False, slots=True)
class Record:
    """One inode; `layer` is the layer whose archive has its content."""

    entry: Entry
    layer: int


class Model:
    """A file system that layers are applied to."""

    def __init__(self) -> None:
        self.records = {b"": Record(Entry(b"", Kind.DIRECTORY, 0o755), -1)}
        self.layers = 0

    def copy(self) -> Model:
        """The same file system once more, to try something on."""
        return copy.deepcopy(self)

    def apply(self, layer: Sequence[Entry]) -> None:
        """Put one more layer on top; raises `Refused`, and is of no use any more then."""
        entries = [entry for entry in layer if entry.kind not in _MARKS]
        self._hide([entry for entry in layer if entry.kind in _MARKS], entries)
        for entry in entries:
            try:
                self._add(entry)
            except _Loop:
                raise Refused(entry) from None
        self.layers += 1

    def scan(self, tars: Sequence[bytes]) -> Scan:
        """What a directory with all this looks like; the content of layer n lies in `tars[n]`."""
        return {path: self._attributes(path, tars) for path in self.records}

    # -- first pass -----------------------------------------------------------------------------

    def _hide(self, marks: list[Entry], entries: list[Entry]) -> None:
        own = {entry.path for entry in entries}
        own |= {mark.path for mark in marks if mark.kind is Kind.WHITEOUT}
        hidden: set[bytes] = set()
        for mark in marks:
            inside = mark.kind is Kind.OPAQUE
            folder = mark.path if inside else _parent(mark.path)
            real = self._folder_of_mark(folder, own)
            if real is not None:
                hidden |= self._names(real) if inside else {_join(real, _name(mark.path))}
        for path in hidden:
            self._remove(path)

    def _folder_of_mark(self, written: bytes, own: set[bytes]) -> bytes | None:
        """Where the folder of a mark really is; None where none is."""
        so_far = b""
        for name in _names(written):
            so_far = _join(so_far, name)
            if so_far in own and self._kind_without_following(so_far) is Kind.SYMLINK:
                return None  # the layer itself has done with this symlink
        try:
            real = self._real(written)
        except _Loop:
            return None
        return real if self._is_folder(real) else None

    def _kind_without_following(self, written: bytes) -> Kind | None:
        try:
            path = _join(self._real(_parent(written)), _name(written))
        except _Loop:
            return None
        record = self.records.get(path)
        return record.entry.kind if record else None

    # -- second pass ----------------------------------------------------------------------------

    def _add(self, entry: Entry) -> None:
        if entry.path == b"":
            self.records[b""].entry = entry
            return
        folder = self._real(_parent(entry.path))
        self._make_folder(folder)
        path = _join(folder, _name(entry.path))
        if entry.kind is Kind.HARDLINK:
            self._link(path, entry)
        elif entry.kind is Kind.DIRECTORY and self._is_folder(path):
            self.records[path] = Record(entry, self.layers)
        else:
            self._remove(path)
            self.records[path] = Record(entry, self.layers)

    def _link(self, path: bytes, entry: Entry) -> None:
        try:
            target = _join(self._real(_parent(entry.link)), _name(entry.link))
        except _Loop:
            raise Refused(entry) from None
        record = self.records.get(target)
        if record is None or target == b"" or record.entry.kind is Kind.DIRECTORY:
            raise Refused(entry)
        if record.layer == self.layers:
            fields = {name: getattr(record.entry, name) for name in Entry.__struct_fields__}
            for name in ("mode", "uid", "gid", "seconds", "nanos"):
                fields[name] = getattr(entry, name)
            record.entry = Entry(**fields)
        if path != target:
            self._remove(path)
        self.records[path] = record

    def _make_folder(self, path: bytes) -> None:
        so_far = b""
        for name in _names(path):
            so_far = _join(so_far, name)
            if not self._is_folder(so_far):
                self._remove(so_far)
                self.records[so_far] = Record(Entry(b"", Kind.DIRECTORY, 0o755), self.layers)

    # -- the file system ------------------------------------------------------------------------

    def _real(self, path: bytes) -> bytes:
        """`path` with every symlink on it followed, never above the root."""
        done, todo, followed = b"", _names(path), 0
        while todo:
            name = todo.pop(0)
            if name == b"..":
                done = _parent(done)
                continue
            here = self.records.get(_join(done, name))
            if here is None or here.entry.kind is not Kind.SYMLINK:
                done = _join(done, name)
                continue
            followed += 1
            if followed > _MOST_LINKS:
                raise _Loop
            if here.entry.link[:1] == b"/":
                done = b""
            todo = _names(here.entry.link) + todo
        return done

    def _is_folder(self, path: bytes) -> bool:
        record = self.records.get(path)
        return record is not None and record.entry.kind is Kind.DIRECTORY

    def _names(self, folder: bytes) -> set[bytes]:
        return {path for path in self.records if path and _parent(path) == folder}

    def _remove(self, path: bytes) -> None:
        """Remove `path` and what is below, if it is here."""
        for each in [each for each in self.records if (each + b"/").startswith(path + b"/")]:
            del self.records[each]

    def _attributes(self, path: bytes, tars: Sequence[bytes]) -> Attributes:
        record = self.records[path]
        data = b""
        if record.entry.kind is Kind.FILE:
            data = content(tars[record.layer], record.entry)
        attributes = attributes_of(record.entry, data)
        names = frozenset(each for each, other in self.records.items() if other is record)
        if len(names) == 1 or record.entry.kind is Kind.DIRECTORY:
            return attributes
        return replace(attributes, links=names)


def _names(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name not in {b"", b"."}]


def _parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
