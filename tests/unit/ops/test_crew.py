"""Jobs side by side end together, and the first error is the one that is told."""

import threading
from concurrent.futures import CancelledError
from functools import partial

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


def interrupted(*_arguments):
    """Ctrl-C."""
    raise KeyboardInterrupt


def test_an_interruption_waits_for_nobody(monkeypatch):
    """Ctrl-C ends the wait although a job hangs; the job is told so when it asks."""
    released, told = threading.Event(), threading.Event()

    def hang(check):
        released.wait(30)
        with pytest.raises(CancelledError):
            check()
        told.set()

    with monkeypatch.context() as patch:
        patch.setattr(threading.Condition, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt):
            do_all([hang], 1)
    assert not told.is_set()
    released.set()
    assert told.wait(30)


def test_an_interruption_waits_for_jobs_that_can_be_called_off(monkeypatch):
    """What a job waits for ends, and then the job, before the interruption is told."""
    begun, called_off, ended = threading.Event(), threading.Event(), threading.Event()
    wait_for = threading.Condition.wait_for

    def job(_check):
        begun.set()
        called_off.wait(30)
        ended.set()

    def interrupted_once(*arguments):
        begun.wait(30)
        monkeypatch.setattr(threading.Condition, "wait_for", wait_for)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Condition, "wait_for", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        do_all([job], 1, call_off=called_off.set)
    assert ended.is_set()


def test_an_error_that_is_bearable_ends_nobody():
    """All the other jobs are done, and then it is raised."""
    done = []

    def fail(_check):
        raise LookupError

    jobs = [fail, *[lambda _check: done.append(1)] * 3]
    with pytest.raises(LookupError):
        do_all(jobs, 1, call_off=lambda: done.append("off"), bearable=(LookupError,))
    assert done == [1, 1, 1]


def test_the_worse_error_is_told():
    """One that was borne comes first, but another one says more."""

    def fail(error, _check):
        raise error

    with pytest.raises(ValueError, match="worse"):
        do_all(
            [partial(fail, LookupError()), partial(fail, ValueError("worse"))],
            1,
            bearable=(LookupError,),
        )
