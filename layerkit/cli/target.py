"""Where a command writes an archive: a file that appears whole or not at all, or standard output."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_STDOUT = 1
_BUFFER = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def check(path: Path | None) -> None:
    """Refuse what no archive can be written to: a terminal, a directory; raises `UsageError`."""
    if path is None:
        if os.isatty(_STDOUT):
            raise UsageError("refusing to write a tar to the terminal, use -o")
    elif os.path.isdir(path):
        raise UsageError(f"cannot write an archive to {path}: it is a directory")


def write(path: Path | None, pieces: Iterable[bytes]) -> None:
    """Write the pieces to `path`, None for standard output; raises `LayerkitError`.

    A new file is written beside its name and renamed when it is whole and durable. What exists and
    is no regular file (a fifo, /dev/null) is written into.
    """
    check(path)
    if path is None:
        _write_all(_STDOUT, pieces, "the output")
        return
    real = Path(os.path.realpath(path))
    is_special = os.path.exists(real) and not os.path.isfile(real)
    opened = _existing if is_special else _beside
    with opened(real, str(path)) as descriptor:
        _write_all(descriptor, pieces, str(path))


@contextlib.contextmanager
def _existing(path: Path, what: str) -> Iterator[int]:
    with _guarded(what):
        descriptor = os.open(path, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _beside(path: Path, what: str) -> Iterator[int]:
    """A new file that gets the name `path` when all went well, and goes away when not."""
    beside = path.with_name(f".layerkit-{secrets.token_hex(8)}")
    with _guarded(what):
        descriptor = os.open(beside, _NEW, 0o666)
    try:
        try:
            yield descriptor
            with _guarded(what):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with _guarded(what):
            os.rename(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _write_all(descriptor: int, pieces: Iterable[bytes], what: str) -> None:
    """Write small pieces together, large ones as they are."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        if len(buffer) >= _BUFFER:
            _flush(descriptor, buffer, what)
    _flush(descriptor, buffer, what)


def _flush(descriptor: int, buffer: bytearray, what: str) -> None:
    with _guarded(what), memoryview(buffer) as view:
        done = 0
        while done < len(view):
            done += os.write(descriptor, view[done:])
    buffer.clear()


@contextlib.contextmanager
def _guarded(what: str) -> Iterator[None]:
    """Turn a failed write into an error of ours, but for the reader that went away."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise LayerkitError(f"cannot write {what}: {reason}") from None
