"""Attach: the terminal or the pipes of a container that runs already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from layerkit.errors import ConflictError
from layerkit.ops import containers, states
from layerkit.ops.connecting import connect
from layerkit.sandbox import attach as attachments
from layerkit.sandbox import terminal
from layerkit.sandbox.frames import Hello

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.sandbox.attach import Detached, ExitStatus, Manners, Stdio
    from layerkit.store.records import ContainerRecord


def attach(
    home: Home, container: ContainerRecord, stdio: Stdio, manners: Manners
) -> ExitStatus | Detached:
    """See what a container writes from now on, and give it input, until it ends or the user leaves.

    Whether it has a terminal, and takes input, is the container's matter. Raises `ConflictError`
    for one that does not run or is paused, `UsageError` for input that is no terminal where it has
    one.
    """
    state = states.read(home, container)
    if state.status == "paused":
        raise ConflictError(
            f"cannot attach to container {container.name}: it is paused",
            hint=f"layerkit unpause {container.name}",
        )
    wishes = containers.read_config(home, container).wishes
    if not wishes.interactive:
        stdio = replace(stdio, stdin=None)
    if wishes.tty and stdio.stdin is not None:
        terminal.require_terminal(stdio.stdin)
    hello = Hello(sends=stdio.stdin is not None, listens=True)
    with connect(home, container, hello) as channel:
        return attachments.attach(channel, stdio, replace(manners, terminal=wishes.tty))
