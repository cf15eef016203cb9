"""Coverage-guided fuzzing of everything that reads a layer's bytes, with atheris.

    .venv/bin/python -m pip install atheris
    .venv/bin/python tests/fuzz/archive.py -max_total_time=600 FOUND fixtures/archives

FOUND is a folder for new inputs. Whatever the bytes are: only `ArchiveError` may come out, who reads
forward reads the same, an index survives being written and read, and the tree on top of another can
be made into a plan for the disk.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["layerkit"]):
    from layerkit.errors import ArchiveError
    from layerkit.layer import archive, merge, toc, wrapping
    from layerkit.layer.forward import ForwardReader
    from layerkit.snapshot import delta
    from layerkit.tree import Entry, Kind

SIZE_LIMIT = 8 << 20
"""Bytes of output that are looked at; a bomb is somebody else's test."""


BASE = merge.merge(
    [
        [
            Entry(b"d", Kind.DIRECTORY),
            Entry(b"d/f", Kind.FILE),
            Entry(b"f", Kind.FILE),
            Entry(b"s", Kind.SYMLINK, link=b"/d"),
        ]
    ]
)
"""What each input lies on, for its whiteouts, links and ways through symlinks."""


def one(data: bytes) -> None:
    """Read one input the way `load` and `import` do."""
    tar = bytearray()
    try:
        for chunk in wrapping.unwrap(iter([data])):
            tar += chunk
            if len(tar) > SIZE_LIMIT:
                return
        entries = list(archive.read(lambda at, size: bytes(tar[at : at + size]), lambda _: None))
        forward = ForwardReader(bytes(tar[at : at + 700]) for at in range(0, len(tar), 700))
        assert list(archive.read(forward.read_at, lambda _: None)) == entries
        index = toc.decode(toc.encode(entries, []))
        assert index.entries == entries
        tree = merge.apply(BASE, index.entries, 1)
        delta.flat(tree)
        delta.between(BASE, tree)
    except ArchiveError:
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
