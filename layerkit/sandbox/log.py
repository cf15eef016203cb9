"""Writes a container's log: what its program wrote, line by line, in files that stay small.

A record is `TIME STREAM TAG TEXT` and a line feed, as the Kubernetes CRI has it: RFC 3339 in UTC with
nine digits of a second, so that records sort as text; `stdout` or `stderr`; `F` for the end of a
line, `P` where it goes on in the stream's next record. What is in TEXT are the program's bytes.

This is part of the process that watches a container: it imports next to nothing.
"""

from __future__ import annotations

import os
import time

NAME = "log"
"""The file that is written to; older ones are `log.1`, `log.2` and so on."""
PIECE = 16 << 10
"""The most bytes of TEXT; longer lines are records of as many, as docker has them."""

_NEW = "log.new"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


def stamp(nanoseconds: int) -> bytes:
    """The time of a record, from nanoseconds since 1970."""
    seconds, rest = divmod(nanoseconds, 10**9)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return b"%s.%09dZ" % (text.encode("ascii"), rest)


class LogWriter:
    """The log in a container's folder, a path or an open directory; goes on where it was.

    A file of `max_size` bytes becomes `log.1`, and so on; `max_files` are kept. In memory is one
    unfinished line a stream, of less than `PIECE` bytes. What cannot be written is lost:
    `failure` is the last reason, and no write raises for it.
    """

    def __init__(
        self, folder: int | os.PathLike[str], max_size: int = 10 << 20, max_files: int = 3
    ) -> None:
        if isinstance(folder, int):
            self._folder = os.dup(folder)
        else:
            self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        self._max_size = max_size
        self._max_files = max_files
        self._file = -1
        self._size = 0
        self._is_torn = False
        """Whether the file may not end with a line feed."""
        self._held: dict[str, bytearray] = {}
        self.failure: OSError | None = None

    def write(self, stream: str, data: bytes) -> None:
        """Write what came on `stream`, stdout or stderr; an unfinished line waits for its end."""
        held = self._held.setdefault(stream, bytearray())
        if b"\n" not in data and len(held) + len(data) < PIECE:
            held += data
            return
        text = bytes(held) + data
        end = text.rfind(b"\n") + 1
        cut = len(text) - (len(text) - end) % PIECE
        head = _head(stream)
        records = [_whole(head, text[:end])] if end else []
        records += [_part(head, text[at : at + PIECE]) for at in range(end, cut, PIECE)]
        held[:] = text[cut:]
        self._append(b"".join(records))

    def close(self) -> None:
        """Write the unfinished lines as such, and let go of the files."""
        for stream, held in self._held.items():
            if held:
                self._append(_part(_head(stream), bytes(held)))
        self._held.clear()
        for descriptor in (self._file, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._folder = -1

    def _append(self, records: bytes) -> None:
        try:
            if self._file < 0:
                self._begin()
            elif self._size and self._size + len(records) > self._max_size:
                self._rotate()
            self._put(records)
        except OSError as error:
            self.failure = error

    def _begin(self) -> None:
        self._file = self._open(NAME)
        self._size = os.fstat(self._file).st_size
        # Whoever wrote before may have been killed in the middle of a record.
        self._is_torn = bool(self._size) and os.pread(self._file, 1, self._size - 1) != b"\n"

    def _put(self, records: bytes) -> None:
        left = memoryview(b"\n" + records if self._is_torn else records)
        self._is_torn = True
        while left:
            done = os.write(self._file, left)
            self._size += done
            left = left[done:]
        self._is_torn = False

    def _rotate(self) -> None:
        """Go on in a new file; it is there before the old one loses its name."""
        new = self._open(_NEW, os.O_TRUNC)
        try:
            for number in range(self._max_files - 1, 0, -1):
                self._rename(_name(number - 1), _name(number))
            self._rename(_NEW, NAME)
        except OSError:
            os.close(new)
            raise
        os.close(self._file)
        self._file, self._size, self._is_torn = new, 0, False

    def _open(self, name: str, flags: int = 0) -> int:
        return os.open(name, _FLAGS | flags, 0o600, dir_fd=self._folder)

    def _rename(self, old: str, new: str) -> None:
        try:  # noqa: SIM105  contextlib is one more import
            os.rename(old, new, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except FileNotFoundError:
            pass  # not so many yet


def _name(number: int) -> str:
    return f"{NAME}.{number}" if number else NAME


def _head(stream: str) -> bytes:
    return b"%s %s " % (stamp(time.time_ns()), stream.encode("ascii"))


def _whole(head: bytes, lines: bytes) -> bytes:
    """The records of lines that all have their end."""
    texts = lines[:-1].split(b"\n")
    if max(map(len, texts)) > PIECE:
        return b"".join(_long(head, text) for text in texts)
    head += b"F "
    return head + (b"\n" + head).join(texts) + b"\n"


def _long(head: bytes, text: bytes) -> bytes:
    """The records of one line."""
    last = max(0, len(text) - 1) // PIECE * PIECE
    parts = [_part(head, text[at : at + PIECE]) for at in range(0, last, PIECE)]
    return b"".join(parts) + head + b"F " + text[last:] + b"\n"


def _part(head: bytes, text: bytes) -> bytes:
    return head + b"P " + text + b"\n"
