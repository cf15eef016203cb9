"""Start: a container that was made, with a monitor of its own beside it."""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError, LayerkitError
from layerkit.events import Notice, ignore
from layerkit.ops import connecting, containers, mountpoints, namespace, states, uppers
from layerkit.ops.surroundings import Surroundings
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
    container that runs or is mounted, `StoreError`, `SandboxError`; as `namespace.enter` for who is not root.
    """
    namespace.enter(home, containers.read_config(home, container).network)
    lock = _lock(home, container)
    with contextlib.ExitStack() as stack:
        stack.callback(lock.release)  # closes our end: the monitor has another one
        _refuse_mounted(home, container)
        uppers.settle(home, container)
        config = containers.read_config(home, container)
        if config.wishes.remove:
            stack.enter_context(_removed_on_failure(home, container))
        surroundings = Surroundings(home, container, config)
        stack.enter_context(_cleared_on_failure(surroundings))
        surroundings.make(partial(_warn, observe))
        spec = surroundings.spec(observe)
        steps = plan(spec)
        if explain is not None:
            _ = [explain(str(step)) for step in steps]
        folder = containers.folder_of(home, container)
        listener = stack.enter_context(_listen(folder))
        watch = Watch(
            log=partial(LogWriter, folder),
            listener=listener,
            began=surroundings.began,
            ended=surroundings.ended,
            discards=config.wishes.remove,
            afterwards=surroundings.afterwards,
            keep=(lock.descriptor, *surroundings.kept),
        )
        states.write(home, container, surroundings.run)
        job = Job(
            steps,
            spec.process.args[0],
            terminal=spec.terminal,
            takes_input=config.wishes.interactive,
            size=size,
            given=surroundings.given,
            watch=watch,
        )
        home.close()  # not to be open during a fork
        running = processes.start(job, hello)
    surroundings.let_go()
    return running


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
        (folder / connecting.SOCKET).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with connecting.in_folder(folder) as place:
            listener.bind(f"{place}/{connecting.SOCKET}")
        (folder / connecting.SOCKET).chmod(0o600)
        listener.listen()
    return listener
