"""What lies in the folder `ingest`, by its names: what is on its way in, and what was left there.

`SHA-HEX/` is a download, `layer-HEX/` a layer being unpacked; whoever works on one holds the lock
in it. `put-…` (a small file before its name), `gone-…` (what is being removed) and `tree-…` (a
directory of a view before its name) have no lock: a process that is at one changes it all the time.
A name that nothing here makes is not looked at.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.digest import BlobDigest, Digest
from layerkit.store import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DOWNLOAD = re.compile(r"(sha256)-([0-9a-f]{64})|(sha512)-([0-9a-f]{128})", re.ASCII)
_LAYER = re.compile(r"layer-(?:[0-9a-f]{64}|[0-9a-f]{128})", re.ASCII)
_SCRATCH = re.compile(r"(?:put|gone|tree)-[0-9a-f]{16}(?:-[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Incoming:
    """One thing in `ingest`; `download` is the digest of the blob, if it is a download."""

    path: Path
    download: BlobDigest | None
    has_lock: bool

    @property
    def held(self) -> bool:
        """Whether somebody holds its lock at this moment."""
        return self.has_lock and files.is_locked(self.path / "lock")


def listing(ingest: Path) -> list[Incoming]:
    """What there is, in the order of names; raises `StoreError`."""
    with files.guarded("read"):
        return list(_known(ingest))


def _known(ingest: Path) -> Iterator[Incoming]:
    with os.scandir(ingest) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        download = _DOWNLOAD.fullmatch(entry.name)
        if download or _LAYER.fullmatch(entry.name):
            # A link to a folder elsewhere is none of ours.
            if entry.is_dir(follow_symlinks=False):
                digest = BlobDigest(Digest(*filter(None, download.groups()))) if download else None
                yield Incoming(ingest / entry.name, digest, has_lock=True)
        elif _SCRATCH.fullmatch(entry.name):
            yield Incoming(ingest / entry.name, None, has_lock=False)


def remove(item: Incoming) -> bool:
    """Remove it with all in it, unless somebody holds its lock; raises `StoreError`."""
    scratch = item.path.parent
    with files.guarded("remove"):
        if not item.has_lock:
            files.remove_tree(item.path, scratch)
            return True
        lock = files.Lock(item.path / "lock")
        if item.held or not lock.try_acquire():
            return False  # also where no lock can be: that is not ours
        try:
            files.remove_tree(item.path, scratch)
        finally:
            lock.release()
    return True
