"""Runs a container in the foreground: starts it, moves its bytes, passes signals on, waits."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.errors import CommandNotFoundError, NotExecutableError, SandboxError
from layerkit.sandbox import child, messages, plan, signals, terminal
from layerkit.sandbox.streams import Stdio, Streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.sandbox.relay import Pump
    from layerkit.sandbox.signals import Inbox
    from layerkit.sandbox.spec import SandboxSpec

__all__ = ["ExitStatus", "Stdio", "run"]

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_FORWARDED = (*_ENDING, signal.SIGUSR1, signal.SIGUSR2)
_REST = 100
"""Milliseconds after which a terminal that nobody in the container has open is looked at again."""


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How the container's first process ended: with `code`, or by `signal` (then `code` is 0)."""

    code: int = 0
    signal: int | None = None

    @property
    def shell_code(self) -> int:
        """The code as shells and docker give it: 128+n for signal n."""
        return self.code if self.signal is None else 128 + self.signal


def run(
    spec: SandboxSpec, stdio: Stdio, *, on_started: Callable[[int], None] | None = None
) -> ExitStatus:
    """Start the container of `spec`, be its terminal or its pipes, and wait until it ends.

    `on_started` is told the first process's pid on the host, once the program runs. Without a
    terminal TERM, INT, HUP, QUIT, USR1 and USR2 are passed on; with one its keys do that, and TERM,
    INT, HUP and QUIT from elsewhere kill the container. When this raises, the container is gone.

    Raises `SandboxError` naming the step that failed, `NotExecutableError` and
    `CommandNotFoundError` for the program, `UsageError` for a terminal that is none. The calling
    process must have one thread.
    """
    if spec.terminal and stdio.stdin is not None:
        terminal.require_terminal(stdio.stdin)
    caught = (*_ENDING, signal.SIGWINCH) if spec.terminal else _FORWARDED
    with contextlib.ExitStack() as stack:
        # A closed stdin of the container is an error of a write, whatever the caller set.
        inbox = stack.enter_context(signals.caught((*caught, signal.SIGPIPE)))
        container = _Container(spec, inbox, Streams(stdio, stack))
        stack.callback(container.end)
        container.start(terminal.size(stdio.stdout, stdio.stdin))
        return container.watch(on_started or _nobody)


