"""Jobs side by side, in threads, a few at a time."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Check: TypeAlias = "Callable[[], None]"
"""A job calls it now and then; it raises `CancelledError` when the result is not wanted any more."""
Job: TypeAlias = "Callable[[Check], None]"
Errors: TypeAlias = "tuple[type[BaseException], ...]"


def do_all(
    jobs: Iterable[Job],
    at_once: int,
    *,
    call_off: Callable[[], None] | None = None,
    bearable: Errors = (),
) -> None:
    """Do all jobs, at most so many at a time; raises what the first that failed has raised.

    One that failed ends the others, but for errors that are `bearable`. `call_off` lets all that
    jobs wait for end; then an interruption waits for the jobs, too, and for nobody without it.
    """
    _Crew(jobs, call_off, bearable).work(at_once)


class _Crew:
    """The threads are daemons: Ctrl-C must not wait for a registry that gives no answer."""

    def __init__(
        self, jobs: Iterable[Job], call_off: Callable[[], None] | None, bearable: Errors
    ) -> None:
        self._waiting = deque(jobs)
        self._call_off = call_off
        self._bearable = bearable
        self._stopped = threading.Event()
        self._news = threading.Condition()
        self._working = 0
        self._errors: list[BaseException] = []

    def work(self, at_once: int) -> None:
        self._working = min(at_once, len(self._waiting))
        try:
            for number in range(self._working):
                threading.Thread(target=self._work, name=f"crew-{number}", daemon=True).start()
            self._wait()
        except BaseException:  # Ctrl-C
            self._stop()
            if self._call_off is not None:
                self._wait()
            raise
        # What was borne is told only if nothing worse happened.
        for error in sorted(self._errors, key=lambda error: isinstance(error, self._bearable)):
            if not isinstance(error, CancelledError):
                raise error

    def _wait(self) -> None:
        # Not by `join`: after one that was interrupted, the next one returns at once (bpo-45274).
        with self._news:
            self._news.wait_for(lambda: not self._working)

    def _stop(self) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            if self._call_off is not None:
                self._call_off()

    def _check(self) -> None:
        if self._stopped.is_set():
            raise CancelledError

    def _work(self) -> None:
        try:
            while self._waiting and not self._stopped.is_set():
                self._do(self._waiting.popleft())
        except IndexError:
            pass  # another one took the last job
        finally:
            with self._news:
                self._working -= 1
                self._news.notify_all()

    def _do(self, job: Job) -> None:
        try:
            job(self._check)
        except BaseException as error:  # noqa: BLE001  raised again where they are waited for
            self._errors.append(error)
            if not isinstance(error, self._bearable):
                self._stop()
