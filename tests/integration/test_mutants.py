"""Damaged and hostile blobs on the whole way: inflated, read, merged on a good layer, unpacked."""

from __future__ import annotations

import gzip
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tars
from support.listing import entries_of, read_at
from support.mutants import EDITS, MUTANTS, SEEDS, edited

from layerkit.errors import IntegrityError, StoreError
from layerkit.layer import archive, compression, merge
from layerkit.snapshot import delta, disk, fill
from layerkit.store.files import remove_tree

PIECE_LIMIT = (64 << 20) + (128 << 10)
"""The most output that is in memory at once (see `test_compression`)."""
SIZE_LIMIT = 4 << 20
"""Of what a mutant inflates to, as much is looked at; no seed has more."""
BASE = tars.archive(
    tars.directory("d/"), tars.file("d/f", "f"), tars.symlink("s", "../sentinel"), tars.file("a")
)
PACKED = [
    pack(seed)
    for seed in SEEDS
    for pack in (lambda tar: gzip.compress(tar, mtime=0), zstandard.compress)
]


@st.composite
def packed(draw):
    """A compressed archive, edited as such."""
    blob = draw(st.sampled_from(PACKED))
    for edit in draw(st.lists(EDITS, min_size=1, max_size=3)):
        blob = edited(blob, edit)
    return blob


BLOBS = st.one_of(
    MUTANTS, MUTANTS, MUTANTS, MUTANTS.map(gzip.compress), MUTANTS.map(zstandard.compress), packed()
)


@contextmanager
def sentinel(folder: Path):
    """Something beside the root; afterwards it is as it was, and nothing else is there."""
    victim = folder / "sentinel"
    victim.mkdir()
    for name in ("a", "f", "victim"):
        (victim / name).write_text("untouched")
    before = _seen(folder)
    yield
    assert _seen(folder) == before


def _seen(folder: Path):
    found = [folder / "sentinel", *sorted((folder / "sentinel").iterdir())]
    stats = [os.lstat(path) for path in found]
    kept = [
        (s.st_ino, s.st_mode, s.st_nlink, s.st_uid, s.st_mtime_ns, s.st_ctime_ns) for s in stats
    ]
    texts = [path.read_text() for path in found[1:]]
    return kept, texts, sorted(name for name in os.listdir(folder) if name != "root")


def inflated(blob: bytes) -> bytes:
    """The bytes of a layer, as many as are looked at; each piece is one that memory has room for."""
    tar = bytearray()
    for piece in compression.inflate([blob]):
        assert len(piece) <= PIECE_LIMIT
        tar += piece
        if len(tar) > SIZE_LIMIT:
            break
    return bytes(tar[:SIZE_LIMIT])


def tree_of(tar: bytes):
    """The tree of the base and this layer; an entry costs the archive a block at least."""
    entries = list(archive.read(read_at(tar), str))
    assert len(entries) <= len(tar) // tars.BLOCK
    assert sum(len(entry.extents or ()) for entry in entries) <= len(tar)
    return merge.merge([entries_of(BASE), entries])


def unpack(tree, tar: bytes, folder: Path) -> None:
    """Write the tree into `folder`, the layers' bytes coming from files as in the store."""
    handles = [os.memfd_create("layer") for _ in range(2)]
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for handle, data in zip(handles, (BASE, tar), strict=True):
            os.write(handle, data)
        disk.write(root, delta.flat(tree), fill.from_tars(handles.__getitem__))
    finally:
        for handle in (root, *handles):
            os.close(handle)


@pytest.mark.timeout(3600)
@settings(max_examples=4 * settings().max_examples)
@given(BLOBS)
def test_a_mutant_is_refused_or_stays_inside(blob):
    """TF-43: bad bytes are an `IntegrityError`, or a tree of which nothing gets beside its root.

    What a file system has no room for (a sparse file of exabytes) is a `StoreError`.
    """
    with tempfile.TemporaryDirectory() as name, sentinel(Path(name)):
        folder = Path(name) / "root"
        folder.mkdir()
        try:
            tar = inflated(blob)
            tree = tree_of(tar)
        except IntegrityError:
            return
        try:
            unpack(tree, tar, folder)
        except StoreError as error:
            assert "file too large" in str(error)  # noqa: PT017  most mutants raise nothing
        finally:
            remove_tree(folder, Path(name))
