"""Trees as scans, so that they compare as directories do, and a notation to write a wanted one.

    / 0711 5:6 @777     the root, where it is not 0755 of root dated 1970
    d/                  a directory, 0755 of root
    d/a = text          a file and its content, 0644 of root
    h == d/a            another name of that file
    s -> ../d           a symlink
    p |                 a fifo
    c c 1:3             a character device (b for a block device)

Behind each may stand a mode (`0711`), an owner (`7:8`), a time in seconds (`@5`) and xattrs
(`user.k=v`); names and content with blanks are quoted as in a shell.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from layerkit.layer import archive, merge
from layerkit.tree import Kind, walk
from support.tars import MTIME, encoded
from support.trees import Attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from layerkit.tree import Entry, Node, Tree
    from support.trees import Scan

_SECOND = 10**9
_KINDS = {
    Kind.FILE: "file",
    Kind.DIRECTORY: "directory",
    Kind.SYMLINK: "symlink",
    Kind.CHARACTER: "character device",
    Kind.BLOCK: "block device",
    Kind.FIFO: "fifo",
}
_ROOT = Attributes("directory", 0o755, 0, 0, 0)


def wanted(text: str) -> Scan:
    """The scan that the notation above describes."""
    found: Scan = {b"": _ROOT}
    names: dict[bytes, set[bytes]] = defaultdict(set)
    for line in filter(None, map(str.strip, text.splitlines())):
        path, *words = shlex.split(line)
        if words[:1] == ["=="]:
            names[encoded(words[1])].add(encoded(path))
        else:
            found[encoded(path.strip("/"))] = _parse(path, words)
    for first, others in names.items():
        links = frozenset({first, *others})
        for path in links:
            found[path] = replace(found[first], links=links)
    return found


def _parse(path: str, words: list[str]) -> Attributes:
    plain = Attributes("", 0o644, 0, 0, MTIME * _SECOND)
    if path == "/":
        return _with(_ROOT, words)
    if path.endswith("/"):
        return _with(replace(plain, kind="directory", mode=0o755), words)
    match words:
        case ["=", content, *more]:
            data = encoded(content)
            digest = hashlib.sha256(data).hexdigest()
            return _with(replace(plain, kind="file", size=len(data), sha256=digest), more)
        case ["->", target, *more]:
            return _with(replace(plain, kind="symlink", mode=0o777, target=encoded(target)), more)
        case ["|", *more]:
            return _with(replace(plain, kind="fifo"), more)
        case ["c" | "b" as letter, numbers, *more]:
            kind = {"c": "character device", "b": "block device"}[letter]
            major, minor = map(int, numbers.split(":"))
            return _with(replace(plain, kind=kind, device=(major, minor)), more)
    raise ValueError(f"not in the notation: {path} {words}")


def _with(attributes: Attributes, words: list[str]) -> Attributes:
    for word in words:
        if re.fullmatch("0[0-7]+", word):
            attributes = replace(attributes, mode=int(word, 8))
        elif word.startswith("@"):
            attributes = replace(attributes, mtime=int(Decimal(word[1:]) * _SECOND))
        elif "=" in word:
            name, _, value = word.partition("=")
            xattrs = sorted((*attributes.xattrs, (name, encoded(value))))
            attributes = replace(attributes, xattrs=tuple(xattrs))
        else:
            uid, gid = map(int, word.split(":"))
            attributes = replace(attributes, uid=uid, gid=gid)
    return attributes


def read_at(tar: bytes) -> Callable[[int, int], bytes]:
    """What the reader of archives asks for, from bytes in memory."""
    return lambda offset, size: tar[offset : offset + size]


def entries_of(tar: bytes, warn: Callable[[str], None] = lambda _: None) -> list[Entry]:
    """The entries of an archive in memory."""
    return list(archive.read(read_at(tar), warn))


def merged(layers: Sequence[bytes]) -> Tree:
    """The tree that these archives show, lowest first."""
    return merge.merge(map(entries_of, layers))


def content(tar: bytes, entry: Entry) -> bytes:
    """The bytes of a file, its holes filled with zeros."""
    if entry.extents is None:
        return tar[entry.data : entry.data + entry.size]
    data = bytearray(entry.size)
    position = entry.data
    for extent in entry.extents:
        data[extent.offset : extent.offset + extent.size] = tar[position : position + extent.size]
        position += extent.size
    return bytes(data)


def scan_of(tree: Tree, tars: Sequence[bytes]) -> Scan:
    """The scan of a directory that shows `tree`, whose files lie in `tars`."""
    names: dict[int, set[bytes]] = defaultdict(set)
    for path, node in walk(tree):
        if node.children is None:
            names[id(node)].add(path)
    return dict(_scanned(tree, tars, names))


def _scanned(
    tree: Tree, tars: Sequence[bytes], names: Mapping[int, set[bytes]]
) -> Iterator[tuple[bytes, Attributes]]:
    yield b"", attributes_of(tree.entry, b"")
    for path, node in walk(tree):
        group = names.get(id(node), set())
        links = frozenset(group) if len(group) > 1 else frozenset()
        yield path, replace(attributes_of(node.entry, _data(node, tars)), links=links)


def _data(node: Node, tars: Sequence[bytes]) -> bytes:
    return content(tars[node.layer], node.entry) if node.kind is Kind.FILE else b""


def attributes_of(entry: Entry, data: bytes) -> Attributes:
    """What a scan shows of an entry with this content."""
    is_file = entry.kind is Kind.FILE
    return Attributes(
        kind=_KINDS[entry.kind],
        mode=0o777 if entry.kind is Kind.SYMLINK else entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        mtime=entry.mtime,
        size=entry.size if is_file else 0,
        sha256=hashlib.sha256(data).hexdigest() if is_file else "",
        target=entry.link if entry.kind is Kind.SYMLINK else b"",
        device=entry.device,
        xattrs=tuple(sorted(entry.xattrs.items())),
    )
