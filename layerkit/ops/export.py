"""Export: the root file system of a container as one plain tar."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from layerkit.errors import NotFoundError
from layerkit.events import Notice, ignore
from layerkit.layer import writer
from layerkit.layer.names import show
from layerkit.ops.containers import find_container
from layerkit.ops.inside import Finding, LocalContainer
from layerkit.tree import Kind, empty, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.events import Observer
    from layerkit.ops.home import Home
    from layerkit.tree import Entry, Node

_ZEROS = bytes(1 << 20)


def export(home: Home, text: str, observe: Observer = ignore) -> Iterator[bytes]:
    """The pieces of a tar with all that a container shows, its own mounts left out, as docker.

    The same tree gives the same bytes. A running container is read as it is at the moment: what
    vanishes is left out, a file that changes its size is cut or filled with zeros to the size it
    had, and `observe` is told. Raises `NotFoundError`, now or later `StoreError`, `IntegrityError`.
    """
    container = find_container(home, text)
    return _Exporter(LocalContainer(home, container, container.name), observe).pieces()


class _Exporter:
    def __init__(self, container: LocalContainer, observe: Observer) -> None:
        self._container = container
        self._observe = observe
        self._first_names: dict[int, bytes] = {}

    def pieces(self) -> Iterator[bytes]:
        try:
            tree = self._container.tree()
            if tree.entry != empty().entry:  # else it says nothing
                yield from self._node(b"", tree)
            for path, node in walk(tree):
                yield from self._node(path, node)
            yield writer.END
        finally:
            self._container.close()

    def _node(self, path: bytes, node: Node) -> Iterator[bytes]:
        first = self._first_names.get(id(node))
        if first is not None:
            yield writer.header(_link(node.entry, path, first))
            return
        entry = writer.writable(msgspec.structs.replace(node.entry, path=path), self._warn)
        if entry is None:
            return
        if entry.kind is Kind.FILE:
            yield from self._file(entry, node)
            return
        if entry.kind is not Kind.DIRECTORY:
            self._first_names[id(node)] = path
        yield writer.header(entry)

    def _file(self, entry: Entry, node: Node) -> Iterator[bytes]:
        content = self._container.content(Finding(entry.path, node))
        try:
            first = next(content, b"")  # opens it: without content there must be no header
        except NotFoundError:
            self._warn(f"left out '{show(entry.path)}': it was removed meanwhile")
            return
        self._first_names[id(node)] = entry.path
        yield writer.header(entry)
        yield from self._fitted(entry, itertools.chain((first,), content))
        yield writer.padding(entry.size)

    def _fitted(self, entry: Entry, content: Iterator[bytes]) -> Iterator[bytes]:
        """Exactly as many bytes as the header says, whatever the file has by now."""
        missing = entry.size
        for piece in content:
            if len(piece) > missing:
                yield piece[:missing]
                self._warn(f"cut '{show(entry.path)}' after {entry.size} bytes: it grew meanwhile")
                return
            yield piece
            missing -= len(piece)
        if missing:
            self._warn(f"filled '{show(entry.path)}' with {missing} zeros: it shrank meanwhile")
        while missing:
            yield _ZEROS[:missing]
            missing -= min(missing, len(_ZEROS))

    def _warn(self, text: str) -> None:
        self._observe(Notice("warning", text))


def _link(entry: Entry, path: bytes, first: bytes) -> Entry:
    return msgspec.structs.replace(
        entry, path=path, kind=Kind.HARDLINK, link=first, size=0, device=(0, 0), xattrs={}
    )
