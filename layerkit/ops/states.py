"""What containers do now: `state.json` in their folders, and the lock that says it still holds."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from layerkit.errors import ConflictError, StoreError
from layerkit.ports import Publication
from layerkit.store import files

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.ops.home import Home
    from layerkit.store.files import Lock
    from layerkit.store.records import ContainerRecord

_PAUSED = "paused"
LOST = 255
"""The exit code of a container whose monitor was killed, so nobody saw how it ended."""


class Run(Struct, frozen=True):
    """One run of a container, as its monitor wrote it; times in seconds since 1970.

    `address` and `ports` are those of its network, `pid` that of the first process on the host.
    `error` tells why it could not be started.
    """

    started: float
    pid: int | None = None
    address: str = ""
    ports: tuple[Publication, ...] = ()
    finished: float | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""


class ContainerState(Struct, frozen=True):
    """`status` is created, running, paused or exited; `run` the last run, if there was one.

    One that is lost had a monitor that was killed, so nobody cleared up.
    """

    status: str
    run: Run | None = None
    is_lost: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it has a first process, be it paused."""
        return self.status in {"running", "paused"}

    @property
    def exit_code(self) -> int | None:
        """How the last run ended."""
        return self.run.exit_code if self.run else None

    @property
    def started(self) -> float | None:
        """When the last run began."""
        return self.run.started if self.run else None

    @property
    def finished(self) -> float | None:
        """When the last run ended."""
        return self.run.finished if self.run else None

    @property
    def pid(self) -> int | None:
        """The first process on the host, while it runs."""
        return self.run.pid if self.run and self.is_running else None


def read(home: Home, container: ContainerRecord) -> ContainerState:
    """What the container does now; raises `StoreError`.

    It runs as long as its monitor holds its lock and has not written its end.
    """
    folder = home.containers / container.id
    with files.guarded("read container"):
        return _read(folder)


def _read(folder: Path) -> ContainerState:
    is_held, run = _seen(folder)
    if run is None or (is_held and run.pid is None and run.finished is None):
        return ContainerState("created")
    if run.finished is not None:
        return ContainerState("exited", run)
    if is_held:
        return ContainerState("paused" if (folder / _PAUSED).exists() else "running", run)
    last_seen = (folder / "state.json").stat().st_mtime
    lost = replace(run, finished=last_seen, exit_code=LOST)
    return ContainerState("exited", lost, is_lost=True)


def is_marked(home: Home, container: ContainerRecord) -> bool:
    """Whether the container is paused, if it runs; else it was when it ended."""
    return (home.containers / container.id / _PAUSED).exists()


def mark_paused(home: Home, container: ContainerRecord, *, paused: bool) -> None:
    """Record whether the container, as long as it runs, is paused."""
    mark = home.containers / container.id / _PAUSED
    with files.guarded("write container state"):
        if paused:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)


def _seen(folder: Path) -> tuple[bool, Run | None]:
    """Whether a monitor holds the lock, and the last run, both at one moment.

    A start or an end between two looks must not pass for a monitor that was killed.
    """
    run = _read_run(folder / "state.json")
    while True:
        is_held = _is_locked(folder / "lock")
        before, run = run, _read_run(folder / "state.json")
        if run == before:
            return is_held, run


def write(home: Home, container: ContainerRecord, run: Run) -> None:
    """Record how far a run is."""
    with files.guarded("write container state"):
        target = home.containers / container.id / "state.json"
        # No more durable than the run itself, which a power failure ends.
        files.write_whole(target, msgspec.json.encode(run), home.store.scratch, durable=False)


def lock(home: Home, container: ContainerRecord, what: str, hint: str = "") -> Lock:
    """The lock of a container that does not run, taken; who has it for a moment is waited for.

    That may be a monitor that has told the end already. Raises `ConflictError` while it runs.
    """

    def refuse_running() -> None:
        if read(home, container).is_running:
            raise ConflictError(f"cannot {what} {container.name}: it is running", hint=hint)

    lock = files.Lock(home.containers / container.id / "lock")
    with files.guarded("lock container"):
        lock.acquire(refuse_running)
    return lock


def now() -> float:
    """The time as it is written here."""
    return time.time()


def _read_run(path: Path) -> Run | None:
    try:
        values = json.loads(path.read_bytes())
        ports = tuple(Publication(**each) for each in values.pop("ports", ()))
        return Run(ports=ports, **values)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"cannot read container: {path}: {error}") from None


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
