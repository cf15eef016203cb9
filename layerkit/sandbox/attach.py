"""A client of a monitor: joins the user's standard streams to a container until one of them ends."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit.errors import SandboxError
from layerkit.sandbox import frames, messages, poller, signals, terminal
from layerkit.sandbox.detach import CTRL_P_CTRL_Q, Keys
from layerkit.sandbox.poller import READ, WRITE
from layerkit.sandbox.relay import CHUNK, Sink

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from layerkit.sandbox.poller import Waiting
    from layerkit.sandbox.signals import Inbox

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_FORWARDED = (*_ENDING, signal.SIGUSR1, signal.SIGUSR2)


class Stdio(Struct, frozen=True):
    """The user's descriptors; `stdin` is None where the container gets no input (no `-i`).

    They are read and written, never changed or closed. With a terminal all output goes to `stdout`.
    """

    stdin: int | None
    stdout: int
    stderr: int


class ExitStatus(Struct, frozen=True):
    """How a first process ended: with `code`, or by `signal` (then `code` is 0)."""

    code: int = 0
    signal: int | None = None

    @property
    def shell_code(self) -> int:
        """The code as shells and docker give it: 128+n for signal n."""
        return self.code if self.signal is None else 128 + self.signal


class Manners(Struct, frozen=True):
    """How to attach: whether the container has a terminal, the keys that detach from it, and
    whether signals that we get are passed on, where it has none.
    """

    terminal: bool = False
    detach_keys: tuple[int, ...] = CTRL_P_CTRL_Q
    passes_signals: bool = True


class Detached(Struct, frozen=True):
    """The user left, by keys or because of a `signal`, and the container goes on."""

    signal: int | None = None

    @property
    def shell_code(self) -> int:
        """The code to end with: 0 for keys, as docker has it."""
        return 0 if self.signal is None else 128 + self.signal


def attach(
    channel: socket.socket,
    stdio: Stdio,
    manners: Manners,
    *,
    program: str = "",
    on_started: Callable[[int], None] | None = None,
) -> ExitStatus | Detached:
    """Be the terminal or the pipes of the container behind `channel`, until it ends or the user leaves.

    The Hello was said by whoever opened the channel. Without a terminal TERM, INT, HUP, QUIT, USR1
    and USR2 are passed on; with one its keys do that, and those that end a process end this.
    `on_started` is told the first process's pid when its program runs. Raises `SandboxError` and
    its kinds where it never did, `program` being its name.
    """
    if manners.terminal:
        caught: tuple[signal.Signals, ...] = (*_ENDING, signal.SIGWINCH)
    else:
        caught = _FORWARDED if manners.passes_signals else ()
    with contextlib.ExitStack() as stack:
        # A reader of ours that went away is an error of a write, whatever the caller set.
        inbox = stack.enter_context(signals.caught((*caught, signal.SIGPIPE)))
        if manners.terminal and stdio.stdin is not None:
            stack.enter_context(terminal.raw(stdio.stdin))
        attachment = _Attachment(channel, stdio, manners, inbox)
        return attachment.run(program, on_started)


class _Attachment:
    def __init__(
        self, channel: socket.socket, stdio: Stdio, manners: Manners, inbox: Inbox
    ) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._stdin = stdio.stdin
        self._stdio = stdio
        self._manners = manners
        self._inbox = inbox
        is_typed = stdio.stdin is not None and os.isatty(stdio.stdin) and manners.terminal
        self._keys = Keys(manners.detach_keys if is_typed else ())
        self._sinks = {1: Sink(stdio.stdout), 2: Sink(stdio.stderr)}
        self._given: dict[int, collections.deque[bytes | memoryview]] = {
            stream: collections.deque() for stream in self._sinks
        }
        self._to_send: collections.deque[frames.Frame] = collections.deque()
        self._under_way = 0
        self._unread: set[int] = set()
        self._detached: Detached | None = None
        self._is_over = False
        self._started: int | None = None
        self._ended: ExitStatus | None = None
        self._failure: SandboxError | None = None

    def run(self, program: str, on_started: Callable[[int], None] | None) -> ExitStatus | Detached:
        """Serve both sides until the container has ended or the user has left."""
        self._resize()
        told = on_started is None
        while self._detached is None and (not self._is_over or self._is_holding()):
            poller.turn(self._waiting(program))
            if self._started is not None and not told:
                told = True
                assert on_started is not None
                on_started(self._started)
        if self._failure is not None:
            raise self._failure
        if self._detached is not None:
            return self._detached
        if self._ended is None:
            raise SandboxError(
                "lost the container: its monitor was killed, or it wrote faster than we could take it"
            )
        return self._ended

    def _waiting(self, program: str) -> Iterator[Waiting]:
        yield self._inbox.fileno(), READ, self._take_signals
        if not self._is_over:
            if self._to_send:
                yield self._channel.fileno(), WRITE, self._send
            if self._stdin is not None and self._under_way < CHUNK:
                yield self._stdin, READ, self._read
            yield self._channel.fileno(), READ, lambda: self._take(program)
        for stream, sink in self._sinks.items():
            if sink.holding:
                yield sink.descriptor, WRITE, lambda s=stream: self._flush(s)  # type: ignore[misc]

    def _is_holding(self) -> bool:
        return any(sink.holding for sink in self._sinks.values())

    def _take(self, program: str) -> None:
        try:
            frame = frames.receive(self._channel)
        except BlockingIOError:
            return
        match frame:
            case frames.Output(stream, data):
                self._given[stream].append(data)
                self._feed(stream)
            case frames.Taken(_, amount):
                self._under_way -= amount
            case frames.Started(pid):
                self._started = pid
            case frames.Ended(code):
                self._ended = ExitStatus(code) if code >= 0 else ExitStatus(signal=-code)
                self._is_over = True
            case frames.Failed(packet):
                self._failure = messages.error(messages.decode(packet), program)
                self._is_over = True
            case None:
                self._is_over = True

    def _read(self) -> None:
        """Pass on what the user typed, or that no more will come."""
        assert self._stdin is not None
        try:
            data = os.read(self._stdin, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # a terminal that hung up
            data = b""
        if not data:
            self._stdin = None
            self._to_send.append(frames.Input(b""))
            return
        data, is_complete = self._keys.feed(data)
        if is_complete:
            self._detached = Detached()
        if data:
            self._under_way += len(data)
            self._to_send.append(frames.Input(data))
            self._send()

    def _send(self) -> None:
        while self._to_send:
            try:
                frames.send(self._channel, self._to_send[0])
            except BlockingIOError:
                return
            except ConnectionError:  # it has ended; how, is still to be read
                self._stdin = None
            self._to_send.popleft()

    def _flush(self, stream: int) -> None:
        self._sinks[stream].flush()
        self._feed(stream)

    def _feed(self, stream: int) -> None:
        """Write what came for one of our streams, and tell that there is room again."""
        sink, given = self._sinks[stream], self._given[stream]
        while given and not sink.holding:
            data = given.popleft()
            sink.put(data)
            self._to_send.append(frames.Taken(stream, len(data)))
        if sink.broken and stream not in self._unread:
            self._unread.add(stream)
            self._to_send.append(frames.Unread(stream))
        self._send()

    def _take_signals(self) -> None:
        for number in self._inbox.take():
            if number == signal.SIGWINCH:
                self._resize()
            elif number == signal.SIGPIPE:
                pass
            elif self._manners.terminal:
                self._detached = Detached(number)
            else:
                self._to_send.append(frames.Signal(number))

    def _resize(self) -> None:
        size = terminal.size(self._stdio.stdout, self._stdio.stdin)
        if self._manners.terminal and size is not None:
            self._to_send.append(frames.Resize(*size))
