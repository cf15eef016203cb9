"""Directories: blocks of entries, sorted by name through all of them, each with its names behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.snapshot.erofs.format import BLOCK, DIRENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    Name: TypeAlias = tuple[bytes, int, int]


def content(names: Iterable[Name]) -> bytes:
    """The content of a directory with these names, each with the number and type of its inode.

    All blocks but the last are filled up: names never go on in the next one.
    """
    done: list[bytes] = []
    batch: list[Name] = []
    used = 0
    for entry in sorted(names):
        size = DIRENT.size + len(entry[0])
        if used + size > BLOCK:
            done.append(_block(batch).ljust(BLOCK, b"\0"))
            batch, used = [], 0
        batch.append(entry)
        used += size
    done.append(_block(batch))
    return b"".join(done)


def _block(batch: Sequence[Name]) -> bytes:
    at = DIRENT.size * len(batch)
    records = []
    for name, number, kind in batch:
        records.append(DIRENT.pack(number, at, kind))
        at += len(name)
    return b"".join((*records, *(name for name, _, _ in batch)))
