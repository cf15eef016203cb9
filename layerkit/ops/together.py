"""Several pieces of work side by side, in threads, a few at a time; one that fails stops them all."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

_AT_ONCE = 3
_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")

Check: TypeAlias = "Callable[[], None]"
"""To be called now and then: raises `CancelledError` when the work is no longer wanted."""


def go_on() -> None:
    """The check of work that nobody stops."""


@contextlib.contextmanager
def side_by_side(
    work: Callable[[_Thing, Check], _Result], things: Iterable[_Thing]
) -> Iterator[Callable[[int], _Result]]:
    """Do `work` with the things, three at a time in their order, as long as the block runs.

    It gets a function that waits for the result of the thing with a number, or raises the error
    that stopped the work.
    """
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise CancelledError

    def do(thing: _Thing) -> _Result:
        try:
            check()
            return work(thing, check)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            jobs = [pool.submit(do, thing) for thing in things]
            yield lambda number: _result(jobs, number)
        finally:
            stop.set()


def _result(jobs: list[Future[_Result]], number: int) -> _Result:
    try:
        return jobs[number].result()
    except CancelledError:
        wait(jobs)
        errors = [job.exception() for job in jobs]
        raise next(
            error for error in errors if not isinstance(error, CancelledError | None)
        ) from None
