"""Signals as events that a poll loop can wait for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType


_DIGITS = 5


def number_of(text: str) -> int:
    """The number of `TERM`, `SIGTERM`, `15`, `RTMIN+3`, in any case; raises `UsageError`."""
    name = text.upper().removeprefix("SIG")
    base, sign, offset = name.partition("+" if "+" in name else "-")
    known = signal.__dict__.get(f"SIG{base}")
    number = 0
    if _is_number(text):
        number = int(text)
    elif isinstance(known, signal.Signals) and not sign:
        number = known
    elif base in ("RTMIN", "RTMAX") and _is_number(offset):
        number = int(known or 0) + int(f"{sign}{offset}")
    in_range = signal.SIGRTMIN <= number <= signal.SIGRTMAX if sign else 1 <= number < signal.NSIG
    if not in_range:
        raise UsageError(f"invalid signal {text!r}: wanted one such as TERM or 15")
    return int(number)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < _DIGITS


class Inbox:
    """The caught signals, in the order in which they came; readable when there are some."""

    def __init__(self, descriptors: tuple[int, int], numbers: frozenset[int]) -> None:
        self.descriptors = descriptors
        self._descriptor = descriptors[0]
        self._numbers = numbers

    def fileno(self) -> int:
        """What to poll."""
        return self._descriptor

    def take(self) -> list[int]:
        """The signals that came since the last call."""
        try:
            came = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return []
        return [number for number in came if number in self._numbers]


@contextlib.contextmanager
def caught(numbers: Iterable[signal.Signals]) -> Iterator[Inbox]:
    """Catch these signals while the block runs, except those that the process ignores.

    Only the main thread can: in another one, nothing is caught and signals do what they did.
    """
    mine = threading.current_thread() is threading.main_thread()
    chosen = [n for n in numbers if mine and signal.getsignal(n) is not signal.SIG_IGN]
    read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, read_end)
        stack.callback(os.close, write_end)
        if mine:
            before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
            stack.callback(signal.set_wakeup_fd, before)
        for number in chosen:
            stack.callback(signal.signal, number, signal.signal(number, _noted))
        yield Inbox((read_end, write_end), frozenset(chosen))


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Signals wait while the block runs, so that none reaches a new process too early."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_in() -> None:
    """Block no signal any more."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def reset() -> None:
    """Every signal does what it does in a fresh process, and none is blocked.

    Python ignores SIGPIPE and SIGXFSZ; an ignored signal stays ignored over execve.
    """
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The byte in the wake-up pipe says it all."""
