"""Monitors of small processes: a shell of the host in a process namespace, with nothing else new."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.sandbox import frames, process, process_steps
from layerkit.sandbox.frames import Hello
from layerkit.sandbox.job import Job, Watch
from layerkit.sandbox.perform import perform
from layerkit.sandbox.spec import ProcessSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from layerkit.sandbox.frames import Frame
    from layerkit.sandbox.inside import Inside

PATIENCE = 30
"""Seconds after which a test stops waiting for something that does not come."""


@dataclass(frozen=True, slots=True)
class StayOnHost:
    """A step of tests: the root is the host's, as it is."""


@perform.register(StayOnHost)
def _(_step: StayOnHost, inside: Inside) -> None:
    inside.root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def shell_plan(script: str, *, terminal: bool = False) -> tuple[object, ...]:
    """The steps to a shell of the host that runs `script`."""
    environment = (f"PATH={os.defpath}", "HOME=/", "LC_ALL=C")
    return (
        StayOnHost(),
        process_steps.FindUser("0:0"),
        process_steps.OpenTerminal(is_console=False) if terminal else process_steps.OpenStreams(),
        process_steps.CloseFiles(),
        process_steps.Execute(ProcessSpec(("/bin/sh", "-c", script), environment)),
    )


class Peer:
    """A client that a test plays, frame by frame."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        channel.settimeout(PATIENCE)
        self.got = {1: b"", 2: b""}

    def say(self, *wanted: Frame) -> Self:
        """Send frames."""
        for frame in wanted:
            frames.send(self.channel, frame)
        return self

    def hear(self, *, takes: tuple[int, ...] = (1, 2)) -> Frame | None:
        """The next frame; output is kept in `got`, and that of the streams `takes` is told as taken."""
        frame = frames.receive(self.channel)
        if isinstance(frame, frames.Output):
            self.got[frame.stream] += frame.data
            if frame.stream in takes:
                with contextlib.suppress(ConnectionError):
                    self.say(frames.Taken(frame.stream, len(frame.data)))
        return frame

    def until(self, text: bytes, stream: int = 1, **how: tuple[int, ...]) -> bytes:
        """All output until there is this text in it."""
        while text not in self.got[stream]:
            assert self.hear(**how) is not None, f"the end before {text!r}"
        return self.got[stream]

    def started(self) -> int:
        """The first process's pid, when its program runs."""
        while True:
            match self.hear():
                case frames.Started(pid):
                    return pid
                case frames.Failed() | None as end:
                    raise AssertionError(end)

    def end(self) -> Frame | None:
        """The last frame before the end."""
        last = None
        while (frame := self.hear()) is not None:
            last = frame
        return last


class Monitors:
    """Starts monitors whose socket for further clients is in `folder`; `close` ends all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pids: list[int] = []
        self._stack = contextlib.ExitStack()

    def start(
        self,
        script: str,
        hello: Hello = Hello(sends=True, listens=True),  # noqa: B008  a frozen value
        *,
        terminal: bool = False,
        watch: dict[str, object] | None = None,
        **job: object,
    ) -> Peer:
        """Start a monitor; its first client. The last of `pids` is the monitor's."""
        plan = job.pop("plan", None) or shell_plan(script, terminal=terminal)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with listener:
            address = self._address()
            address.unlink(missing_ok=True)
            listener.bind(str(address))
            listener.listen()
            running = process.start(
                Job(
                    plan,
                    "/bin/sh",
                    terminal,
                    takes_input=True,
                    watch=Watch(listener=listener, **(watch or {})),
                    **job,
                ),
                hello,
            )
        self.pids.append(running.monitor)
        return Peer(self._stack.enter_context(running.channel))

    def attach(self, hello: Hello = Hello(sends=True, listens=True)) -> Peer:  # noqa: B008  as above
        """One more client of the last monitor."""
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._stack.enter_context(channel)
        channel.connect(str(self._address()))
        return Peer(channel).say(hello)

    def _address(self) -> Path:
        return self.folder / "socket"

    def close(self) -> None:
        """Kill what still runs."""
        self._stack.close()
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def ended(pidfd: int) -> bool:
    """Wait until the process of a pidfd has ended; whether it has."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(PATIENCE * 1000))


def pidfd_of(peer: Peer) -> int:
    """A pidfd of the first process, from its monitor."""
    peer.say(frames.Ask())
    while True:
        match frames.receive_with(peer.channel):
            case frames.Started(), [pidfd]:
                return pidfd
            case None, _:
                raise AssertionError("the monitor ended")


def noted(path: Path) -> Callable[..., None]:
    """A callback that writes what it is called with, whole, to a file."""

    def note(*values: object) -> None:
        path.with_suffix(".new").write_text(repr(values))
        path.with_suffix(".new").rename(path)

    return note
