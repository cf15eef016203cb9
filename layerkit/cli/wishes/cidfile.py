"""`--cidfile`: the container's id in a file that was not there before."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@contextlib.contextmanager
def cidfile(path: str | None) -> Iterator[Callable[[str], None]]:
    """Make the file now, and give what writes the id into it; without an id it goes away again.

    Without a path nothing is written. Raises `UsageError` for a file that is there or cannot be
    made, `LayerkitError` for an id that cannot be written.
    """
    if path is None:
        yield lambda _id: None
        return
    descriptor = _make(path)
    written = False

    def write(container_id: str) -> None:
        nonlocal written
        try:
            os.write(descriptor, container_id.encode())
        except OSError as error:
            raise LayerkitError(f"cannot write --cidfile {path}: {error.strerror}") from None
        written = True

    try:
        yield write
    finally:
        os.close(descriptor)
        if not written:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _make(path: str) -> int:
    try:
        return os.open(path, _NEW, 0o666)
    except FileExistsError:
        raise UsageError(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        ) from None
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UsageError(f"cannot make --cidfile {path}: {reason}") from None
