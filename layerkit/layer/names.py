"""Names in a layer: made canonical, refused when they could leave the root, read as whiteouts."""

from __future__ import annotations

from layerkit.errors import ArchiveError
from layerkit.tree import Kind

PATH_LIMIT = 4095
NAME_LIMIT = 255
_PREFIX = b".wh."
_OPAQUE = b".wh..wh..opq"
_RESERVED = b".wh..wh."


def show(name: bytes) -> str:
    """A name for messages: cut, and with every byte that is not plain text escaped."""
    cut = name[:200] + (b"..." if len(name) > 200 else b"")  # noqa: PLR2004
    return cut.decode("utf-8", "backslashreplace").encode("unicode_escape").decode()


def clean(unsafe: bytes) -> bytes:
    """The canonical path: no leading slash, no empty or `.` component, the root is `b""`.

    Raises `ArchiveError` for an empty name, a `..` component, a NUL, and for paths and names that
    Linux could not hold.
    """
    if not unsafe:
        raise ArchiveError("an entry without a name")
    parts = [part for part in unsafe.split(b"/") if part not in {b"", b"."}]
    path = b"/".join(parts)
    if b".." in parts or b"\0" in path:
        raise ArchiveError(f"unsafe name '{show(unsafe)}'")
    if len(path) > PATH_LIMIT:
        raise ArchiveError(f"name of {len(path)} bytes, at most {PATH_LIMIT}: '{show(path)}'")
    if len(path) > NAME_LIMIT and max(map(len, parts)) > NAME_LIMIT:
        raise ArchiveError(f"name with a part of more than {NAME_LIMIT} bytes: '{show(path)}'")
    return path


def whiteout(path: bytes) -> tuple[Kind, bytes]:
    """What the marker at `path` hides: (WHITEOUT or OPAQUE, the hidden path).

    image-spec layer.md, "Whiteouts": `.wh.NAME` hides NAME of the layers below, `.wh..wh..opq` all
    that its folder has there. Raises `ArchiveError` for `.wh.`, `.wh..` and `.wh...`, which would
    hide a folder or its parent, and for a folder whose name is a marker.
    """
    parent, slash, name = path.rpartition(b"/")
    if is_marker(parent):
        raise ArchiveError(f"whiteout name used as a folder: '{show(path)}'")
    if name == _OPAQUE:
        return Kind.OPAQUE, parent
    hidden = name[len(_PREFIX) :]
    if hidden in {b"", b".", b".."}:
        raise ArchiveError(f"invalid whiteout '{show(path)}': it names no file")
    return Kind.WHITEOUT, parent + slash + hidden


def is_marker(path: bytes) -> bool:
    """Whether some component of `path` begins as markers do."""
    return path.startswith(_PREFIX) or b"/" + _PREFIX in path


def reserved(path: bytes) -> bool:
    """Whether `path` is bookkeeping of AUFS (`.wh..wh.plnk` and the like), not content."""
    return any(part.startswith(_RESERVED) and part != _OPAQUE for part in path.split(b"/"))
