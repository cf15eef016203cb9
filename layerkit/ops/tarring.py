"""Nodes of a tree, and names to hide, become a tar, piece by piece: the end of `export` and `commit`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from layerkit.errors import NotFoundError
from layerkit.events import Notice
from layerkit.layer import writer
from layerkit.layer.names import show
from layerkit.ops.inside import Finding
from layerkit.tree import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from layerkit.events import Observer
    from layerkit.layer.changeset import Item
    from layerkit.tree import Node

_ZEROS = bytes(1 << 20)


class Tarring:
    """Writes what it is given in that order; each further name of a file is a hard link.

    `content` gives the bytes of a file; what vanishes is left out, a file that changes its size is
    cut or filled with zeros to the size it had, and `observe` is told. `shown` is what to write of
    an entry, where that is not all of it.
    """

    def __init__(
        self,
        content: Callable[[Finding], Iterator[bytes]],
        observe: Observer,
        shown: Callable[[Entry], Entry] | None = None,
    ) -> None:
        self._content = content
        self._observe = observe
        self._shown = shown or _same
        self._first_names: dict[int, bytes] = {}

    def pieces(self, items: Iterable[Item]) -> Iterator[bytes]:
        """The whole archive; without a node, a path is hidden by a whiteout."""
        for path, node in items:
            if node is None:
                yield writer.header(Entry(path, Kind.WHITEOUT))
            else:
                yield from self._node(path, node)
        yield writer.END

    def _node(self, path: bytes, node: Node) -> Iterator[bytes]:
        first = self._first_names.get(id(node))
        if first is not None:
            yield writer.header(_link(self._entry(path, node), first))
            return
        entry = writer.writable(self._entry(path, node), self._warn)
        if entry is None:
            return
        if entry.kind is Kind.FILE:
            yield from self._file(entry, node)
            return
        if entry.kind is not Kind.DIRECTORY:
            self._first_names[id(node)] = path
        yield writer.header(entry)

    def _entry(self, path: bytes, node: Node) -> Entry:
        return self._shown(msgspec.structs.replace(node.entry, path=path))

    def _file(self, entry: Entry, node: Node) -> Iterator[bytes]:
        content = self._content(Finding(entry.path, node))
        try:
            first = next(content, b"")  # opens it: without content there must be no header
        except NotFoundError:
            self._warn(f"left out '{show(entry.path)}': it was removed meanwhile")
            return
        self._first_names[id(node)] = entry.path
        yield writer.header(entry)
        yield from fitted(entry, itertools.chain((first,), content), self._warn)
        yield writer.padding(entry.size)

    def _warn(self, text: str) -> None:
        self._observe(Notice("warning", text))


def fitted(entry: Entry, content: Iterator[bytes], warn: Callable[[str], None]) -> Iterator[bytes]:
    """Exactly as many bytes as the header says, whatever the file has by now."""
    missing = entry.size
    for piece in content:
        if len(piece) > missing:
            yield piece[:missing]
            warn(f"cut '{show(entry.path)}' after {entry.size} bytes: it grew meanwhile")
            return
        yield piece
        missing -= len(piece)
    if missing:
        warn(f"filled '{show(entry.path)}' with {missing} zeros: it shrank meanwhile")
    while missing:
        yield _ZEROS[:missing]
        missing -= min(missing, len(_ZEROS))


def _same(entry: Entry) -> Entry:
    return entry


def _link(entry: Entry, first: bytes) -> Entry:
    return msgspec.structs.replace(
        entry, kind=Kind.HARDLINK, link=first, size=0, device=(0, 0), xattrs={}
    )
