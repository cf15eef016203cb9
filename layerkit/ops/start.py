"""Start: a container that was made, with a monitor of its own beside it."""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError, LayerkitError
from layerkit.events import Notice, ignore
from layerkit.ops import (
    connecting,
    containers,
    mountpoints,
    namespace,
    pause,
    states,
    uppers,
    volumes,
)
from layerkit.ops.surroundings import Surroundings
from layerkit.sandbox import process as processes
from layerkit.sandbox.job import Job, Watch
from layerkit.sandbox.log import LogWriter
from layerkit.sandbox.plan import plan
from layerkit.store.files import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from layerkit.events import Observer
    from layerkit.mount import Mount
    from layerkit.ops.container_config import ContainerConfig
    from layerkit.ops.home import Home
    from layerkit.sandbox.frames import Hello
    from layerkit.sandbox.process import Running
    from layerkit.sandbox.steps import Step
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
    lock = states.lock(home, container, "start container")
    with contextlib.ExitStack() as stack:
        stack.callback(lock.release)  # closes our end: the monitor has another one
        _settle(home, container)
        config = containers.read_config(home, container)
        if config.wishes.remove:
            stack.enter_context(_removed_on_failure(home, container, config.wishes.mounts))
        surroundings = Surroundings(home, container, config)
        stack.enter_context(_cleared_on_failure(surroundings))
        surroundings.make(partial(_warn, observe))
        steps = _explained(plan(surroundings.spec(observe)), explain)
        folder = containers.folder_of(home, container)
        watch = Watch(
            log=partial(LogWriter, folder),
            listener=stack.enter_context(_listen(folder)),
            began=surroundings.began,
            ended=surroundings.ended,
            afterwards=surroundings.afterwards,
            discards=config.wishes.remove,
            keep=(lock.descriptor, *surroundings.kept),
        )
        states.write(home, container, surroundings.run)
        home.close()  # not to be open during a fork
        running = processes.start(_job(steps, config, size, surroundings.given, watch), hello)
    surroundings.let_go()
    return running


def _job(
    steps: Sequence[Step],
    config: ContainerConfig,
    size: tuple[int, int] | None,
    given: tuple[int, ...],
    watch: Watch,
) -> Job:
    return Job(
        steps,
        config.process.args[0],
        terminal=config.wishes.tty,
        takes_input=config.wishes.interactive,
        size=size,
        given=given,
        watch=watch,
    )


def _explained(steps: Sequence[Step], explain: Callable[[str], None] | None) -> Sequence[Step]:
    for step in steps if explain is not None else ():
        assert explain is not None
        explain(str(step))
    return steps


@contextlib.contextmanager
def _cleared_on_failure(surroundings: Surroundings) -> Iterator[None]:
    try:
        yield
    except BaseException:
        surroundings.clear()
        raise


@contextlib.contextmanager
def _removed_on_failure(
    home: Home, container: ContainerRecord, mounts: tuple[Mount, ...]
) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(LayerkitError):
            containers.discard(home, container)
            volumes.remove_unnamed(home, mounts)
        raise


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
        (folder / connecting.SOCKET).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with connecting.in_folder(folder) as place:
            listener.bind(f"{place}/{connecting.SOCKET}")
        (folder / connecting.SOCKET).chmod(0o600)
        listener.listen()
    return listener
