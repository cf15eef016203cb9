"""The file rules of the store: a name appears last and whole; what goes is renamed away first."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import stat
import time
from typing import TYPE_CHECKING, Self

from layerkit.errors import StoreError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOOK = 16 << 20
"""After as many bytes `Room` looks how many the file system still has."""
FULL_HINT = "free some space, or choose another place with --root"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WAIT_PAUSE = 0.1
_LOOK_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
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
        return StoreFullError(message, hint=FULL_HINT)
    if error.errno in _DENIED:
        return StoreError(message, hint="run as root, or choose a directory of yours with --root")
    return StoreError(message)


class Room:
    """The room for a file of unknown length: stops its writer before the file system is full.

    The first `LOOK` bytes are free, so that what is small may use what there is.
    """

    def __init__(self, file: int, keep_free: int) -> None:
        self._file = file
        self._keep_free = keep_free
        self._unseen = 0

    def take(self, size: int) -> None:
        """Count `size` bytes that are to be written; raises `StoreFullError`."""
        self._unseen += size
        if self._unseen < LOOK:
            return
        self._unseen = 0
        status = os.fstatvfs(self._file)
        free = status.f_bavail * status.f_frsize
        wanted = self._keep_free + LOOK
        if status.f_blocks and free < wanted:  # none at all: a file system without a size
            raise StoreFullError(
                f"no room to unpack: {free} bytes are free, wanted {wanted}",
                hint=f"{FULL_HINT}; keep_free in [limits] of the configuration is what must stay free",
            )


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a small file; an `OSError` for what is none, or has more than `limit` bytes."""
    descriptor = os.open(path, _LOOK_FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
        return os.pread(descriptor, limit, 0)
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock on this file; looking makes none and waits for nothing.

    What is there and can be no lock counts as held: it is not ours.
    """
    try:
        descriptor = os.open(path, _LOOK_FLAGS)
    except OSError as error:
        return error.errno != errno.ENOENT
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return not stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return True
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(
    path: Path, data: bytes, scratch: Path, mode: int = 0o644, *, durable: bool = True
) -> None:
    """Put `data` at `path`, at once and by default durably; until then it lies in `scratch`."""
    beside = scratch / f"put-{os.urandom(8).hex()}"
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
        os.rename(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def remove_tree(path: Path, scratch: Path) -> None:
    """Remove a file or a directory with all in it; its name goes at once, its content after."""
    away = scratch / f"gone-{os.urandom(8).hex()}"
    try:
        os.rename(path, away)
    except FileNotFoundError:
        return
    if away.is_dir() and not away.is_symlink():
        _remove_directory(away)
    else:
        away.unlink()


def _remove_directory(top: Path) -> None:
    """Remove a directory of any depth: what is nested is first moved beside `top`.

    A container can nest deeper than the recursion limit, the open-file limit and the longest path.
    """
    numbers = itertools.count()
    todo = [os.fspath(top)]
    while todo:
        folder = todo.pop()
        with os.scandir(folder) as found:
            entries = list(found)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                beside = f"{top}-{next(numbers)}"
                os.chmod(entry.path, 0o700)  # without rights on it, its owner cannot move it
                os.rename(entry.path, beside)
                todo.append(beside)
            else:
                os.unlink(entry.path)
        os.rmdir(folder)


class Lock:
    """An exclusive `flock` on a file that its owner may remove while holding it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    @property
    def descriptor(self) -> int:
        """The open file that has the lock; a child that inherits it has it, too."""
        return self._descriptor

    def acquire(self, on_wait: Callable[[], None] | None = None) -> None:
        """Take the lock; `on_wait` is called now and then while somebody else holds it."""
        while not self._try(on_wait):
            pass

    def try_acquire(self) -> bool:
        """Take the lock, unless somebody else holds it."""
        try:
            self.acquire(_give_up)
        except _HeldError:
            return False
        return True

    def _try(self, on_wait: Callable[[], None] | None) -> bool:
        """Wait for the file that has the name now; False when its owner removed it meanwhile."""
        # The owner's removal may come between any two of these steps, also inside of mkdir.
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            self._descriptor = os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            return False
        try:
            self._wait(on_wait)
            current = self._is_current()
        except BaseException:
            self.release()
            raise
        if not current:
            self.release()
        return current

    def _wait(self, on_wait: Callable[[], None] | None) -> None:
        if on_wait is None:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            return
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                time.sleep(_WAIT_PAUSE)
            else:
                return

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

    def __exit__(self, *_exception: object) -> None:
        self.release()


class _HeldError(Exception):
    pass


def _give_up() -> None:
    raise _HeldError
