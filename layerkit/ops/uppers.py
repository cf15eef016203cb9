"""The folders with what containers changed: each has one of its own, snapshots froze others.

A container stands on a chain of frozen folders, oldest first, to which nobody writes any more; its own
is above them. A snapshot first is a record, which makes the container's chain longer by one, then its
folder: `settle` brings what the container changed there. So what is missing there after a crash tells
what is still to be done.

What a folder holds, in one directory, is the driver's matter: only what changed, which is moved from
one folder to the other, or everything, which is copied.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError, NotFoundError
from layerkit.ops import mountpoints, states
from layerkit.snapshot.copied import clone
from layerkit.snapshot.layered import make_upper
from layerkit.snapshot.upper import read_root
from layerkit.store import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layerkit.ops.home import Home
    from layerkit.snapshot.driver import Driver
    from layerkit.store.records import ContainerRecord


def own(home: Home, container: ContainerRecord) -> Path:
    """The directory that a container writes to."""
    return home.containers / container.id / home.drivers[container.driver].directory


def frozen(home: Home, chain: tuple[str, ...]) -> tuple[Path, ...]:
    """The folders of a chain, oldest first."""
    return tuple(home.snapshots / each for each in chain)


def seen(home: Home, driver: str, folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """The directories of folders that stand on each other, as far as they are seen through it."""
    found = home.drivers[driver]
    return tuple(each / found.directory for each in (folders if found.is_layered else folders[-1:]))


def require(home: Home, driver: str, chain: tuple[str, ...]) -> None:
    """Raise `NotFoundError` where some of a chain went away; inside a transaction it then stays."""
    directory = home.drivers[driver].directory
    if not all((path / directory).is_dir() for path in frozen(home, chain)):
        raise NotFoundError("the snapshot was removed meanwhile")


def _lock(home: Home, container: ContainerRecord) -> Path:
    return home.containers / container.id / "lock"


@contextlib.contextmanager
def locked(
    home: Home, container: ContainerRecord, what: str, *, mounted: bool = False
) -> Iterator[None]:
    """Keep a container from being started; raises `ConflictError` while it runs.

    So it does while it is mounted, where that is not what is wanted: nobody may move what a mount
    writes to.
    """

    def refuse() -> None:
        # Its monitor has the lock for a moment longer than the container runs.
        if states.read(home, container).status != "exited":
            raise ConflictError(
                f"cannot {what} {container.name}: it is running", hint="let it end first"
            )

    lock = files.Lock(_lock(home, container))
    with files.guarded("lock container"):
        lock.acquire(refuse)
    try:
        if not mounted and mountpoints.types(mountpoints.place(home, container.id)):
            raise ConflictError(
                f"cannot {what} {container.name}: it is mounted",
                hint=f"layerkit umount {container.name}",
            )
        yield
    finally:
        lock.release()


def above(home: Home, container: ContainerRecord) -> tuple[Path, ...]:
    """All folders of a container, the oldest first, its own last, settled."""
    paths = (*frozen(home, container.chain), home.containers / container.id)
    directory = home.drivers[container.driver].directory
    if container.chain and not all((path / directory).is_dir() for path in paths[-2:]):
        with files.guarded("lock container"), files.Lock(_lock(home, container)):
            settle(home, container)
    return paths


def settle(home: Home, container: ContainerRecord) -> None:
    """Bring the folders to what the record says by now; by who has the container's lock."""
    (container,) = home.store.database.containers_named(container.id)
    if not container.chain:
        return
    driver = home.drivers[container.driver]
    mine, last = own(home, container), home.snapshots / container.chain[-1] / driver.directory
    with files.guarded("freeze"):
        if not last.exists():
            last.parent.mkdir(mode=0o700, exist_ok=True)
            if driver.is_layered:
                os.rename(mine, last)
            else:
                _build(home, last, lambda beside: clone(mine, beside))
            files.sync_directory(last.parent)
            files.sync_directory(home.snapshots)
        if not mine.exists():
            _build(home, mine, lambda beside: _renew(driver, last, beside))


@contextlib.contextmanager
def aside(home: Home, container: ContainerRecord) -> Iterator[None]:
    """Put aside what a container changed, for good when the block ends well; who has its lock may."""
    mine = own(home, container)
    away = mine.with_name(f"{mine.name}.old")
    with files.guarded("put aside"):
        files.remove_tree(away, home.store.scratch)
        os.rename(mine, away)
        try:
            yield
        except BaseException:
            os.rename(away, mine)
            raise
        files.remove_tree(away, home.store.scratch)


def _renew(driver: Driver, last: Path, directory: Path) -> None:
    """Make the directory of a container that goes on from the frozen one `last`."""
    if driver.is_layered:
        make_upper(directory, read_root(last))
    else:
        clone(last, directory)


def _build(home: Home, path: Path, work: Callable[[Path], None]) -> None:
    """Let work make a directory beside `path`, and then give it the name."""
    beside = path.with_name(f"{path.name}.new")
    files.remove_tree(beside, home.store.scratch)
    work(beside)
    os.rename(beside, path)
    files.sync_directory(path.parent)


def sweep(home: Home) -> None:
    """Remove the frozen folders that no container and no snapshot needs."""
    database = home.store.database
    with database.transaction():  # so that nobody stands on one of them meanwhile
        chains = [each.chain for each in database.containers()]
        chains += [each.chain for each in database.snapshots()]
        needed = {each for chain in chains for each in chain}
        with files.guarded("remove snapshot"):
            for name in set(os.listdir(home.snapshots)) - needed:
                files.remove_tree(home.snapshots / name, home.store.scratch)
