"""Run: a new container of an image, and its command to the end or in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.errors import SandboxError
from layerkit.events import ignore
from layerkit.ops import containers
from layerkit.ops.create import create
from layerkit.ops.start import start
from layerkit.sandbox import attach as attachments
from layerkit.sandbox import frames, messages, terminal
from layerkit.sandbox.attach import Detached, ExitStatus, Manners, Stdio
from layerkit.sandbox.frames import Hello
from layerkit.sandbox.terminal import require_terminal

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from layerkit.events import Observer
    from layerkit.ops.home import Home
    from layerkit.ops.wishes import Wishes
    from layerkit.store.records import ContainerRecord, ImageRecord

__all__ = [
    "Detached",
    "ExitStatus",
    "Manners",
    "Stdio",
    "require_terminal",
    "run",
    "start_attached",
    "start_detached",
]


def run(
    home: Home,
    wishes: Wishes,
    *,
    stdio: Stdio,
    manners: Manners,
    pull: Callable[[str], ImageRecord],
    observe: Observer = ignore,
) -> ExitStatus | Detached:
    """Make a container, run its process to the end or until the user leaves, and tell which.

    `pull` brings the image when it is not here; `observe` is told what the file system does not
    keep of it. Raises `SandboxError` and its kinds when the process could not be started, and what
    `pull` and the store raise.
    """
    if wishes.tty and stdio.stdin is not None:
        require_terminal(stdio.stdin)
    container = create(home, wishes, pull=pull, observe=observe)
    return start_attached(home, container, stdio=stdio, manners=manners, observe=observe)


def start_attached(
    home: Home,
    container: ContainerRecord,
    *,
    stdio: Stdio,
    manners: Manners,
    explain: Callable[[str], None] | None = None,
    observe: Observer = ignore,
) -> ExitStatus | Detached:
    """Start a container that was made, and be its terminal or pipes; as `run`.

    `explain` is told the steps of the start before they are made, `observe` what cannot be had.
    """
    program = containers.read_config(home, container).process.args[0]
    hello = Hello(sends=stdio.stdin is not None, listens=True)
    size = terminal.size(stdio.stdout, stdio.stdin)
    running = start(home, container, hello, size=size, explain=explain, observe=observe)
    with running.channel as channel:
        return attachments.attach(channel, stdio, manners, program=program)


def start_detached(
    home: Home,
    container: ContainerRecord,
    *,
    explain: Callable[[str], None] | None = None,
    observe: Observer = ignore,
) -> None:
    """Start a container that was made, and wait until its program runs; raises as `run`.

    `explain` is told the steps of the start before they are made, `observe` what cannot be had.
    """
    program = containers.read_config(home, container).process.args[0]
    running = start(home, container, Hello(), explain=explain, observe=observe)
    with running.channel as channel:
        await_start(channel, program)


def await_start(channel: socket.socket, program: str) -> None:
    """Wait until the program of a monitor's container runs; raises `SandboxError` if it never does."""
    while True:
        match frames.receive(channel):
            case frames.Started() | frames.Ended():
                return
            case frames.Failed(packet):
                raise messages.error(messages.decode(packet), program)
            case None:
                raise SandboxError("cannot start the container: its monitor was killed")
