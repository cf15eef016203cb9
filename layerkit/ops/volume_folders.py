"""One volume on the disk: `volumes/<name>/` with `_data`, what containers see, and `volume.json`.

It appears whole, in one rename, and goes in one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from layerkit.errors import NotFoundError, StoreError, UsageError
from layerkit.snapshot.folders import Folders
from layerkit.store.files import guarded, remove_tree, sync_directory
from layerkit.store.usage import measure

if TYPE_CHECKING:
    from layerkit.ops.home import Home

Labels: TypeAlias = tuple[tuple[str, str], ...]
Begin: TypeAlias = Callable[[Path], bool]
"""`begin(folder)` writes what a volume begins with into a new folder, and says whether there is any."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}", re.ASCII)
_DATA = "_data"
_RECORD = "volume.json"
_BEGINNING = "_beginning"


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume; `unnamed` if layerkit had to name it, `created` in seconds since 1970."""

    name: str
    folder: Path
    created: float
    unnamed: bool = False
    labels: Labels = ()

    @property
    def data(self) -> Path:
        """What containers see."""
        return self.folder / _DATA

    def size(self) -> int:
        """The bytes of the disk that it takes, measured now."""
        return measure(self.folder).size


def find(home: Home, name: str) -> Volume:
    """The volume of this name; raises `NotFoundError`, `StoreError`."""
    found = _read(home.volumes / name) if _NAME.fullmatch(name) else None
    if found is None:
        raise NotFoundError(f"no such volume: {name}")
    return found


def list_volumes(home: Home) -> list[Volume]:
    """All volumes by name; raises `StoreError`."""
    with guarded("read volumes"):
        names = sorted(os.listdir(home.volumes)) if home.volumes.is_dir() else []
    found = (_read(home.volumes / name) for name in names if _NAME.fullmatch(name))
    return [each for each in found if each is not None]


def data_of(home: Home, name: str) -> Path:
    """What containers see of the volume that has this name."""
    return home.volumes / name / _DATA


def ensure(
    home: Home,
    name: str,
    begin: Begin | None = None,
    *,
    unnamed: bool = False,
    labels: Labels = (),
) -> None:
    """Make the volume if it is not there; what `begin` writes is in it then, if it was empty.

    Raises `UsageError` for a bad name, `StoreError`.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"invalid volume name {name[:300]!r}: wanted 2 to 255 letters, digits, '_', '.', '-', "
            "a letter or digit first"
        )
    folder = home.volumes / name
    with guarded("make volume"):
        if _read(folder) is None:
            _make(home, Volume(name, folder, time.time(), unnamed, labels), begin)
        elif begin is not None:
            _begin(home, folder, begin)


def _make(home: Home, volume: Volume, begin: Begin | None) -> None:
    """Make a volume whole, beside the others; whoever is second drops his own."""
    scratch = home.store.scratch
    folders = Folders(home.volumes, scratch, partial(remove_tree, scratch=scratch))
    record = {
        "created": volume.created,
        "unnamed": volume.unnamed,
        "labels": dict(volume.labels),
    }
    with folders.making(volume.name) as beside:
        (beside / _DATA).mkdir()
        (beside / _DATA).chmod(0o755)  # whatever our umask
        if begin is not None:
            begin(beside / _DATA)
        with open(beside / _RECORD, "x") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
    sync_directory(home.volumes)
    if _read(volume.folder) is None:
        raise StoreError(f"cannot make volume {volume.name}: {volume.folder} is something else")


def _begin(home: Home, folder: Path, begin: Begin) -> None:
    """Let a volume that is empty begin with something; containers may use it meanwhile."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _take(home, folder)
        if os.listdir(folder / _DATA):
            return
        beside = home.store.scratch / f"tree-{secrets.token_hex(8)}"
        try:
            beside.mkdir()
            if begin(beside):
                os.rename(beside, folder / _BEGINNING)
                _take(home, folder)
        finally:
            remove_tree(beside, home.store.scratch)
    finally:
        os.close(lock)


def _take(home: Home, folder: Path) -> None:
    """Move what was written for an empty volume into it; a crash in between is gone on from."""
    beginning, into = folder / _BEGINNING, folder / _DATA
    if not beginning.exists():
        return
    for name in set(os.listdir(beginning)) - set(os.listdir(into)):
        try:
            os.rename(beginning / name, into / name)
        except OSError as error:
            # What a container made there meanwhile stays.
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR}:
                raise
    import shutil  # noqa: PLC0415  most only look

    status = beginning.stat()
    os.chown(into, status.st_uid, status.st_gid)
    shutil.copystat(beginning, into)
    remove_tree(beginning, home.store.scratch)


def _read(folder: Path) -> Volume | None:
    """The volume in a folder; None where none is."""
    with guarded("read volume"):
        try:
            text = (folder / _RECORD).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        values = json.loads(text)
        labels = tuple(sorted(values["labels"].items()))
        return Volume(folder.name, folder, values["created"], values["unnamed"], labels)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"cannot read volume {folder.name}: {error}") from None


def discard(home: Home, name: str) -> None:
    """Remove a volume with all in it; raises `StoreError`."""
    with guarded("remove volume"):
        remove_tree(home.volumes / name, home.store.scratch)
