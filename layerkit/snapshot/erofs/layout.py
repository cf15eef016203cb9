"""Where everything of an image lies, worked out before a byte is written.

boot block, superblock, device table │ inodes, each with xattrs, short links and chunk tables │
shared xattrs │ directories, long links │ copied content ║ the tars, in the same address space
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.errors import StoreError
from layerkit.snapshot.erofs import content, directories
from layerkit.snapshot.erofs import format as fmt
from layerkit.snapshot.erofs.xattrs import Xattrs
from layerkit.tree import Kind, inside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layerkit.snapshot.erofs.content import Chunks
    from layerkit.tree import Node, Tree

TABLE_SLOT = (fmt.SUPER_AT + fmt.SUPERBLOCK.size) // fmt.DEVICE.size
_FIRST_INODE = 64  # bytes, so that none has the number 0
_ROOT = 0


class Layout:
    """An image of a tree, in columns: inodes are counted from 0, the root's, folder by folder.

    `nodes`, `links` (how many names) and `places` (bytes from the first inode) have one item for
    each; what only some have is by the inode's number: `behind` the xattrs, `inline` a link, `plain`
    the block of what directories and long links hold, `chunks` a sparse file's, `copied` the block of
    content that cannot stay in its tar. `areas` are the first blocks of inodes, shared xattrs, plain
    content and copies; `blocks` are all of the image, and `tars` the first block of each layer's tar
    behind them, for those layers that files need.

    `tar_sizes` are in bytes; `lose` is told inode and name of what EROFS cannot hold. Raises
    `StoreError` for more than it can address.
    """

    def __init__(
        self, tree: Tree, tar_sizes: Sequence[int], lose: Callable[[Node, str], None]
    ) -> None:
        self.nodes: list[Node] = [tree]
        self.links = [2]
        self._parents = [_ROOT]
        self._numbers = {id(tree): _ROOT}
        self._collect()

        self.xattrs = Xattrs(node.entry.xattrs for node in self.nodes)
        self.behind: dict[int, bytes] = {}
        self.inline: dict[int, bytes] = {}
        self.chunks: dict[int, Chunks] = {}
        self.places: list[int] = []
        self.size = self._place(tar_sizes, lose)

        self.plain: dict[int, int] = {}
        self.plain_content: list[bytes] = []
        self.copied: dict[int, int] = {}
        self._is_copied = self._find_copied(tar_sizes)
        self.tars: dict[int, int] = dict.fromkeys(self._layers(), 0)
        self.areas = self._areas()
        self.blocks = self.areas[3]
        self._add_copies()
        self._add_tars(tar_sizes)

    # -- inodes ---------------------------------------------------------------------------------

    def _collect(self) -> None:
        nodes, links, numbers = self.nodes, self.links, self._numbers
        for number, folder in enumerate(nodes):  # which grows meanwhile
            for node in inside(folder).values():
                is_folder = node.children is not None
                at = numbers.setdefault(id(node), len(nodes))
                if at == len(nodes):
                    nodes.append(node)
                    links.append(2 if is_folder else 1)
                    self._parents.append(number)
                else:
                    links[at] += 1
                links[number] += is_folder

    def _place(self, tar_sizes: Sequence[int], lose: Callable[[Node, str], None]) -> int:
        """Give each inode its place; the size of all of them, in whole blocks."""
        at = _FIRST_INODE
        for number, node in enumerate(self.nodes):
            entry = node.entry
            size = fmt.INODE.size
            if entry.xattrs:
                behind, lost = self.xattrs.behind(entry.xattrs)
                self.behind[number] = behind
                size += len(behind)
                for name in lost:
                    lose(node, name)
            if entry.kind is Kind.SYMLINK and size + len(entry.link) <= fmt.BLOCK:
                self.inline[number] = entry.link
                size += len(entry.link)
                if at % fmt.BLOCK + size > fmt.BLOCK:
                    at += -at % fmt.BLOCK  # the link has to be in the block where it begins
            elif entry.extents is not None and entry.size:
                chunks = self.chunks[number] = content.chunks(entry, tar_sizes[node.layer])
                size += 4 * chunks.count
            self.places.append(at)
            at += size + -size % fmt.INODE.size
        return at + -at % fmt.BLOCK

    def _name(self, name: bytes, number: int) -> directories.Name:
        kind = fmt.TYPES[self.nodes[number].entry.kind]
        return name, self.places[number] // fmt.SLOT, kind

    def _directory(self, number: int) -> bytes:
        numbers = self._numbers
        names = [
            self._name(name, numbers[id(node)]) for name, node in inside(self.nodes[number]).items()
        ]
        names += (self._name(b".", number), self._name(b"..", self._parents[number]))
        return directories.content(names)

    # -- blocks ---------------------------------------------------------------------------------

    def _find_copied(self, tar_sizes: Sequence[int]) -> set[int]:
        """The files whose content cannot stay in their tar."""
        return {
            number
            for number, node in enumerate(self.nodes)
            if node.entry.kind is Kind.FILE
            and node.entry.size
            and not (
                self.chunks[number].is_aligned()
                if number in self.chunks
                else content.fits(node.entry, tar_sizes[node.layer])
            )
        }

    def _layers(self) -> list[int]:
        """The layers whose tars hold content, in order."""
        return sorted(
            {
                node.layer
                for number, node in enumerate(self.nodes)
                if node.entry.kind is Kind.FILE
                and node.entry.size
                and number not in self._is_copied
            }
        )

    def _areas(self) -> tuple[int, int, int, int]:
        inodes = fmt.blocks((TABLE_SLOT + len(self.tars)) * fmt.DEVICE.size)
        shared = inodes + fmt.blocks(self.size)
        plain = shared + fmt.blocks(len(self.xattrs.shared))
        at = plain
        for number, node in enumerate(self.nodes):
            if node.children is not None:
                data = self._directory(number)
            elif node.entry.kind is Kind.SYMLINK and number not in self.inline:
                data = node.entry.link
            else:
                continue
            self.plain[number] = at
            self.plain_content.append(data)
            at += fmt.blocks(len(data))
        return inodes, shared, plain, at

    def _add_copies(self) -> None:
        for number in sorted(self._is_copied):
            self.copied[number] = self.blocks
            if number in self.chunks:
                chunks = self.chunks[number]
                self.blocks += len(chunks.touched()) << chunks.bits
            else:
                self.blocks += fmt.blocks(self.nodes[number].entry.size)

    def _add_tars(self, tar_sizes: Sequence[int]) -> None:
        at = self.blocks
        for layer in self.tars:
            self.tars[layer] = at
            at += fmt.blocks(tar_sizes[layer])
        if at > fmt.BLOCK_LIMIT:
            raise StoreError(
                f"cannot make an EROFS image of {at * fmt.BLOCK} bytes: "
                f"at most {fmt.BLOCK_LIMIT * fmt.BLOCK} can be addressed",
                hint="use --driver overlay",
            )
