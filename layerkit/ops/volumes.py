"""Volumes: folders that layerkit keeps under a name, for containers to share and to outlive them.

Which containers use one, their configs say. Who makes a container holds the lock on `volumes` with
others like him, who removes a volume holds it alone, so none goes between its making and the
container's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import posixpath
import secrets
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from layerkit.errors import ConflictError, SandboxError, StoreError
from layerkit.events import ignore
from layerkit.mount import BindMount, VolumeMount
from layerkit.ops import containers, volume_folders
from layerkit.ops.volume_folders import Volume, find, list_volumes
from layerkit.store.files import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from layerkit.events import Observer
    from layerkit.mount import Mount
    from layerkit.ops.containers import Origin
    from layerkit.ops.home import Home
    from layerkit.ops.wishes import Wishes
    from layerkit.store.records import ContainerRecord

__all__ = [
    "Volume",
    "binds",
    "create",
    "find",
    "list_volumes",
    "remove",
    "remove_unnamed",
    "remove_unused",
    "settled",
    "users",
]

_MOST = 500
"""Volumes that one image may want."""


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
    from layerkit.ops import copyup  # noqa: PLC0415  most commands write no tree

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
        volume_folders.ensure(
            home, ensured.name, None if mount.nocopy else begin, unnamed=ensured.unnamed
        )
        return ensured

    with _held(home, fcntl.LOCK_SH):
        try:
            yield replace(wishes, mounts=tuple(map(settle, mounts)))
        except BaseException:
            with contextlib.suppress(StoreError):
                for name in unnamed:
                    volume_folders.discard(home, name)
            raise


def binds(home: Home, mounts: Iterable[Mount]) -> tuple[BindMount, ...]:
    """The mounts that show folders and files of the host, those of volumes among them."""
    found = (_bind(home, each) if isinstance(each, VolumeMount) else each for each in mounts)
    return tuple(each for each in found if isinstance(each, BindMount))


def _bind(home: Home, mount: VolumeMount) -> BindMount:
    """A device file in a volume may come from an image, so any disk of the host may be meant."""
    source = volume_folders.data_of(home, mount.name)
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
                    volume_folders.discard(home, name)


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


# -- volumes themselves ---------------------------------------------------------------------------


def create(home: Home, name: str = "", labels: Mapping[str, str] | None = None) -> Volume:
    """Make a volume, with a new name if none is given; one that is there is left as it is.

    Raises `UsageError` for a bad name, `ConflictError` for one that is taken with other labels,
    `StoreError`.
    """
    wanted = tuple(sorted((labels or {}).items()))
    chosen = name or secrets.token_hex(32)
    with _held(home, fcntl.LOCK_SH):
        volume_folders.ensure(home, chosen, unnamed=not name, labels=wanted)
        volume = find(home, chosen)
    if wanted and volume.labels != wanted:
        raise ConflictError(f"volume {name} is there already, with other labels")
    return volume


def remove(home: Home, name: str) -> None:
    """Remove a volume with all in it; raises `NotFoundError`, `ConflictError` while one uses it."""
    with _held(home, fcntl.LOCK_EX):
        find(home, name)
        if its := users(home).get(name):
            raise ConflictError(
                f"cannot remove volume {name}: it is in use by {', '.join(each.name for each in its)}",
                hint=f"remove the container first: layerkit rm {its[0].name}",
            )
        volume_folders.discard(home, name)


def remove_unused(home: Home, chosen: Callable[[Volume], bool]) -> dict[str, int]:
    """Remove those of the `chosen` volumes that no container uses; what each took on the disk."""
    with _held(home, fcntl.LOCK_EX):
        used = users(home)
        going = [each for each in list_volumes(home) if each.name not in used and chosen(each)]
        sizes = {each.name: each.size() for each in going}
        for name in sizes:
            volume_folders.discard(home, name)
    return sizes
