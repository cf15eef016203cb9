"""Containers in the store: made, found, told about, removed."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from layerkit.errors import ConflictError, NotFoundError, StoreError, UsageError
from layerkit.events import ignore
from layerkit.ops import mountpoints, states, uppers, views
from layerkit.store import files
from layerkit.store.records import ContainerRecord

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.events import Observer
    from layerkit.ops.container_config import ContainerConfig
    from layerkit.ops.home import Home
    from layerkit.store.records import ImageRecord

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_FIRST = "amber bold brisk calm clever eager fair gentle keen lively lucid nimble proud quiet swift"
_SECOND = (
    "basalt chalk clay flint gneiss granite jasper lias marl marble onyx quartz shale slate tuff"
)


class Origin(Struct, frozen=True):
    """What a container is made from: an `image` under the `name` it was asked for, and the frozen
    uppers above it, oldest first, in which there may be mount points at `targets`. The `driver` is
    that of the frozen ones, else by default the configured one.
    """

    image: ImageRecord
    name: str
    driver: str = ""
    chain: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


def new_id() -> str:
    """A container id: 64 hex digits, the first 12 not all decimal, since they become a hostname."""
    while True:
        candidate = secrets.token_hex(32)
        if not candidate[:12].isdigit():
            return candidate


def create(
    home: Home,
    origin: Origin,
    *,
    container_id: str,
    name: str | None,
    config: ContainerConfig,
    texts: dict[str, str],
    observe: Observer = ignore,
) -> ContainerRecord:
    """Make a container's folder with its own `texts` (hosts, hostname, …), then its record.

    `observe` is told what the file system does not keep of the image.
    Raises `UsageError` for a bad name, `ConflictError` for one that is taken, `StoreError`.
    """
    if name is not None:
        check_name(name)
    driver = home.driver(origin.driver)
    from layerkit.ops import container_config  # noqa: PLC0415  many only look

    view = views.of_image(home, origin.image, driver, observe)
    config = replace(config, user_xattrs=driver.user_xattrs)
    below = uppers.frozen(home, origin.chain)
    folder = home.containers / container_id
    try:
        with files.guarded("make container"):
            folder.mkdir(mode=0o700)
            view.begin(folder, below[-1] if below else None)
            for file, text in texts.items():
                (folder / file).write_text(text)
                (folder / file).chmod(0o644)  # read inside by any user, whatever our umask
            (folder / "config.json").write_bytes(container_config.encode(config))
        return _record(home, origin, driver.name, container_id, name)
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove_tree(folder, home.store.scratch)
        raise


def check_name(name: str) -> None:
    """Raise `UsageError` for a name that no container can have."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"invalid container name {name!r}: wanted letters, digits, '_', '.', '-', a letter or digit first"
        )


def _record(
    home: Home, origin: Origin, driver: str, container_id: str, name: str | None
) -> ContainerRecord:
    database = home.store.database
    with database.transaction():
        chosen = name or _free_name({record.name for record in database.containers()})
        record = ContainerRecord(
            container_id,
            chosen,
            origin.name,
            origin.image.manifest,
            time.time(),
            driver,
            origin.chain,
        )
        uppers.require(home, driver, origin.chain)
        database.put_container(record)
        database.touch_image(origin.image.manifest)
    return record


def _free_name(taken: set[str]) -> str:
    while True:
        name = f"{secrets.choice(_FIRST.split())}_{secrets.choice(_SECOND.split())}"
        if name in taken:
            name += f"_{secrets.token_hex(2)}"
        if name not in taken:
            return name


def find_container(home: Home, text: str) -> ContainerRecord:
    """The container with this name, id or beginning of an id; raises `NotFoundError`."""
    found = home.store.database.containers_named(text) if text else []
    if not found:
        raise NotFoundError(f"no such container: {text}")
    if len(found) > 1:
        raise UsageError(f"container id {text!r} is ambiguous: it begins {len(found)} ids")
    return found[0]


def folder_of(home: Home, container: ContainerRecord) -> Path:
    """The container's folder."""
    return home.containers / container.id


def upper_of(home: Home, container: ContainerRecord) -> Path:
    """The directory with what the container changed, or with all of it: see `Driver.is_layered`."""
    return uppers.own(home, container)


def read_config(home: Home, container: ContainerRecord) -> ContainerConfig:
    """What the container was made with; raises `StoreError`."""
    from layerkit.ops import container_config  # noqa: PLC0415  many only look

    path = folder_of(home, container) / "config.json"
    with files.guarded("read container"):
        text = path.read_bytes()
    try:
        return container_config.decode(text)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"cannot read container {container.name}: {path}: {error}") from None


def remove_container(home: Home, container: ContainerRecord) -> None:
    """Remove a container that does not run; raises `ConflictError` when it does."""
    hint = f"stop it first, or force it: layerkit rm -f {container.name}"
    lock = states.lock(home, container, "remove container", hint)
    try:
        discard(home, container)
    finally:
        lock.release()


def discard(home: Home, container: ContainerRecord) -> None:
    """As `remove_container`, for who knows that nothing runs in it any more."""
    mountpoints.release(mountpoints.place(home, container.id), container.name)
    if snapshots := home.store.database.snapshots_of(container.id):
        raise ConflictError(
            f"cannot remove container {container.name}: it has snapshots",
            hint=f"remove them first: layerkit snapshot rm {container.name}@{snapshots[0].name}",
        )
    home.store.database.delete_container(container.id)
    with files.guarded("remove container"):
        files.remove_tree(folder_of(home, container), home.store.scratch)
    uppers.sweep(home)
