"""Starts the monitor of a process."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit.sandbox import attach, monitor, plan, signals, terminal
from layerkit.sandbox.attach import ExitStatus, Manners, Stdio
from layerkit.sandbox.clients import Client
from layerkit.sandbox.frames import Hello
from layerkit.sandbox.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.sandbox.spec import SandboxSpec

__all__ = ["ExitStatus", "Stdio", "run", "start"]


class Running(Struct, frozen=True):
    """A process that was started, or will fail to be: its monitor, and a channel to that.

    The channel is the first one, which sets the pace of the container's output.
    """

    monitor: int
    channel: socket.socket


def start(job: Job, hello: Hello) -> Running:
    """Fork the monitor of `job`; the channel's first frames tell what became of it.

    The calling process must have one thread. It may end, and the monitor goes on.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with signals.held_back():
        pid = os.fork()
        if pid == 0:
            ours.close()
            monitor.run(job, Client(theirs, hello, paces=True))
    theirs.close()
    return Running(pid, ours)


def run(
    spec: SandboxSpec, stdio: Stdio, *, on_started: Callable[[int], None] | None = None
) -> ExitStatus:
    """Start the container of `spec`, be its terminal or its pipes, and wait until it ends.

    `on_started` is told the first process's pid on the host, once the program runs. There is no
    way to detach: a signal that would do so kills the container. When this raises, it is gone.

    Raises `SandboxError` naming the step that failed, `NotExecutableError` and
    `CommandNotFoundError` for the program, `UsageError` for a terminal that is none.
    """
    if spec.terminal and stdio.stdin is not None:
        terminal.require_terminal(stdio.stdin)
    takes_input = stdio.stdin is not None
    size = terminal.size(stdio.stdout, stdio.stdin)
    job = Job(
        plan.plan(spec), spec.process.args[0], spec.terminal, takes_input, clings=True, size=size
    )
    running = start(job, Hello(sends=takes_input, listens=True))
    manners = Manners(spec.terminal, detach_keys=())
    with running.channel:
        try:
            status = attach.attach(
                running.channel,
                stdio,
                manners,
                program=spec.process.args[0],
                on_started=on_started,
            )
        finally:
            _end(running)
    return status if isinstance(status, ExitStatus) else ExitStatus(signal=signal.SIGKILL)


def _end(running: Running) -> None:
    """See the monitor off, with the container if that still runs, since it clings to us."""
    running.channel.close()
    os.waitpid(running.monitor, 0)
