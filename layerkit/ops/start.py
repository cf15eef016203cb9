"""Start: a container that was made, with a monitor of its own beside it."""

from __future__ import annotations

import contextlib
import os
import socket
from functools import partial
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError, LayerkitError
from layerkit.events import Notice, ignore
from layerkit.ops import containers, mountpoints, pause, states, uppers
from layerkit.ops.surroundings import Surroundings
from layerkit.sandbox import frames
from layerkit.sandbox import process as processes
from layerkit.sandbox.log import LogWriter
from layerkit.sandbox.monitor import Job, Watch
from layerkit.sandbox.plan import plan
from layerkit.store.files import Lock, guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layerkit.events import Observer
    from layerkit.ops.home import Home
    from layerkit.sandbox.frames import Hello
    from layerkit.sandbox.process import Running
    from layerkit.store.records import ContainerRecord

_SOCKET = "attach.sock"


def start(
    home: Home,
    container: ContainerRecord,
    hello: Hello,
    *,
    size: tuple[int, int] | None = None,
    explain: Callable[[str], None] | None = None,
    observe: Observer = ignore,
) -> Running:
    """Fork the monitor of the container; what comes through its channel tells how that went.

    `hello` is what the caller wants of it as its first client, `size` that of his terminal.
    `explain` is told the steps of the start before they are made. Raises `ConflictError` for a
    container that runs or is mounted, `StoreError`, `SandboxError`.
    """
    lock = _lock(home, container)
    with contextlib.ExitStack() as stack:
        stack.callback(lock.release)  # closes our end: the monitor has another one
        _settle(home, container)
        config = containers.read_config(home, container)
        if config.wishes.remove:
            stack.enter_context(_removed_on_failure(home, container))
        surroundings = Surroundings(home, container, config)
        stack.enter_context(_cleared_on_failure(surroundings))
        surroundings.make(partial(_warn, observe))
        spec = surroundings.spec(observe)
        steps = plan(spec)
        for step in steps if explain is not None else ():
            assert explain is not None
            explain(str(step))
        folder = containers.folder_of(home, container)
        listener = stack.enter_context(_listen(folder))
        watch = Watch(
            log=partial(LogWriter, folder),
            listener=listener,
            began=surroundings.began,
            ended=surroundings.ended,
            discards=config.wishes.remove,
            keep=(lock.descriptor,),
        )
        states.write(home, container, surroundings.run)
        job = Job(
            steps,
            spec.process.args[0],
            terminal=spec.terminal,
            takes_input=config.wishes.interactive,
            size=size,
            watch=watch,
        )
        home.close()  # not to be open during a fork
        return processes.start(job, hello)


@contextlib.contextmanager
def _cleared_on_failure(surroundings: Surroundings) -> Iterator[None]:
    try:
        yield
    except BaseException:
        surroundings.clear()
        raise


@contextlib.contextmanager
def _removed_on_failure(home: Home, container: ContainerRecord) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(LayerkitError):
            containers.discard(home, container)
        raise


def _lock(home: Home, container: ContainerRecord) -> Lock:
    """The lock of a container that does not run; who has it for a moment is waited for."""

    def refuse_running() -> None:
        if states.read(home, container).is_running:
            raise ConflictError(f"cannot start container {container.name}: it is running")

    lock = Lock(containers.folder_of(home, container) / "lock")
    with guarded("lock container"):
        lock.acquire(refuse_running)
    return lock


def _settle(home: Home, container: ContainerRecord) -> None:
    """Bring in order what earlier runs left; raises `ConflictError` if it is mounted."""
    _refuse_mounted(home, container)
    uppers.settle(home, container)
    pause.clear(home, container)


def _refuse_mounted(home: Home, container: ContainerRecord) -> None:
    if mountpoints.types(mountpoints.place(home, container.id)):
        raise ConflictError(
            f"cannot start container {container.name}: it is mounted",
            hint=f"layerkit umount {container.name}",
        )


def _warn(observe: Observer, text: str) -> None:
    observe(Notice("warning", text))


def _listen(folder: Path) -> socket.socket:
    """The socket at which the monitor takes clients."""
    with guarded("make container"):
        (folder / _SOCKET).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with _in_folder(folder) as place:
            listener.bind(f"{place}/{_SOCKET}")
        (folder / _SOCKET).chmod(0o600)
        listener.listen()
    return listener


def connect(home: Home, container: ContainerRecord, hello: Hello) -> socket.socket:
    """A channel to the monitor of a container; raises `ConflictError` when it does not run."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _in_folder(containers.folder_of(home, container)) as place:
            channel.connect(f"{place}/{_SOCKET}")
        frames.send(channel, hello)
    except OSError:
        channel.close()
        raise ConflictError(f"container {container.name} is not running") from None
    return channel


@contextlib.contextmanager
def _in_folder(folder: Path) -> Iterator[str]:
    """A name for the folder that is short enough for a socket's address, 107 bytes."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
