"""Volumes: folders that layerkit keeps under a name, for containers to share and to outlive them.

One lies in `volumes/<name>/`: what containers see of it in `_data`, what is known of it in
`volume.json`. The folder appears whole, in one rename, and goes in one. Which containers use it, their
configs say. Who makes a container holds the lock on `volumes` with others like him, who removes a
volume alone, so none goes between its making and the container's.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import posixpath
import re
import secrets
import shutil
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError, NotFoundError, SandboxError, StoreError, UsageError
from layerkit.events import ignore
from layerkit.mount import BindMount, VolumeMount
from layerkit.ops import containers, copyup
from layerkit.snapshot.folders import Folders
from layerkit.store.files import guarded, remove_tree, sync_directory
from layerkit.store.usage import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from layerkit.events import Observer
    from layerkit.mount import Mount
    from layerkit.ops.containers import Origin
    from layerkit.ops.home import Home
    from layerkit.ops.wishes import Wishes
    from layerkit.store.records import ContainerRecord

    Begin = Callable[[Path], bool]

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}", re.ASCII)
_DATA = "_data"
_RECORD = "volume.json"
_BEGINNING = "_beginning"
_MOST = 500
"""Volumes that one image may want."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume; `unnamed` if layerkit had to name it, `created` in seconds since 1970."""

    name: str
    folder: Path
    created: float
    unnamed: bool = False
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> Path:
        """What containers see."""
        return self.folder / _DATA


# -- for containers -------------------------------------------------------------------------------


@contextlib.contextmanager
def settled(
    home: Home,
    origin: Origin,
    wishes: Wishes,
    wanted: tuple[str, ...] = (),
    observe: Observer = ignore,
) -> Iterator[Wishes]:
    """The wishes with a volume for each that is wished for, or `wanted` by the image, made where missing.

    A new or empty one begins with what the container shows there. None of them goes while the block
    makes the container; if it fails, those without a name do. Raises `UsageError` for a bad name,
    `SandboxError` for a place that no volume can have, `StoreError`.
    """
    mounts = (*wishes.mounts, *_of_image(wanted, {mount.target for mount in wishes.mounts}))
    unnamed: list[str] = []

    def settle(mount: Mount) -> Mount:
        if not isinstance(mount, VolumeMount):
            return mount
        if mount.name and not mount.unnamed:
            ensured = mount
        else:
            ensured = replace(mount, name=secrets.token_hex(32), unnamed=True)
            unnamed.append(ensured.name)
        begin = partial(copyup.write, home, origin, mount.target, observe=observe)
        _ensure(home, ensured, None if mount.nocopy else begin)
        return ensured

    with _held(home, fcntl.LOCK_SH):
        try:
            yield replace(wishes, mounts=tuple(map(settle, mounts)))
        except BaseException:
            with contextlib.suppress(StoreError):
                for name in unnamed:
                    _discard(home, name)
            raise


def binds(home: Home, mounts: Iterable[Mount]) -> tuple[BindMount, ...]:
    """The mounts that show folders and files of the host, those of volumes among them."""
    found = (_bind(home, each) if isinstance(each, VolumeMount) else each for each in mounts)
    return tuple(each for each in found if isinstance(each, BindMount))


def _bind(home: Home, mount: VolumeMount) -> BindMount:
    """A device file in a volume may come from an image, so any disk of the host may be meant."""
    source = home.volumes / mount.name / _DATA
    return BindMount(source, mount.target, mount.readonly, nodev=True)


def remove_unnamed(home: Home, mounts: tuple[Mount, ...]) -> None:
    """Remove the volumes without a name that were made for a container with these mounts, now gone.

    One that another container uses stays. Raises `StoreError`.
    """
    names = [each.name for each in mounts if isinstance(each, VolumeMount) and each.unnamed]
    if names:
        with _held(home, fcntl.LOCK_EX):
            used = users(home)
            for name in names:
                if name not in used:
                    _discard(home, name)


