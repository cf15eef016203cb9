"""Logs: what a container's program wrote, from the files that `sandbox.log` writes."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Self

from layerkit.ops import containers, states
from layerkit.sandbox import log
from layerkit.store.files import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord

_RECORD = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z) (stdout|stderr) ([FP]) (.*)",
    re.DOTALL,
)
_FILE = re.compile(rf"{log.NAME}(?:\.([0-9]{{1,6}}))?", re.ASCII)
_BLOCK = 256 << 10
_LONGEST = 2 * log.PIECE
"""Bytes of a line that can be a record; what is longer is damage, of which the end counts."""
_PAUSE = 0.1
_ALIVE = frozenset(("running", "paused"))


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What to show: times are nanoseconds since 1970, both included; None sets no bound.

    `tail` is how many of the last lines, before the times are looked at. With `timestamps` each
    line begins with its time; with `follow` it goes on until the container ends.
    """

    since: int | None = None
    until: int | None = None
    tail: int | None = None
    timestamps: bool = False
    follow: bool = False


class _Record(NamedTuple):
    time: bytes
    stream: str
    is_end: bool
    text: bytes


def logs(home: Home, name: str, options: LogOptions) -> Iterator[tuple[str, bytes]]:
    """What a container wrote to "stdout" and "stderr", in its order, byte for byte.

    A record that is damaged, after a crash or a full disk, shows as far as it can be read; what
    cannot be is left out. Raises `NotFoundError`, now or later `StoreError`.
    """
    return _all(home, containers.find_container(home, name), options)


def _all(
    home: Home, container: ContainerRecord, options: LogOptions
) -> Iterator[tuple[str, bytes]]:
    shown = _Shown(options)
    with _Tape(containers.folder_of(home, container), options.tail) as tape, guarded("read log"):
        while True:
            goes_on = options.follow and not shown.is_over() and _is_alive(home, container)
            for lines in tape.lines():
                yield from shown.of(lines)
            if not goes_on:
                break
            time.sleep(_PAUSE)
        yield from shown.of([tape.unfinished()], is_whole=False)


def _is_alive(home: Home, container: ContainerRecord) -> bool:
    return states.read(home, container).status in _ALIVE


class _Shown:
    """Lines of the log as the user wants to see them."""

    def __init__(self, options: LogOptions) -> None:
        self._until = options.until
        self._first = b"" if options.since is None else log.stamp(options.since)
        self._last = b"a" if options.until is None else log.stamp(options.until)
        self._timestamps = options.timestamps
        self._begun: set[str] = set()

    def is_over(self) -> bool:
        """Whether what comes now is too late to be shown."""
        return self._until is not None and time.time_ns() > self._until

    def of(self, lines: list[bytes], *, is_whole: bool = True) -> Iterator[tuple[str, bytes]]:
        """The text of the records in `lines`, what follows on one stream together."""
        records = filter(None, map(_parsed, lines))
        wanted = [each for each in records if self._first <= each.time <= self._last]
        texts = [(each.stream, self._text(each, is_whole=is_whole)) for each in wanted]
        for stream, run in itertools.groupby(texts, key=itemgetter(0)):
            yield stream, b"".join(text for _, text in run)

    def _text(self, record: _Record, *, is_whole: bool) -> bytes:
        text = record.text
        if self._timestamps and record.stream not in self._begun:
            text = record.time + b" " + text
        if not record.is_end or not is_whole:
            self._begun.add(record.stream)
            return text
        self._begun.discard(record.stream)
        return text + b"\n"


def _parsed(line: bytes) -> _Record | None:
    found = _RECORD.fullmatch(line)
    if found is None:
        return None
    return _Record(found[1], found[2].decode("ascii"), found[3] == b"F", found[4])


# -- files ----------------------------------------------------------------------------------------


class _Tape:
    """The files of a log in the order they were written, the one that is written to as the last.

    The writer may rotate them at any time: those to be read are held open.
    """

    def __init__(self, folder: Path, tail: int | None) -> None:
        self._folder = folder
        self._files = _opened(folder)
        self._offset = 0
        self._rest = b""
        if tail is not None:
            self._skip(*_start_of_tail(self._files, tail))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        while self._files:
            os.close(self._files.pop())

    def _skip(self, count: int, offset: int) -> None:
        for _ in range(count):
            os.close(self._files.pop(0))
        self._offset = offset

    def lines(self) -> Iterator[list[bytes]]:
        """All lines that are there by now, a block at a time, without what they end with."""
        while self._files:
            yield from self._lines_of_first()
            if len(self._files) > 1:
                yield [self._rest]
                self._rest = b""
                self._skip(1, 0)
                continue
            newer = _newer(self._folder, self._files[0])
            if not newer:
                return
            yield from self._lines_of_first()  # it may have grown until it was renamed
            self._files += newer
        self._files = _opened(self._folder)
        if self._files:
            yield from self.lines()

    def _lines_of_first(self) -> Iterator[list[bytes]]:
        while block := os.pread(self._files[0], _BLOCK, self._offset):
            self._offset += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            self._rest = self._rest[-_LONGEST:]
            yield lines

    def unfinished(self) -> bytes:
        """What there is of a last line without an end."""
        return self._rest


def _opened(folder: Path) -> list[int]:
    """The files of a log, oldest first.

    The newest is opened first: what a rotation renames meanwhile is then seen twice at most.
    """
    names = {
        int(match[1] or 0): match[0] for match in map(_FILE.fullmatch, _listed(folder)) if match
    }
    found: dict[tuple[int, int], int] = {}
    for number in sorted(names):
        with contextlib.suppress(FileNotFoundError):
            file = os.open(folder / names[number], os.O_RDONLY | os.O_NOFOLLOW)
            if found.setdefault(_identity(file), file) != file:
                os.close(file)
    return list(found.values())[::-1]


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:  # the container was removed
        return []


def _newer(folder: Path, file: int) -> list[int]:
    """The files that were begun after this one, oldest first; all where it is no more among them."""
    files = _opened(folder)
    same = [_identity(each) for each in files]
    count = same.index(_identity(file)) + 1 if _identity(file) in same else 0
    for each in files[:count]:
        os.close(each)
    return files[count:]


def _identity(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_dev, status.st_ino


# -- tail -----------------------------------------------------------------------------------------


def _start_of_tail(files: list[int], count: int) -> tuple[int, int]:
    """Where the last `count` lines begin: how many files before, and the byte in that file.

    A line is all of its records; one that has no end yet counts, too.
    """
    start = max(0, len(files) - 1), os.fstat(files[-1]).st_size if files else 0
    seen: set[str] = set()
    for number, offset, line in _backward(files):
        record = _parsed(line)
        if record is None:
            continue
        if record.is_end or record.stream not in seen:
            count -= 1
        seen.add(record.stream)
        if count < 0:
            break
        start = number, offset
    return start


def _backward(files: list[int]) -> Iterator[tuple[int, int, bytes]]:
    """Each line with the number of its file and its first byte there, the last line first."""
    for number in reversed(range(len(files))):
        for offset, line in _backward_in(files[number]):
            yield number, offset, line


def _backward_in(file: int) -> Iterator[tuple[int, bytes]]:
    position, block = os.fstat(file).st_size, b""
    while position:
        size = min(_BLOCK, position)
        position -= size
        block = os.pread(file, size, position) + block
        first, *lines = block.split(b"\n")
        end = len(block)
        for line in reversed(lines):
            end -= len(line)
            if line:
                yield position + end, line
            end -= 1
        block = first
    if block:
        yield 0, block
