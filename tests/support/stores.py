"""What must be true of a state directory at any time, also after a failure."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PARTIAL = re.compile(r"(sha256|layer)-[0-9a-f]{64}")


def faults(root: Path) -> list[str]:
    """One line for each thing in a state directory that is not what its name says."""
    return [
        *_wrong_blobs(root / "blobs/sha256"),
        *_wrong_layers(root / "layers"),
        *_leftovers(root / "ingest"),
    ]


def partials(root: Path) -> list[str]:
    """The names of what is on its way in: downloads that can be gone on with, and their layers."""
    return sorted(path.name for path in _inside(root / "ingest") if _PARTIAL.fullmatch(path.name))


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _wrong_blobs(folder: Path) -> list[str]:
    return [f"blob {path.name}" for path in _inside(folder) if _sha256(path) != path.name]


def _wrong_layers(folder: Path) -> list[str]:
    return [f"layer {path.name}" for path in _inside(folder) if _sha256(path / "tar") != path.name]


def _leftovers(folder: Path) -> list[str]:
    return [f"leftover {path}" for path in _inside(folder) if not _PARTIAL.fullmatch(path.name)]


def _sha256(path: Path) -> str:
    if not path.is_file():
        return f"no file {path}"
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
