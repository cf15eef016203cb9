"""The process beside a container: parent of its first process, holder of its streams.

It stays on the host and is all that goes on running when the command that made it has ended. It
moves the bytes between the container, its log and the clients that are attached, passes signals
on, and tells how the first process ended, which dies when the monitor is killed. It sleeps while
nothing happens.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import fcntl
import os
import signal
import socket
import termios
from typing import TYPE_CHECKING, NoReturn

from layerkit import linux
from layerkit.sandbox import child, clients, frames, messages, poller, signals
from layerkit.sandbox.clients import Client
from layerkit.sandbox.inside import Inside
from layerkit.sandbox.poller import READ, WRITE
from layerkit.sandbox.relay import CHUNK, Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.sandbox.job import Job, Log
    from layerkit.sandbox.poller import Waiting
    from layerkit.sandbox.signals import Inbox

_STDIN, _STDOUT, _STDERR = range(3)
_STREAMS = {_STDOUT: "stdout", _STDERR: "stderr"}
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def run(job: Job, client: Client) -> NoReturn:
    """Be the monitor of the process of `job`, whose first client is there already.

    To be called in a fresh child with one thread and all signals blocked.
    """
    code = 1
    try:
        os.setsid()
        with signals.caught((*_PASSED_ON, signal.SIGPIPE)) as inbox:
            signals.let_in()
            _Monitor(job, client, inbox).run()
        code = 0
    except BaseException as error:  # noqa: BLE001  nothing may get out of a forked process
        text = str(getattr(error, "message", "")) or f"{type(error).__name__}: {error}"
        failure = messages.Failed("watch the container", text)
        told = messages.error(failure, job.program)
        with contextlib.suppress(BaseException):
            job.watch.ended(told.exit_code, told.message)
        client.push(frames.Failed(messages.encode(failure)))
    finally:
        os._exit(code)


class _Monitor:
    def __init__(self, job: Job, client: Client, inbox: Inbox) -> None:
        self._job = job
        self._watch = job.watch
        self._first = client
        self._clients = [client]
        self._inbox = inbox
        self._log: Log | None = None
        self._input: Sink | None = None
        self._awaits_terminal = job.terminal and job.takes_input
        self._given: collections.deque[tuple[Client, bytes | memoryview]] = collections.deque()
        self._outputs: dict[int, int] = {}
        self._channel: socket.socket | None = None
        self._pid = 0
        self._pidfd = -1
        self._mounts = -1
        self._status: int | None = None
        self._failure: bytes = b""

    def run(self) -> None:
        """Start the process, serve it until it has ended, and tell so."""
        self._start()
        while self._status is None:
            poller.turn(self._waiting())
        while self._outputs and poller.turn(self._draining(), patient=self._is_paced()):
            pass
        code = os.waitstatus_to_exitcode(self._status)
        if self._log is not None:
            self._log.close()
        if self._watch.discards:
            self._let_go_of_mounts()
        if self._failure:
            error = messages.error(messages.decode(self._failure), self._job.program)
            self._watch.ended(error.exit_code, error.message)
        else:
            self._watch.ended(code if code >= 0 else 128 - code, "")
        self._tell(frames.Failed(self._failure) if self._failure else frames.Ended(code))
        self._let_go_of_mounts()
        self._watch.afterwards()

    def _start(self) -> None:
        _lose_standard_streams()
        theirs = self._open_streams()
        ours, channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lifeline, hold = os.pipe()
        if self._job.join is None:
            linux.unshare(linux.CLONE_NEWPID)
        else:
            linux.setns(self._job.join, linux.CLONE_NEWPID)
        inside = Inside(channel.fileno(), lifeline, theirs, self._job.size, self._job.join)
        with signals.held_back():
            self._pid = os.fork()
            if self._pid == 0:
                needed = [*theirs, self._job.join, inside.channel, lifeline, *self._job.given]
                linux.close_others([*range(3), *(each for each in needed if each is not None)])
                child.begin(inside, self._job.plan)
        self._channel = ours
        self._pidfd = os.pidfd_open(self._pid)
        os.write(hold, b"!")
        self._close_all_but(hold, ours.fileno())
        if self._watch.log is not None:
            self._log = self._watch.log()

    def _open_streams(self) -> tuple[int | None, ...]:
        """The container's ends of new pipes, unless it gets a terminal."""
        if self._job.terminal:
            return ()
        theirs: list[int | None] = [None]
        if self._job.takes_input:
            theirs[0], ours = os.pipe()
            os.set_blocking(ours, False)
            self._input = Sink(ours)
        for stream in (_STDOUT, _STDERR):
            ours, writable = os.pipe()
            os.set_blocking(ours, False)
            self._outputs[stream] = ours
            theirs.append(writable)
        return tuple(theirs)

    def _close_all_but(self, *others: int) -> None:
        """Keep only what the monitor needs; whatever else was inherited is closed."""
        kept = [*range(3), *others, self._pidfd, self._first.fileno()]
        kept += [*self._inbox.descriptors, *self._outputs.values(), *self._watch.keep]
        if self._input is not None:
            kept.append(self._input.descriptor)
        if self._watch.listener is not None:
            kept.append(self._watch.listener.fileno())
        linux.close_others(kept)
        os.chdir("/")

    # Events.

    def _waiting(self) -> Iterator[Waiting]:
        yield self._inbox.fileno(), READ, self._take_signals
        yield self._pidfd, READ, self._reap
        if self._channel is not None:
            yield self._channel.fileno(), READ, self._hear
        if self._watch.listener is not None:
            yield self._watch.listener.fileno(), READ, self._accept
        if self._input is not None and self._input.holding:
            yield self._input.descriptor, WRITE, self._flush_input
        for each in self._clients:
            yield from self._serving(each)
        yield from self._reading()

    def _draining(self) -> Iterator[Waiting]:
        """What a dead container left in its pipes is there at once or not at all."""
        yield from self._serving(self._first)
        yield from self._reading()

    def _is_paced(self) -> bool:
        return any(self._first.is_behind(stream) for stream in self._outputs)

    def _serving(self, client: Client) -> Iterator[Waiting]:
        if not client.gone:
            yield client.fileno(), READ, lambda: self._serve(client)
            if client.waiting:
                yield client.fileno(), WRITE, client.flush

    def _reading(self) -> Iterator[Waiting]:
        for stream, descriptor in self._outputs.items():
            if not self._first.is_behind(stream):
                yield descriptor, READ, lambda s=stream: self._read(s)  # type: ignore[misc]

    def _read(self, stream: int) -> None:
        """Take what the container wrote to the log and to everybody who listens."""
        if stream not in self._outputs:
            return
        try:
            data = os.read(self._outputs[stream], CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:  # nobody has the terminal open, and nobody will
                raise
            data = b""
        if not data:
            os.close(self._outputs.pop(stream))
            return
        if self._log is not None:
            self._log.write(_STREAMS[stream], data)
        for each in self._clients:
            each.output(stream, data)
        self._forget_the_gone()

    def _hear(self) -> None:
        """A message of the first process on its way to the program; the end says it got there."""
        if self._channel is None:
            return
        received = messages.receive(self._channel)
        match received:
            case None:
                self._channel.close()
                self._channel = None
                if not self._failure:
                    self._begin()
            case messages.Opened(), [master]:
                self._take_terminal(master)
            case message, _:
                self._failure = self._failure or messages.encode(message)

    def _begin(self) -> None:
        # Whoever holds it decides when an overlay is unmounted, which syncs a whole file system.
        with contextlib.suppress(OSError):
            self._mounts = os.open(f"/proc/{self._pid}/ns/mnt", os.O_RDONLY)
        self._watch.began(self._pid)
        for each in self._clients:
            each.push(frames.Started(self._pid))

    def _take_terminal(self, master: int) -> None:
        os.set_blocking(master, False)
        # With an end of its own open it never looks closed to us while the container lives.
        fcntl.ioctl(master, linux.TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        self._outputs[_STDOUT] = master
        if self._job.takes_input:
            self._input = Sink(os.dup(master))
            self._awaits_terminal = False
        if self._job.size is not None:
            termios.tcsetwinsize(master, self._job.size)
        self._feed()

    def _accept(self) -> None:
        assert self._watch.listener is not None
        with contextlib.suppress(OSError):
            channel, _ = self._watch.listener.accept()
            if clients.may_attach(channel):
                self._clients.append(Client(channel))
            else:
                channel.close()

    def _serve(self, client: Client) -> None:
        if client.gone:
            return
        match client.take():
            case frames.Hello() as hello:
                client.hello = hello
            case frames.Input(data):
                self._take_input(client, data)
            case frames.Taken() as taken:
                client.has_taken(taken)
            case frames.Resize(rows, columns):
                self._resize(rows, columns)
            case frames.Signal(number):
                self._send(number)
            case frames.Unread(stream) if client.paces and self._log is None:
                if descriptor := self._outputs.pop(stream, 0):
                    os.close(descriptor)
            case frames.Ask():
                client.answer(frames.Started(self._pid), self._pidfd)
        self._forget_the_gone()

    def _take_input(self, client: Client, data: bytes | memoryview) -> None:
        if data:
            self._given.append((client, data))
        elif client.paces and not self._job.terminal:  # a terminal has no end
            self._given.append((client, b""))
        self._feed()

    def _flush_input(self) -> None:
        if self._input is not None:
            self._input.flush()
            self._feed()

    def _feed(self) -> None:
        """Give the container what clients sent, one piece after the other; nothing is its end."""
        if self._awaits_terminal:  # what is typed ahead comes later
            return
        while self._given and not (self._input and self._input.holding):
            client, data = self._given.popleft()
            if self._input is not None and data:
                self._input.put(data)
            if self._input is not None and (not data or self._input.broken):
                os.close(self._input.descriptor)
                self._input = None
            client.push(frames.Taken(_STDIN, len(data)))

    def _forget_the_gone(self) -> None:
        if any(each.gone for each in self._clients):
            self._clients = [each for each in self._clients if not each.gone]
            if self._first.gone and self._job.clings:
                self._send(signal.SIGKILL)
            if self._first.gone and self._first.hello.sends and not self._job.terminal:
                self._given.append((self._first, b""))
                self._feed()

    def _resize(self, rows: int, columns: int) -> None:
        if self._job.terminal and _STDOUT in self._outputs:
            termios.tcsetwinsize(self._outputs[_STDOUT], (rows, columns))

    def _take_signals(self) -> None:
        for number in self._inbox.take():
            if number != signal.SIGPIPE:
                self._send(number)

    def _send(self, number: int) -> None:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._pidfd, number)

    # The end.

    def _reap(self) -> None:
        while self._channel is not None:
            self._hear()
        self._status = os.waitpid(self._pid, 0)[1]

    def _let_go_of_mounts(self) -> None:
        if self._mounts >= 0:
            os.close(self._mounts)
            self._mounts = -1

    def _tell(self, frame: frames.Frame) -> None:
        for each in self._clients:
            each.push(frame)
        while self._first.waiting and not self._first.gone:
            poller.turn(self._serving(self._first))
        for each in self._clients:
            each.leave()


def _lose_standard_streams() -> None:
    """They become /dev/null: nobody shall wait for the end of the ones we had."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.close(null)
