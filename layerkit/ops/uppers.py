"""The directories with what containers changed: each has one of its own, snapshots froze others.

A container stands on a chain of frozen uppers, oldest first, which nobody writes to any more; its own
is above them. A snapshot first is a record, which makes the container's chain longer by one, then its
directory: `settle` moves the container's own upper there. So what is missing there after a crash
tells what is still to be done.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError, NotFoundError
from layerkit.store import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord


def own(home: Home, container: ContainerRecord) -> Path:
    """The directory that a container writes to."""
    return home.containers / container.id / "upper"


def frozen(home: Home, chain: tuple[str, ...]) -> tuple[Path, ...]:
    """The directories of a chain, oldest first."""
    return tuple(home.snapshots / each / "upper" for each in chain)


def require(home: Home, chain: tuple[str, ...]) -> None:
    """Raise `NotFoundError` where some of a chain went away; inside a transaction it then stays."""
    if not all(path.is_dir() for path in frozen(home, chain)):
        raise NotFoundError("the snapshot was removed meanwhile")


def make(upper: Path, like: Path) -> None:
    """Make an empty upper that gives a container's root the owner, mode, time and xattrs of `like`."""
    upper.mkdir(mode=0o700)
    status = like.stat()
    os.chown(upper, status.st_uid, status.st_gid)
    shutil.copystat(like, upper)
    for name in os.listxattr(upper):
        if name.startswith("trusted.overlay."):  # what overlayfs noted of `like` itself
            os.removexattr(upper, name)


def _lock(home: Home, container: ContainerRecord) -> Path:
    return home.containers / container.id / "lock"


@contextlib.contextmanager
def locked(home: Home, container: ContainerRecord, what: str) -> Iterator[None]:
    """Keep a container from being started; raises `ConflictError` while it runs."""

    def refuse() -> None:
        raise ConflictError(
            f"cannot {what} {container.name}: it is running", hint="let it end first"
        )

    lock = files.Lock(_lock(home, container))
    with files.guarded("lock container"):
        lock.acquire(refuse)
    try:
        yield
    finally:
        lock.release()


def above(home: Home, container: ContainerRecord) -> tuple[Path, ...]:
    """All uppers of a container, the oldest first, its own last."""
    paths = (*frozen(home, container.chain), own(home, container))
    if container.chain and not all(path.is_dir() for path in paths[-2:]):
        with files.guarded("lock container"), files.Lock(_lock(home, container)):
            settle(home, container)
    return paths


def settle(home: Home, container: ContainerRecord) -> None:
    """Bring the directories to what the record says by now; by who has the container's lock."""
    (container,) = home.store.database.containers_named(container.id)
    if not container.chain:
        return
    upper, (last,) = own(home, container), frozen(home, container.chain[-1:])
    with files.guarded("freeze"):
        if not last.exists():
            last.parent.mkdir(mode=0o700, exist_ok=True)
            os.rename(upper, last)
            files.sync_directory(last.parent)
            files.sync_directory(home.snapshots)
        if not upper.exists():
            beside = upper.with_name("upper.new")
            files.remove_tree(beside, home.store.scratch)
            make(beside, last)
            os.rename(beside, upper)
            files.sync_directory(upper.parent)


def sweep(home: Home) -> None:
    """Remove the frozen uppers that no container and no snapshot needs."""
    database = home.store.database
    with database.transaction():  # so that nobody stands on one of them meanwhile
        chains = [each.chain for each in database.containers()]
        chains += [each.chain for each in database.snapshots()]
        needed = {each for chain in chains for each in chain}
        with files.guarded("remove snapshot"):
            for name in set(os.listdir(home.snapshots)) - needed:
                files.remove_tree(home.snapshots / name, home.store.scratch)
