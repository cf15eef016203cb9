"""Snapshots: a container's changes frozen under a name, to go back to or to start others from.

The upper of the container becomes one more read-only layer below an empty one, so a snapshot costs the
same however much there is. Written `CONTAINER@NAME`.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from layerkit import linux
from layerkit.errors import ConflictError, NotFoundError, UsageError
from layerkit.ops import containers, hostfiles, uppers
from layerkit.ops.containers import Origin
from layerkit.ops.images import image_of
from layerkit.ops.inside import LocalContainer
from layerkit.store import files
from layerkit.store.records import SnapshotRecord

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord

CHAIN_LIMIT = 100
"""The most snapshots that one stands on: the kernel mounts 500 layers, those of the image included."""
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)


class Found(NamedTuple):
    """A snapshot, and the container it is of."""

    container: ContainerRecord
    snapshot: SnapshotRecord

    @property
    def name(self) -> str:
        """As it is written."""
        return f"{self.container.name}@{self.snapshot.name}"


def create(home: Home, text: str, name: str) -> Found:
    """Freeze what the container that `text` names has changed, under `name`.

    Raises `UsageError`, `NotFoundError`, `ConflictError` for a name that is taken and for a container
    that runs, `StoreError`.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"invalid snapshot name {name!r}: wanted letters, digits, '_', '.', '-', "
            "a letter or digit first"
        )
    found = containers.find_container(home, text)
    with uppers.locked(home, found, "make a snapshot of"):
        uppers.settle(home, found)
        container = _again(home, found)
        if len(container.chain) >= CHAIN_LIMIT:
            raise ConflictError(
                f"cannot make a snapshot of {found.name}: it stands on {CHAIN_LIMIT} already",
                hint=f"make an image of it: layerkit commit {found.name} NAME",
            )
        _sync(home, container)
        snapshot_id = secrets.token_hex(32)
        chain = (*container.chain, snapshot_id)
        snapshot = SnapshotRecord(snapshot_id, container.id, name, time.time(), chain)
        with home.store.database.transaction():
            home.store.database.put_snapshot(snapshot)
            home.store.database.set_chain(container.id, chain)
        uppers.settle(home, container)
    return Found(replace(container, chain=chain), snapshot)


def _sync(home: Home, container: ContainerRecord) -> None:
    with files.guarded("freeze"):
        upper = os.open(uppers.own(home, container), os.O_RDONLY | os.O_DIRECTORY)
        try:
            linux.syncfs(upper)
        finally:
            os.close(upper)


def _again(home: Home, container: ContainerRecord) -> ContainerRecord:
    """The record as it is now."""
    return containers.find_container(home, container.id)


def find(home: Home, text: str) -> Found:
    """The snapshot that `CONTAINER@NAME` means; raises `NotFoundError`."""
    container_text, at, name = text.rpartition("@")
    if not at:
        raise NotFoundError(
            f"no such snapshot: {text}", hint="a snapshot is written CONTAINER@NAME"
        )
    container = containers.find_container(home, container_text)
    for snapshot in home.store.database.snapshots_of(container.id):
        if snapshot.name == name:
            uppers.above(home, container)  # what a crash left undone
            return Found(container, snapshot)
    raise NotFoundError(
        f"no such snapshot: {text}", hint=f"see: layerkit snapshot ls {container.name}"
    )


def list_snapshots(home: Home, text: str | None = None) -> list[Found]:
    """The snapshots of one container, or of all, the oldest first; raises `NotFoundError`."""
    database = home.store.database
    if text is not None:
        container = containers.find_container(home, text)
        return [Found(container, each) for each in database.snapshots_of(container.id)]
    known = {each.id: each for each in database.containers()}
    found = [each for each in database.snapshots() if each.container in known]
    return [Found(known[each.container], each) for each in found]


def inside(home: Home, found: Found) -> LocalContainer:
    """What the container showed when the snapshot was made, to be closed."""
    frozen = uppers.frozen(home, found.snapshot.chain)
    return LocalContainer(home, found.container, found.name, frozen)


def open_inside(home: Home, text: str) -> tuple[ContainerRecord, LocalContainer]:
    """The container that a text names, as it is or as a snapshot has it; to be closed.

    Raises `NotFoundError`, `UsageError`.
    """
    if "@" in text:
        found = find(home, text)
        return found.container, inside(home, found)
    container = containers.find_container(home, text)
    return container, LocalContainer(home, container, container.name)


def remove(home: Home, text: str) -> Found:
    """Forget a snapshot; what it froze goes as soon as nothing stands on it. Raises as `find`."""
    found = find(home, text)
    home.store.database.delete_snapshot(found.snapshot.id)
    uppers.sweep(home)
    return found


def rollback(home: Home, text: str) -> Found:
    """Make the container what it was; what it changed since is lost, later snapshots are not.

    Raises as `find`, and `ConflictError` while it runs.
    """
    found = find(home, text)
    database = home.store.database
    with uppers.locked(home, found.container, "roll back"):
        # Aside first: a crash must not leave it on the older ones.
        with uppers.aside(home, found.container), database.transaction():
            if found.snapshot not in database.snapshots_of(found.container.id):
                raise NotFoundError(f"no such snapshot any more: {found.name}")
            database.set_chain(found.container.id, found.snapshot.chain)
        uppers.settle(home, found.container)
    uppers.sweep(home)
    return found


def branch(home: Home, text: str, name: str) -> ContainerRecord:
    """A new container called `name`, with the config of the snapshot's and on what it froze.

    It shares the volumes with a name, and gets new ones for the others.

    Raises as `find`, and what making a container raises.
    """
    from layerkit.ops import volumes  # noqa: PLC0415  most only look

    found = find(home, text)
    config = containers.read_config(home, found.container)
    source = origin(home, found)
    with volumes.settled(home, source, config.wishes) as wishes:
        return containers.create(
            home,
            source,
            container_id=containers.new_id(),
            name=name,
            config=replace(config, wishes=wishes),
            texts=hostfiles.texts(config.hostname, config.wishes.networking),
        )


def origin(home: Home, found: Found) -> Origin:
    """What a container is made from that starts from a snapshot."""
    container, snapshot = found
    image = image_of(home, container.manifest)
    targets = containers.read_config(home, container).targets
    return Origin(image, container.image_name, container.driver, snapshot.chain, targets)
