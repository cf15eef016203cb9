"""What a monitor is told to start, and to do around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from layerkit.sandbox.steps import Step


class Log(Protocol):
    """What keeps all output."""

    def write(self, stream: str, data: bytes) -> None:
        """Keep what was written to stdout or stderr."""

    def close(self) -> None:
        """Keep what is still held."""


def _nobody(_number: int) -> None:
    """Nobody wants to know."""


def _nothing() -> None:
    """As above."""


def _nobody_else(_code: int, _failure: str) -> None:
    """As above."""


class Watch(Struct, frozen=True):
    """What goes on around a process, done by its monitor.

    `began` is called with the first process's pid when the program runs, `ended` with the code as
    shells have it, and why if it never ran, when there is no more output; both before any client is
    told, and `afterwards` when they were; with `discards`, the container's mounts are gone by then. `log` opens what keeps the
    output; `listener` takes clients; `keep` are descriptors that are to stay open as long as the
    monitor is there.
    """

    log: Callable[[], Log] | None = None
    listener: socket.socket | None = None
    began: Callable[[int], None] = _nobody
    ended: Callable[[int, str], None] = _nobody_else
    afterwards: Callable[[], None] = _nothing
    discards: bool = False
    keep: tuple[int, ...] = ()


class Job(Struct, frozen=True):
    """A process to start by its `plan`, which executes `program`, in new namespaces or in those of the
    process `join` (a pidfd).

    With `takes_input` its standard input is open for what clients send; with `clings` it is killed
    when its first client goes. `given` are descriptors that the plan speaks of, `size` is that of its
    terminal.
    """

    plan: Sequence[Step]
    program: str
    terminal: bool = False
    takes_input: bool = False
    clings: bool = False
    given: tuple[int, ...] = ()
    size: tuple[int, int] | None = None
    join: int | None = None
    watch: Watch = field(default_factory=Watch)
