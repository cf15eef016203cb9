"""An EROFS image of a tree, written as it was laid out.

Nothing depends on the time or the place: the same tree over the same tars gives the same bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.snapshot import fill
from layerkit.snapshot.erofs import content
from layerkit.snapshot.erofs import format as fmt
from layerkit.snapshot.erofs.layout import TABLE_SLOT, Layout
from layerkit.snapshot.erofs.xattrs import Xattrs
from layerkit.snapshot.skipped import Skipped
from layerkit.tree import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layerkit.tree import Node, Tree

_LINK_MODE = 0o777


@dataclass(frozen=True, slots=True)
class Written:
    """The layers whose tars are the image's devices, in this order, what it could not hold, and
    whether no content had to be copied or cut into chunks.
    """

    layers: tuple[int, ...]
    skipped: Skipped
    is_plain: bool


def write(
    file: int, tree: Tree, tar_sizes: Sequence[int], tar_of: Callable[[int], int], uuid: bytes
) -> Written:
    """Write the image of `tree` to the empty `file`.

    `tar_sizes` are in bytes, `tar_of` gives the descriptor of a layer's tar by its number, `uuid`
    is 16 bytes. Raises `StoreError` for more than EROFS can address, `OSError`, and
    `IntegrityError` for a tar that is too short.
    """
    skipped = Skipped()

    def lose(node: Node, name: str) -> None:
        skipped.lose("xattr", f"{name[:100]} of", node.entry.path)

    layout = Layout(tree, tar_sizes, lose)
    inodes, shared, plain, _ = layout.areas
    _write(file, 0, _head(layout, tar_sizes, uuid))
    _write(file, inodes, _inodes(layout))
    _write(file, shared, layout.xattrs.shared)
    _write(file, plain, b"".join(_padded(data) for data in layout.plain_content))
    os.ftruncate(file, layout.blocks * fmt.BLOCK)
    _copy(file, layout, tar_of)
    is_plain = not layout.chunks and not layout.copied
    return Written(tuple(layout.tars), skipped, is_plain)


def _write(file: int, block: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    at = block * fmt.BLOCK
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % fmt.BLOCK)


def _copy(file: int, layout: Layout, tar_of: Callable[[int], int]) -> None:
    """Copy the content that cannot stay in its tar."""
    for number, block in layout.copied.items():
        node = layout.nodes[number]
        chunks = layout.chunks.get(number)
        for run in content.runs(node.entry) if chunks is None else chunks.copies():
            os.lseek(file, block * fmt.BLOCK + run.offset, os.SEEK_SET)
            fill.copy(tar_of(node.layer), run.source, file, run.size)


def _head(layout: Layout, tar_sizes: Sequence[int], uuid: bytes) -> bytes:
    """The boot block, which is empty, the superblock and the table of devices."""
    inodes, shared, _, _ = layout.areas
    superblock = fmt.SUPERBLOCK.pack(
        fmt.MAGIC,
        0,
        fmt.COMPAT_MTIME,
        fmt.BLOCK_BITS,
        0,
        layout.places[0] // fmt.SLOT,
        len(layout.nodes),
        0,
        0,
        layout.blocks,
        inodes,
        shared,
        uuid,
        b"",
        (fmt.INCOMPAT_CHUNKED_FILE if layout.chunks else 0)
        | (fmt.INCOMPAT_DEVICE_TABLE if layout.tars else 0),
        0,
        len(layout.tars),
        TABLE_SLOT,
        0,
        0,
        0,
        0,
        0,
    )
    devices = (
        fmt.DEVICE.pack(b"", fmt.blocks(tar_sizes[layer]), begin)
        for layer, begin in layout.tars.items()
    )
    return b"".join((bytes(fmt.SUPER_AT), superblock, *devices))


def _inodes(layout: Layout) -> bytearray:
    """The area of inodes."""
    area = bytearray(layout.size)
    plain_size = {
        number: len(data) for number, data in zip(layout.plain, layout.plain_content, strict=True)
    }
    pack = fmt.INODE.pack_into
    for number, node in enumerate(layout.nodes):
        entry, at = node.entry, layout.places[number]
        behind = layout.behind.get(number, b"")
        form, place, tail = _data(layout, number, node)
        pack(
            area,
            at,
            fmt.inode_format(form),
            Xattrs.units(behind),
            fmt.MODES[entry.kind] | (_LINK_MODE if entry.kind is Kind.SYMLINK else entry.mode),
            0,
            plain_size.get(number) or len(layout.inline.get(number, b"")) or entry.size,
            place,
            number + 1,
            entry.uid,
            entry.gid,
            entry.seconds,
            entry.nanos,
            layout.links[number],
        )
        end = at + fmt.INODE.size
        area[end : end + len(behind)] = behind
        end += len(behind)
        area[end : end + len(tail)] = tail
    return area


def _data(layout: Layout, number: int, node: Node) -> tuple[int, int, bytes]:
    """How an inode's data is laid out, where it is, and what of it stands behind the record."""
    entry = node.entry
    if entry.kind is Kind.FILE and entry.size:
        return _file_data(layout, number, node)
    if number in layout.inline:
        return fmt.FLAT_INLINE, 0, layout.inline[number]
    if entry.kind in (Kind.CHARACTER, Kind.BLOCK):
        return fmt.FLAT_PLAIN, fmt.device_number(*entry.device), b""
    return fmt.FLAT_PLAIN, layout.plain.get(number, 0), b""


def _file_data(layout: Layout, number: int, node: Node) -> tuple[int, int, bytes]:
    copied, chunks = layout.copied.get(number), layout.chunks.get(number)
    if chunks is None:
        in_tar = node.entry.data >> fmt.BLOCK_BITS
        return fmt.FLAT_PLAIN, layout.tars[node.layer] + in_tar if copied is None else copied, b""
    table = chunks.in_tar(layout.tars[node.layer]) if copied is None else chunks.copied(copied)
    return fmt.CHUNK_BASED, chunks.bits, b"".join(block.to_bytes(4, "little") for block in table)
