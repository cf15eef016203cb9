"""Coverage-guided fuzzing of everything that reads a layer's bytes, with atheris.

    .venv/bin/python -m pip install atheris
    .venv/bin/python tests/fuzz/archive.py -max_total_time=600 FOUND fixtures/archives

FOUND is a folder for new inputs. Whatever the bytes are: only `ArchiveError` may come out, an index
survives being written and read, and the tree can be made into a plan for the disk.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["layerkit"]):
    from layerkit.errors import ArchiveError
    from layerkit.layer import archive, compression, merge, toc
    from layerkit.snapshot import delta
    from layerkit.tree import empty

SIZE_LIMIT = 8 << 20
"""Bytes of output that are looked at; a bomb is somebody else's test."""


def one(data: bytes) -> None:
    """Read one input the way `load` does."""
    tar = bytearray()
    try:
        for chunk in compression.inflate(iter([data])):
            tar += chunk
            if len(tar) > SIZE_LIMIT:
                return
        entries = list(archive.read(lambda at, size: bytes(tar[at : at + size]), lambda _: None))
        index = toc.decode(toc.encode(entries, []))
        assert index.entries == entries
        delta.flat(merge.apply(empty(), index.entries, 0))
    except ArchiveError:
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
