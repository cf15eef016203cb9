"""Where roots are mounted on the host: `<state directory>/mounts/<id>`, as the kernel tells it.

Nothing else remembers a mount: the kernel forgets all of them with a reboot, and knows of those whose
maker was killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.errors import ConflictError, StoreError
from layerkit.store.files import guarded

if TYPE_CHECKING:
    from layerkit.ops.home import Home

_MOUNTINFO = Path("/proc/self/mountinfo")
_SPECIAL = b" \t\n\\#"


def place(home: Home, identifier: str) -> Path:
    """The folder on which what has this id is mounted, if it is."""
    return home.store.root / "mounts" / identifier


def mounted(home: Home) -> list[Path]:
    """The folders on which something is mounted now, sorted."""
    folder = home.store.root / "mounts"
    places = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in places if types(path)]


def types(path: Path) -> list[str]:
    """The types of the file systems that are mounted on a folder, the uppermost last (proc(5))."""
    wanted = _escaped(path)
    found = []
    with guarded("read"):
        for line in _MOUNTINFO.read_bytes().splitlines():
            before, _, after = line.partition(b" - ")
            if before.split(b" ")[4] == wanted:
                found.append(after.split(b" ")[0].decode())
    return found


def _escaped(path: Path) -> bytes:
    """A path as mountinfo writes it."""
    raw = os.fsencode(path.parent.resolve() / path.name)
    return b"".join(b"\\%03o" % byte if byte in _SPECIAL else bytes((byte,)) for byte in raw)


def release(path: Path, text: str) -> None:
    """Unmount all that is on `path`, if anything is, and remove it.

    Raises `ConflictError` while it is used, which names it by `text`; `StoreError`.
    """
    try:
        while types(path):
            linux.umount2(os.fspath(path), 0)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise StoreError(f"cannot unmount {text}: {error.strerror}") from error
        raise ConflictError(
            f"cannot unmount {text}: {path} is in use", hint=f"`fuser -vm {path}` tells by whom"
        ) from None
    with contextlib.suppress(OSError):
        path.rmdir()
