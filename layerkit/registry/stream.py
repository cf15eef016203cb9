"""One blob's bytes as they come, counted against what its descriptor promises."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from layerkit.errors import IntegrityError, LayerkitError, RegistryError, UnavailableError
from layerkit.registry import outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.registry.answer import Answer

CHUNK = 256 << 10
"""The most bytes of one read; what came before a connection breaks is never lost in a longer one."""

# Nexus once left out the unit; nothing but bytes was asked for.
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d{1,19})-(\d{1,19})/(?:(\d{1,19})|\*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """What an answer 206 says it holds: the bytes `start` to `end` inclusive, of `total` if told."""

    start: int
    end: int
    total: int | None


def content_range(text: str) -> ContentRange | None:
    """The value of a `Content-Range` header (RFC 9110 §14.4), None if it is no range of bytes."""
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        return None
    start, end, total = match.groups()
    return ContentRange(int(start), int(end), None if total is None else int(total))


class BlobStream:
    """The bytes of one blob from `offset` to `end`, in chunks; only their number is checked.

    Iterating raises `UnavailableError` when the body ends or stalls before `end`, `IntegrityError`
    when it goes on behind it, or of a `part` `UnavailableError` again: another server may send the
    right one. Without an `answer` there is nothing left to read.
    """

    def __init__(
        self, answer: Answer | None, what: str, offset: int, end: int, *, part: bool = False
    ) -> None:
        self.offset = offset
        self.end = end
        self.source = "" if answer is None else answer.name
        """Who sends it, as messages name them."""
        self._answer = answer
        self._part = part
        self._what = what
        self._position = offset

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        missing = self.end - self._position
        if self._answer is None or not missing:
            self._refuse_more()
            raise StopIteration
        chunk = self._read(self._answer, min(CHUNK, missing))
        self._position += len(chunk)
        return chunk

    def abort(self) -> None:
        """End the transfer from another thread: who iterates sees it break off."""
        if (answer := self._answer) is not None:
            answer.abort()

    def close(self) -> None:
        """End the transfer; what was not read is never transferred."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _read(self, answer: Answer, amount: int) -> bytes:
        place = f"at byte {self._position} of {self.end} of {self._what}"
        try:
            chunk = answer.read_some(amount)
        except UnavailableError as error:
            raise UnavailableError(f"{error.message}, {place}") from None
        if not chunk:
            raise UnavailableError(f"{answer.name} broke off: the body ends {place}")
        return chunk

    def _refuse_more(self) -> None:
        """Read the end of the body, which also leaves the connection for the next request."""
        if self._answer is None:
            return
        try:
            more = self._answer.read_some(1)
        except RegistryError:
            more = b""  # all promised bytes are here
        self.close()
        if more and self._part:
            raise UnavailableError(
                f"{self.source} sent the wrong part of {self._what}: more than it announced"
            )
        if more:
            raise IntegrityError(
                f"wrong size of {self._what}: {self.source} sent more than "
                f"the promised {self.end} bytes"
            )


def part(answer: Answer, what: str, span: tuple[int, int], size: int) -> BlobStream:
    """Bytes of a blob of `size` from an answer 206 to a request for `span`, perhaps not all of them.

    Raises `UnavailableError` unless they begin where the span does.
    """
    start, end = span
    text = answer.header("Content-Range")
    got = content_range(text)
    if (
        got is None
        or got.start != start
        or not start <= got.end < end
        or got.total not in (None, size)
    ):
        answer.close()
        raise UnavailableError(
            f"{answer.name} sent the wrong part of {what}: got {outcome.clean(text)!r}, "
            f"wanted bytes {start}-{end - 1}/{size}"
        )
    return BlobStream(answer, what, start, got.end + 1, part=True)


def is_encoded(answer: Answer, size: int) -> bool:
    """Whether a part is one of another form of the blob, in which it has another size."""
    got = content_range(answer.header("Content-Range"))
    return bool(answer.header("Content-Encoding")) and (got is None or got.total != size)


def whole(answer: Answer, what: str, size: int) -> BlobStream:
    """All of the blob from an answer that promises it."""
    try:
        _check_length(answer, what, size)
        answer.decode(size)
    except LayerkitError:
        answer.close()
        raise
    return BlobStream(answer, what, 0, size)


def _check_length(answer: Answer, what: str, size: int) -> None:
    """Raise `IntegrityError` if the whole body is announced with another size than promised."""
    length = answer.header("Content-Length")
    if length.isdigit() and int(length) != size and not answer.header("Content-Encoding"):
        raise IntegrityError(
            f"wrong size of {what}: {answer.name} has {length} bytes, wanted {size}"
        )
