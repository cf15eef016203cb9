"""Mount: the root of an image or a container on a folder of the host, to look at or to work in."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from layerkit import mounting
from layerkit.errors import ConflictError, NotFoundError, StoreError, UsageError
from layerkit.events import ignore
from layerkit.mount import OverlayMount
from layerkit.ops import containers, mountpoints, uppers, views
from layerkit.ops.images import find_image, image_of
from layerkit.store.files import guarded

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.events import Observer
    from layerkit.mount import RootMount
    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord

_OVERLAY = "overlay"


def mount(home: Home, text: str, observe: Observer = ignore) -> Path:
    """The folder on which the root of a container or image is mounted, now or since before.

    A container's root can be written to, and is never mounted while it runs; an image's is
    read-only. Raises `NotFoundError`, `ConflictError` for a container that runs, `UsageError` for
    who is not root, `StoreError`.
    """
    _require_root()
    container = _container(home, text)
    if container is None:
        image = find_image(home, text)
        root = views.of_layers(home, image, home.driver(), observe).look()
        return _mount(mountpoints.place(home, image.manifest.hex), root, readonly=True)
    with uppers.locked(home, container, "mount", mounted=True):
        uppers.settle(home, container)
        driver = home.driver(container.driver)
        view = views.of_image(home, image_of(home, container.manifest), driver, observe)
        frozen = uppers.frozen(home, container.chain)
        root = view.root(containers.folder_of(home, container), frozen)
        return _mount(mountpoints.place(home, container.id), root, readonly=False)


def unmount(home: Home, text: str) -> str:
    """Unmount what `mount` has mounted; the id of the container or of the image's manifest.

    Raises `NotFoundError` when it is not mounted, `ConflictError` while somebody uses it.
    """
    _require_root()
    container = _container(home, text)
    identifier = container.id if container else find_image(home, text).manifest.hex
    path = mountpoints.place(home, identifier)
    if not mountpoints.types(path):
        raise NotFoundError(f"{text} is not mounted")
    mountpoints.release(path, text)
    return identifier


def mounts(home: Home) -> list[tuple[str, Path]]:
    """All that is mounted now: a container's name or an image's id, and where."""
    names = {record.id: record.name for record in home.store.database.containers()}
    names.update((image.manifest.hex, image.config.short) for image in home.store.database.images())
    return [(names.get(path.name, path.name), path) for path in mountpoints.mounted(home)]


def _require_root() -> None:
    if os.geteuid() != 0:
        raise UsageError("cannot mount: that needs root", hint="run it with sudo, or use unpack")


def _container(home: Home, text: str) -> ContainerRecord | None:
    try:
        return containers.find_container(home, text)
    except NotFoundError:
        return None


def _mount(path: Path, root: RootMount, *, readonly: bool) -> Path:
    types = mountpoints.types(path)
    if isinstance(root, OverlayMount) and _OVERLAY not in types:
        mountpoints.release(path, path.name)  # somebody was killed before the overlay was there
    elif types:
        return path
    with guarded("make mount point"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        mounting.mount_root(root, path, readonly=readonly)
    except OSError as error:
        with contextlib.suppress(ConflictError, StoreError):
            mountpoints.release(path, path.name)
        raise StoreError(f"cannot mount {root}: {error.strerror}") from error
    return path
