"""The user's standard streams, joined to the container's pipes or terminal by pumps."""

from __future__ import annotations

import contextlib
import os
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.sandbox import terminal
from layerkit.sandbox.relay import Pump

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Stdio:
    """The user's descriptors; `stdin` is None where the container gets no input (no `-i`).

    They are read and written, never changed or closed. With a terminal all output goes to `stdout`.
    """

    stdin: int | None
    stdout: int
    stderr: int


class Streams:
    """All pumps of one container; what they own is closed, and the terminal restored, by `stack`."""

    def __init__(self, stdio: Stdio, stack: contextlib.ExitStack) -> None:
        self._stdio = stdio
        self._stack = stack
        self._input: list[Pump] = []
        self._output: list[Pump] = []
        self._master: int | None = None

    def open_pipes(self) -> tuple[int | None, int, int]:
        """The container's ends of new pipes, stdin None where there is no input to come.

        They are the caller's to close.
        """
        theirs = None
        if self._stdio.stdin is not None:
            theirs, ours = os.pipe()
            self._input.append(Pump(self._stdio.stdin, ours, self._own(ours)))
        return theirs, self._open_output(self._stdio.stdout), self._open_output(self._stdio.stderr)

    def open_terminal(self, master: int) -> None:
        """Join the terminal of this `master`, which becomes ours; the user's terminal turns raw."""
        close = self._own(master)
        self._master = master
        if self._stdio.stdin is not None:
            self._stack.enter_context(terminal.raw(self._stdio.stdin))
            self._input.append(Pump(self._stdio.stdin, master, _nothing))

        def hang_up() -> None:
            self._master = None
            for pump in self._input:
                pump.end()
            close()

        self._output.append(Pump(master, self._stdio.stdout, hang_up, source_may_return=True))
        self.resize()

    def resize(self) -> None:
        """Give the container's terminal the size of the user's."""
        size = terminal.size(self._stdio.stdout, self._stdio.stdin)
        if self._master is not None and size is not None:
            termios.tcsetwinsize(self._master, size)

    def active(self, *, ended: bool) -> list[Pump]:
        """The pumps that have something to wait for; input is over when the container has ended."""
        pumps = self._output if ended else self._input + self._output
        return [pump for pump in pumps if not pump.over and not pump.resting]

    @property
    def resting(self) -> bool:
        """Whether there is a terminal that nobody in the container has open."""
        return any(pump.resting for pump in self._output)

    def look_again(self) -> None:
        """Wait for such a terminal again."""
        for pump in self._output:
            pump.resting = False

    def _open_output(self, sink: int) -> int:
        ours, theirs = os.pipe()
        self._output.append(Pump(ours, sink, self._own(ours)))
        return theirs

    def _own(self, descriptor: int) -> Callable[[], None]:
        """What closes the descriptor, once, at the end of its pump or of all."""
        os.set_blocking(descriptor, False)
        closing = self._stack.enter_context(contextlib.ExitStack())
        closing.callback(os.close, descriptor)
        return closing.close


def _nothing() -> None:
    """The end of the user's input is no end of the container's terminal."""
