"""The file rules of the store: a name appears last and whole; what goes is renamed away first."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from typing import TYPE_CHECKING, Self

from layerkit.errors import StoreError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextlib.contextmanager
def guarded(what: str) -> Iterator[None]:
    """Turn an `OSError` inside into a `StoreError` that says `cannot WHAT PATH: reason`."""
    try:
        yield
    except OSError as error:
        raise store_error(what, error) from error


def store_error(what: str, error: OSError) -> StoreError:
    """The `StoreError` for a failed file operation."""
    where = f" {error.filename}" if isinstance(error.filename, str) else ""
    message = f"cannot {what}{where}: {os.strerror(error.errno or 0).lower()}"
    if error.errno in _FULL:
        return StoreFullError(message, hint="free some space, or choose another place with --root")
    if error.errno in _DENIED:
        return StoreError(message, hint="run as root, or choose a directory of yours with --root")
    return StoreError(message)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes, scratch: Path, mode: int = 0o644) -> None:
    """Put `data` at `path`, durably and at once; until then it lies in the `scratch` directory."""
    beside = scratch / f"put-{secrets.token_hex(8)}"
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def remove_tree(path: Path, scratch: Path) -> None:
    """Remove a file or a directory with all in it; its name goes at once, its content after."""
    away = scratch / f"gone-{secrets.token_hex(8)}"
    try:
        os.rename(path, away)
    except FileNotFoundError:
        return
    if away.is_dir() and not away.is_symlink():
        shutil.rmtree(away)
    else:
        away.unlink()


class Lock:
    """An exclusive `flock` on a file that its owner may remove while holding it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self, on_wait: Callable[[], None] | None = None) -> None:
        """Take the lock; `on_wait` is called once when somebody else holds it."""
        while True:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
                self._descriptor = os.open(self._path, flags, 0o600)
                self._wait(on_wait)
                if self._is_current():
                    return
            self.release()

    def _wait(self, on_wait: Callable[[], None] | None) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait is not None:
                on_wait()
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def _is_current(self) -> bool:
        """Whether the locked file still has its name; the last owner may have removed it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
