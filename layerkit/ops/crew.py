"""Jobs side by side, which an interruption does not wait for."""

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


def do_all(jobs: Iterable[Job], at_once: int) -> None:
    """Do all jobs, at most so many at a time; raises what the first that failed has raised."""
    _Crew(jobs).work(at_once)


class _Crew:
    """The threads are daemons: Ctrl-C must not wait for a registry that gives no answer."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._waiting = deque(jobs)
        self._stop = threading.Event()
        self._errors: list[BaseException] = []

    def work(self, at_once: int) -> None:
        threads = [
            threading.Thread(target=self._work, name=f"crew-{number}", daemon=True)
            for number in range(min(at_once, len(self._waiting)))
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self._stop.set()
        for error in self._errors:
            if not isinstance(error, CancelledError):
                raise error

    def _check(self) -> None:
        if self._stop.is_set():
            raise CancelledError

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                job = self._waiting.popleft()
            except IndexError:
                return
            try:
                job(self._check)
            except BaseException as error:  # noqa: BLE001  raised again where they are waited for
                self._errors.append(error)
                self._stop.set()
