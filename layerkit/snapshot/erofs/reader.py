"""The tree of an image that `image.write` has written, read as far as somebody looks at it.

A folder costs something when it is looked into, and an image of any size nothing before: what a
container changed is compared with the few folders that it changed.
"""

from __future__ import annotations

import bisect
import mmap
import stat
import struct
from typing import TYPE_CHECKING, NamedTuple

from layerkit.errors import StoreError
from layerkit.snapshot.erofs import format as fmt
from layerkit.tree import NO_XATTRS, Entry, Kind, Node, join

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from layerkit.tree import Tree

_KINDS = {mode: kind for kind, mode in fmt.MODES.items()}
_PREFIXES = {number: name for name, number in fmt.XATTR_PREFIXES.items()}
_DOTS = (b".", b"..")
_NONSENSE = (struct.error, LookupError, OverflowError, ValueError)
_HINT = "remove what is in `views` of the state directory: it is made again"


def tree(path: Path, layers: Sequence[int], owner: int) -> Tree:
    """The tree of the image at `path`, whose devices are the tars of these layers.

    All of it must lie in tars, none in chunks. Folders and what has no content get `owner` as their
    layer: the image does not say. Raises `StoreError`, now or when it is looked into.
    """
    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}") from None
    return _Image(data, layers, owner).root()


class _Facts(NamedTuple):
    """An inode: `begin` and `size` in bytes are those of a folder's names."""

    entry: Entry
    layer: int
    begin: int
    size: int


class _Image:
    def __init__(self, data: mmap.mmap, layers: Sequence[int], owner: int) -> None:
        fields = fmt.SUPERBLOCK.unpack_from(data, fmt.SUPER_AT)
        self._data = data
        self._layers = layers
        self._owner = owner
        self._root, self._inodes, self._shared = fields[5], fields[10], fields[11]
        table = fields[17] * fmt.DEVICE.size
        self._begins = [
            fmt.DEVICE.unpack_from(data, table + number * fmt.DEVICE.size)[2]
            for number in range(fields[16])
        ]
        self._nodes: dict[int, Node] = {}

    def root(self) -> Node:
        return self.node(self._root, b"", b"")

    def node(self, number: int, folder: bytes, name: bytes) -> Node:
        """The inode of this number; each is one node, whatever its names."""
        found = self._nodes.get(number)
        if found is None:
            found = self._nodes[number] = _Inode(self, number, folder, name)
        return found

    def read(self, number: int, path: bytes) -> _Facts:
        """What an inode says, with the path that it is known by."""
        try:
            return self._parse(number, path)
        except _NONSENSE as error:
            raise StoreError("damaged view: an inode makes no sense", hint=_HINT) from error

    def _parse(self, number: int, path: bytes) -> _Facts:
        at = self._inodes * fmt.BLOCK + number * fmt.SLOT
        form, units, mode, _, size, place, _, uid, gid, seconds, nanos, _ = fmt.INODE.unpack_from(
            self._data, at
        )
        kind = _KINDS[stat.S_IFMT(mode)]
        end = at + fmt.INODE.size
        xattrs, end = self._xattrs(end, units) if units else (NO_XATTRS, end)
        layer, data = self._owner, 0
        if kind is Kind.FILE and size:
            layer, data = self._in_tar(place)
        begin = end if form == fmt.inode_format(fmt.FLAT_INLINE) else place * fmt.BLOCK
        entry = Entry(
            path,
            kind,
            mode=stat.S_IMODE(mode),
            uid=uid,
            gid=gid,
            seconds=seconds,
            nanos=nanos,
            size=size if kind is Kind.FILE else 0,
            data=data,
            link=self._data[begin : begin + size] if kind is Kind.SYMLINK else b"",
            device=fmt.device_numbers(place) if kind in _DEVICES else (0, 0),
            xattrs=xattrs,
        )
        return _Facts(entry, layer, begin, size)

    def _in_tar(self, block: int) -> tuple[int, int]:
        """The layer, and where in its tar."""
        number = bisect.bisect_right(self._begins, block) - 1
        return self._layers[number], (block - self._begins[number]) * fmt.BLOCK

    def folder(self, path: bytes, begin: int, size: int) -> dict[bytes, Node]:
        """What is in a folder: its content there is blocks of records and then names."""
        numbers: dict[bytes, int] = {}
        for start in range(begin, begin + size, fmt.BLOCK):
            block = self._data[start : min(start + fmt.BLOCK, begin + size)].rstrip(b"\0")
            records = fmt.DIRENT.unpack_from(block)[1]
            found = list(fmt.DIRENT.iter_unpack(block[:records]))
            ends = [at for _, at, _ in found[1:]] + [len(block)]
            for (number, at, _), end in zip(found, ends, strict=True):
                numbers[block[at:end]] = number
        for dots in _DOTS:
            numbers.pop(dots, None)
        return {name: self.node(number, path, name) for name, number in numbers.items()}

    def _xattrs(self, at: int, units: int) -> tuple[Mapping[str, bytes], int]:
        """What stands behind an inode, and where that ends."""
        end = at + fmt.XATTR_HEADER.size + (units - 1) * fmt.XATTR_UNIT
        shared = fmt.XATTR_HEADER.unpack_from(self._data, at)[1]
        at += fmt.XATTR_HEADER.size
        found: dict[str, bytes] = {}
        for _ in range(shared):
            place = int.from_bytes(self._data[at : at + 4], "little") * fmt.XATTR_UNIT
            self._xattr(self._shared * fmt.BLOCK + place, found)
            at += 4
        while at < end:
            at = self._xattr(at, found)
        return found, end

    def _xattr(self, at: int, found: dict[str, bytes]) -> int:
        """Take one in; where the next one begins."""
        length: int
        size: int
        length, prefix, size = fmt.XATTR.unpack_from(self._data, at)
        name = at + fmt.XATTR.size
        value = name + length
        text = self._data[name:value].decode("utf-8", "surrogateescape")
        found[_PREFIXES[prefix] + text] = self._data[value : value + size]
        used = fmt.XATTR.size + length + size
        return at + used + -used % fmt.XATTR_UNIT


_DEVICES = (Kind.CHARACTER, Kind.BLOCK)


class _Inode(Node):
    """An inode that is read when somebody looks at it: a folder may have very many, and one that
    changed.
    """

    __slots__ = ("_folder", "_image", "_known", "_name", "_number", "_read")

    def __init__(self, image: _Image, number: int, folder: bytes, name: bytes) -> None:
        self._image = image
        self._number = number
        self._folder = folder
        self._name = name
        self._read: _Facts | None = None
        self._known: dict[bytes, Node] | None = None

    def _facts(self) -> _Facts:
        if self._read is None:
            self._read = self._image.read(self._number, join(self._folder, self._name))
        return self._read

    # Nobody changes a node after it was made.

    @property
    def entry(self) -> Entry:  # type: ignore[override]
        """What the inode says."""
        return self._facts().entry

    @property
    def layer(self) -> int:  # type: ignore[override]
        """The layer that a file's content is in."""
        return self._facts().layer

    @property
    def children(self) -> dict[bytes, Node] | None:  # type: ignore[override]
        """What is in a folder."""
        if self._known is None:
            facts, image = self._facts(), self._image
            if facts.entry.kind is not Kind.DIRECTORY:
                return None
            try:
                self._known = image.folder(facts.entry.path, facts.begin, facts.size)
            except _NONSENSE as error:
                raise StoreError("damaged view: a folder makes no sense", hint=_HINT) from error
        return self._known