def users(home: Home) -> Mapping[str, list[ContainerRecord]]:
    """The containers that use each volume that any uses; raises `StoreError`."""
    found: dict[str, list[ContainerRecord]] = defaultdict(list)
    for container in home.store.database.containers():
        for name in _used_by(home, container):
            found[name].append(container)
    return dict(found)


def _used_by(home: Home, container: ContainerRecord) -> set[str]:
    try:
        mounts = containers.read_config(home, container).wishes.mounts
    except StoreError:
        if home.store.database.containers_named(container.id):
            raise
        return set()  # somebody removes it meanwhile
    return {mount.name for mount in mounts if isinstance(mount, VolumeMount)}


def _of_image(wanted: tuple[str, ...], taken: set[str]) -> list[VolumeMount]:
    if len(wanted) > _MOST:
        raise SandboxError(f"the image wants {len(wanted)} volumes, more than {_MOST}")
    places = dict.fromkeys(map(_place, wanted))
    return [VolumeMount("", each) for each in places if each not in taken]


def _place(text: str) -> str:
    """Where an image wants a volume, as an absolute path."""
    clean = posixpath.normpath("/" + text.lstrip("/"))
    try:
        is_speakable = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        is_speakable = False
    if clean == "/" or not is_speakable:
        raise SandboxError(f"the image wants a volume on {text[:100]!r}: there can be none")
    return clean


# -- volumes themselves ---------------------------------------------------------------------------


def create(home: Home, name: str = "", labels: Mapping[str, str] | None = None) -> Volume:
    """Make a volume, with a new name if none is given; one that is there is left as it is.

    Raises `UsageError` for a bad name, `ConflictError` for one that is taken with other labels,
    `StoreError`.
    """
    wanted = tuple(sorted((labels or {}).items()))
    mount = VolumeMount(name or secrets.token_hex(32), "", unnamed=not name)
    with _held(home, fcntl.LOCK_SH):
        _ensure(home, mount, None, wanted)
        volume = find(home, mount.name)
    if wanted and volume.labels != wanted:
        raise ConflictError(f"volume {name} is there already, with other labels")
    return volume


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


def remove(home: Home, name: str) -> None:
    """Remove a volume with all in it; raises `NotFoundError`, `ConflictError` while one uses it."""
    with _held(home, fcntl.LOCK_EX):
        find(home, name)
        if its := users(home).get(name):
            raise ConflictError(
                f"cannot remove volume {name}: it is in use by {', '.join(each.name for each in its)}",
                hint=f"remove the container first: layerkit rm {its[0].name}",
            )
        _discard(home, name)


def remove_unused(home: Home, chosen: Callable[[Volume], bool]) -> dict[str, int]:
    """Remove those of the `chosen` volumes that no container uses; what each took on the disk."""
    with _held(home, fcntl.LOCK_EX):
        used = users(home)
        going = [each for each in list_volumes(home) if each.name not in used and chosen(each)]
        sizes = {each.name: measure(each.folder).size for each in going}
        for name in sizes:
            _discard(home, name)
    return sizes


# -- folders --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _held(home: Home, how: int) -> Iterator[None]:
    """Hold the lock on all volumes: shared to make and use them, exclusive to remove any."""
    with guarded("lock volumes"):
        home.volumes.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(home.volumes, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, how)
        yield
    finally:
        os.close(folder)


def _ensure(
    home: Home,
    mount: VolumeMount,
    begin: Begin | None,
    labels: tuple[tuple[str, str], ...] = (),
) -> None:
    """Make the volume if it is not there; what `begin` writes is in it then, if it was empty."""
    if _NAME.fullmatch(mount.name) is None:
        raise UsageError(
            f"invalid volume name {mount.name[:300]!r}: wanted 2 to 255 letters, digits, '_', '.', "
            "'-', a letter or digit first"
        )
    folder = home.volumes / mount.name
    with guarded("make volume"):
        if _read(folder) is None:
            _make(home, Volume(mount.name, folder, time.time(), mount.unnamed, labels), begin)
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


def _discard(home: Home, name: str) -> None:
    with guarded("remove volume"):
        remove_tree(home.volumes / name, home.store.scratch)