class _Container:
    """The running container as its foreground process sees it."""

    def __init__(self, spec: SandboxSpec, inbox: Inbox, streams: Streams) -> None:
        self._spec = spec
        self._inbox = inbox
        self._streams = streams
        self._channel: socket.socket | None = None
        self._keeper = 0
        self._keeper_fd = -1
        self._status: int | None = None
        self._pid = 0
        self._pidfd = -1
        self._started = False
        self._signals: list[int] = []
        self._failure: messages.Failed | messages.NotExecuted | None = None

    def start(self, size: tuple[int, int] | None) -> None:
        """Fork the keeper and hand it the container's end of everything."""
        steps = plan.plan(self._spec)
        self._channel, channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ends = () if self._spec.terminal else self._streams.open_pipes()
        parent = os.getpid()
        try:
            with signals.held_back():
                self._keeper = os.fork()
                if self._keeper == 0:
                    child.keep(parent, channel.fileno(), steps, ends, size)
        finally:
            channel.close()
            for end in ends:
                if end is not None:
                    os.close(end)
        self._keeper_fd = os.pidfd_open(self._keeper)

    def watch(self, on_started: Callable[[int], None]) -> ExitStatus:
        """Serve the container until it has ended and all that it wrote has gone out."""
        told = False
        while self._turn():
            if self._started and not told:
                told = True
                on_started(self._pid)
        if self._failure is not None:
            raise _error(self._failure, self._spec.process.args[0])
        code = os.waitstatus_to_exitcode(self._status or 0)
        return ExitStatus(code) if code >= 0 else ExitStatus(signal=-code)

    def end(self) -> None:
        """Kill what still runs, all processes of the container with its first one, and clean up."""
        if self._keeper and self._status is None:
            self._kill()
            self._status = os.waitpid(self._keeper, 0)[1]
        for descriptor in (self._keeper_fd, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        if self._channel is not None:
            self._channel.close()

    @property
    def _ended(self) -> bool:
        return self._status is not None

    def _turn(self) -> bool:
        """Wait for something to happen and deal with it; False when there is nothing to wait for."""
        handlers = self._handlers()
        pumps = self._streams.active(ended=self._ended)
        events = dict.fromkeys(handlers, select.POLLIN)
        for descriptor, event in (pump.wanted() for pump in pumps):
            events[descriptor] = events.get(descriptor, 0) | event
        ready = _poll(events, self._patience(pumps))
        for pump in pumps:
            pump.move(ready.get(pump.wanted()[0], 0))
        for descriptor, handler in handlers.items():
            if descriptor in ready:
                handler()
        if not ready:
            self._streams.look_again()
        return bool(ready) or not self._ended

    def _patience(self, pumps: list[Pump]) -> int | None:
        """How long to wait, in milliseconds; None for ever."""
        if self._ended and not any(pump.holding for pump in pumps):
            return 0  # what a dead container left in its pipes is there at once or not at all
        return _REST if self._streams.resting else None

    def _handlers(self) -> dict[int, Callable[[], None]]:
        handlers = {self._inbox.fileno(): self._take_signals}
        if self._channel is not None:
            handlers[self._channel.fileno()] = self._receive
        if not self._ended:
            handlers[self._keeper_fd] = self._reap
        return handlers

    def _receive(self) -> None:
        assert self._channel is not None
        received = messages.receive(self._channel)
        match received:
            case None:
                self._channel.close()
                self._channel = None
                self._started = self._failure is None
                self._pass_on()
            case messages.Forked(pid), [pidfd]:
                self._pid, self._pidfd = pid, pidfd
            case messages.Opened(), [master]:
                self._streams.open_terminal(master)
            case messages.Failed() | messages.NotExecuted() as failure, _:
                self._failure = failure
            case _:
                raise SandboxError(f"unexpected message of the container: {received}")

    def _reap(self) -> None:
        self._status = os.waitpid(self._keeper, 0)[1]
        self._streams.look_again()

    def _take_signals(self) -> None:
        for number in self._inbox.take():
            if number == signal.SIGWINCH:
                self._streams.resize()
            elif number == signal.SIGPIPE:
                pass
            elif self._spec.terminal:
                self._kill()
            else:
                self._signals.append(number)
        self._pass_on()

    def _pass_on(self) -> None:
        """Send the signals that wait, once there is a program to get them."""
        while self._started and self._signals:
            self._send(self._signals.pop(0))

    def _kill(self) -> None:
        if self._pidfd >= 0:
            self._send(signal.SIGKILL)
        else:
            os.kill(self._keeper, signal.SIGKILL)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)


def _nobody(_pid: int) -> None:
    """Nobody wants to know."""


def _poll(events: dict[int, int], patience: int | None) -> dict[int, int]:
    poller = select.poll()
    for descriptor, event in events.items():
        poller.register(descriptor, event)
    return dict(poller.poll(patience))


def _error(failure: messages.Failed | messages.NotExecuted, program: str) -> SandboxError:
    match failure:
        case messages.Failed(step="", text=text):
            return SandboxError(text)
        case messages.Failed(step=step, text=text):
            return SandboxError(f"cannot {step}: {text}")
        case messages.NotExecuted(number=number, found=found):
            return _not_executed(number, program, found=found)


def _not_executed(number: int, program: str, *, found: bool) -> SandboxError:
    reason = os.strerror(number)
    if number not in {errno.ENOENT, errno.ENOTDIR}:
        hint = "it is made for another machine, or is a script without a #! line"
        return NotExecutableError(
            f"cannot execute {program!r}: {reason}", hint=hint if number == errno.ENOEXEC else ""
        )
    if found:
        reason = "its interpreter or loader is not in the image"
    elif "/" not in program:
        reason = "executable file not found in $PATH"
    return CommandNotFoundError(f"cannot execute {program!r}: {reason}")
