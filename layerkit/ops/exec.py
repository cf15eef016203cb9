"""Exec: one more process in a container that runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit.errors import ConflictError
from layerkit.ops import connecting, containers, namespace, rights, states
from layerkit.ops.run import await_start
from layerkit.sandbox import attach as attachments
from layerkit.sandbox import ids, terminal
from layerkit.sandbox import process as processes
from layerkit.sandbox.cgroups import group as groups
from layerkit.sandbox.frames import Hello
from layerkit.sandbox.job import Job
from layerkit.sandbox.plan import plan_exec
from layerkit.sandbox.spec import ExecSpec, exec_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.ops.home import Home
    from layerkit.sandbox.attach import Detached, ExitStatus, Manners, Stdio
    from layerkit.sandbox.process import Running
    from layerkit.store.records import ContainerRecord


class ExecWishes(Struct, frozen=True):
    """What the user asks for; None where the container decides."""

    command: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str | None = None
    workdir: str | None = None
    tty: bool = False
    privileged: bool = False


def execute(
    home: Home, container: ContainerRecord, wishes: ExecWishes, stdio: Stdio, manners: Manners
) -> ExitStatus | Detached:
    """Run a process to its end, or until the user leaves.

    Raises `ConflictError` for a container that does not run or is paused, `SandboxError` and its
    kinds when the process could not be started.
    """
    if wishes.tty and stdio.stdin is not None:
        terminal.require_terminal(stdio.stdin)
    takes_input = stdio.stdin is not None
    hello = Hello(sends=takes_input, listens=True)
    size = terminal.size(stdio.stdout, stdio.stdin)
    running = _start(home, container, wishes, hello, size)
    with running.channel as channel:
        return attachments.attach(channel, stdio, manners, program=wishes.command[0])


def execute_detached(home: Home, container: ContainerRecord, wishes: ExecWishes) -> None:
    """As `execute`, only until the program runs."""
    running = _start(home, container, wishes, Hello(), None)
    with running.channel as channel:
        await_start(channel, wishes.command[0])


def _start(
    home: Home,
    container: ContainerRecord,
    wishes: ExecWishes,
    hello: Hello,
    size: tuple[int, int] | None,
) -> Running:
    if states.read(home, container).status == "paused":
        raise ConflictError(
            f"cannot run a command in container {container.name}: it is paused",
            hint=f"layerkit unpause {container.name}",
        )
    namespace.join(home, container)
    spec = _spec(home, container, wishes, _ignore)
    target = connecting.first_process(home, container)
    try:
        job = Job(
            plan_exec(spec),
            wishes.command[0],
            terminal=wishes.tty,
            takes_input=hello.sends,
            size=size,
            join=target,
        )
        return processes.start(job, hello)
    finally:
        os.close(target)


def _spec(
    home: Home, container: ContainerRecord, wishes: ExecWishes, warn: Callable[[str], None]
) -> ExecSpec:
    config = containers.read_config(home, container)
    process = exec_process(
        config.process,
        args=wishes.command,
        env=wishes.env,
        user=wishes.user,
        workdir=wishes.workdir,
        terminal=wishes.tty,
    )
    group = groups.find(container.id)
    given = rights.find(home, config.wishes, warn, privileged=wishes.privileged)
    return ExecSpec(
        process,
        terminal=wishes.tty,
        cgroup=None if group is None else group.plan(),
        ids=ids.of_this_process(),
        **given._asdict(),
    )


def _ignore(_note: str) -> None:
    """Whoever started the container was told."""
