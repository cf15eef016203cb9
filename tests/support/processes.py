"""Work in another process: forked, so that it is killed, waited for or unprivileged as a test wants.

A fork, not `multiprocessing`: nothing has to be pickled, and no helper process outlives the test.
It has every open file of the parent, locks on them included: fork first, then lock.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOBODY = 65534
_PATIENCE = 60
"""Seconds."""


class Child:
    """A forked process that runs one function and ends with 0, or 1 if it raised."""

    def __init__(
        self, work: Callable[[], object], *, uid: int | None = None, folder: Path | None = None
    ) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _run(work, uid, folder)

    def wait(self) -> int:
        """The exit code; below 0 the signal that ended it."""
        if self.status is None:
            _, status = os.waitpid(self.pid, 0)
            self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def kill(self) -> None:
        """End it at once, if it is still there."""
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()


@contextmanager
def child(
    work: Callable[[], object], *, uid: int | None = None, folder: Path | None = None
) -> Iterator[Child]:
    """A process that runs `work`, as user `uid` without privileges; killed on leaving.

    It starts in `folder`, which it can reach even where that user may not pass its parents.
    """
    process = Child(work, uid=uid, folder=folder)
    try:
        yield process
    finally:
        process.kill()


def outcome(
    work: Callable[[], object], *, uid: int | None = None, folder: Path | None = None
) -> int:
    """The exit code of a process that runs `work`; the rest as for `child`."""
    with child(work, uid=uid, folder=folder) as process:
        return process.wait()


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; an error after a time that nothing here takes."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.001)


def kill_myself() -> None:
    """End this very process as a crash would, with nothing cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def _run(work: Callable[[], object], uid: int | None, folder: Path | None) -> None:
    code = 1
    try:
        if folder is not None:
            os.chdir(folder)
        if uid is not None and os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        work()
        code = 0
    except BaseException:  # noqa: BLE001  whatever it is, the parent sees the code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
