"""Jobs side by side end together, and the first error is the one that is told."""

import threading
from concurrent.futures import CancelledError

import pytest

from layerkit.ops.crew import do_all


@pytest.mark.parametrize("count", [0, 1, 7])
def test_every_job_is_done_once(count):
    """More jobs than threads, fewer, or none."""
    done = []

    do_all([lambda _check, number=number: done.append(number) for number in range(count)], 3)
    assert sorted(done) == list(range(count))


def test_jobs_work_side_by_side():
    """Two jobs that wait for each other both end."""
    both = threading.Barrier(2)

    do_all([lambda _check: both.wait(30)] * 2, 2)


def test_the_first_error_ends_the_others():
    """A job that goes on is told to stop, one that waits never begins."""
    begun, started = [], threading.Event()

    def fail(_check):
        started.wait(30)
        raise ValueError("first")

    def go_on(check):
        started.set()
        while True:
            check()

    with pytest.raises(ValueError, match="first"):
        do_all([fail, go_on, begun.append], 2)
    assert begun == []


def test_an_interruption_waits_for_nobody(monkeypatch):
    """Ctrl-C ends the wait although a job hangs; the job is told so when it asks."""
    released, told = threading.Event(), threading.Event()

    def hang(check):
        released.wait(30)
        with pytest.raises(CancelledError):
            check()
        told.set()

    def interrupted(_thread):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            do_all([hang], 1)
    assert not told.is_set()
    released.set()
    assert told.wait(30)
