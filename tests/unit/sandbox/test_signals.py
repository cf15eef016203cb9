"""Signals as events."""

from __future__ import annotations

import os
import select
import signal
import threading

import pytest

from layerkit.sandbox import signals


def send(*numbers):
    """Send signals to this process and wait until each of them has arrived."""
    for number in numbers:
        signal.raise_signal(number)


def is_ready(inbox):
    """Whether poll sees a signal."""
    poller = select.poll()
    poller.register(inbox.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def test_a_caught_signal_is_an_event():
    """Signals wait in the inbox in their order and do nothing else."""
    with signals.caught([signal.SIGUSR1, signal.SIGUSR2]) as inbox:
        assert not is_ready(inbox)
        send(signal.SIGUSR2, signal.SIGUSR1)
        assert is_ready(inbox)
        assert inbox.take() == [signal.SIGUSR2, signal.SIGUSR1]
        assert inbox.take() == []


def test_everything_is_as_before_afterwards():
    """Handlers and the wake-up descriptor are restored, also after an error."""
    before = signal.getsignal(signal.SIGUSR1)

    with pytest.raises(ZeroDivisionError), signals.caught([signal.SIGUSR1]):
        raise ZeroDivisionError

    assert signal.getsignal(signal.SIGUSR1) == before
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    assert descriptor == -1


def test_an_ignored_signal_stays_ignored():
    """What nohup or a shell made the process ignore is not caught."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        with signals.caught([signal.SIGUSR1]) as inbox:
            send(signal.SIGUSR1)
            assert inbox.take() == []
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_another_threads_sandbox_catches_nothing():
    """Outside of the main thread the inbox is there, and stays empty."""
    found = []

    def work():
        with signals.caught([signal.SIGUSR1]) as inbox:
            found.append((inbox.take(), signal.getsignal(signal.SIGUSR1)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert found == [([], signal.getsignal(signal.SIGUSR1))]


def test_held_back_signals_come_afterwards():
    """A signal waits for the end of the block."""
    with signals.caught([signal.SIGUSR1]) as inbox:
        with signals.held_back():
            os.kill(os.getpid(), signal.SIGUSR1)
            assert inbox.take() == []
        assert inbox.take() == [signal.SIGUSR1]


def test_reset_leaves_nothing_ignored_or_blocked():
    """A process that resets its signals starts programs with none ignored and none blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        pid = os.fork()
        if pid == 0:
            signals.reset()
            left = [
                number
                for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
                if signal.getsignal(number) is not signal.SIG_DFL
            ]
            os._exit(bool(left or signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])

    assert os.waitpid(pid, 0)[1] == 0
