"""Pushing to a registry (distribution-spec "Push"): blobs as streams from files, then manifests.

What a server says goes: each upload goes on at the `Location` of the last answer, and after a
broken transfer at the byte that the registry says it has. Some append whatever comes, so to guess
would be to send bytes twice.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from enum import Enum
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from layerkit import digest as digests
from layerkit.errors import (
    AuthError,
    IntegrityError,
    NotFoundError,
    RegistryError,
    StoreError,
    UnavailableError,
)
from layerkit.registry import address, outcome
from layerkit.registry.challenge import PUSH, Access
from layerkit.registry.transport import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from layerkit.oci import Descriptor
    from layerkit.reference import Reference
    from layerkit.registry.answer import Answer
    from layerkit.registry.client import Client

_SMALL = 1 << 20  # bytes up to which a blob goes along with the request that ends its upload
_PROGRESS = 64 << 10  # bytes that a try must bring so that it does not count
_TELL = 256 << 10  # bytes between two reports
_MOUNTS = 3  # repositories to try
_RECEIVED = re.compile(r"(?:bytes[ =])?0-(\d{1,19})", re.ASCII)
_OCTETS = {"Content-Type": "application/octet-stream"}
# Refusals that only mean: not known, or not done here.
_NOT_SAID = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    HTTPStatus.NOT_IMPLEMENTED,
)
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
_TAKEN = (HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT)


class How(Enum):
    """How a blob came to be in the repository."""

    EXISTED = "existed"
    MOUNTED = "mounted"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A blob is in the repository now; `source` is the repository it was mounted from."""

    how: How
    source: str = ""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob to be pushed: its bytes are in the file at `path`.

    `sources` are repositories of the same registry that may have it.
    """

    descriptor: Descriptor
    path: Path
    sources: tuple[str, ...] = ()


def push_blob(
    client: Client, reference: Reference, blob: Blob, tell: Callable[[int], None]
) -> Pushed:
    """Let the repository of `reference` have a blob, with as little transfer as it takes.

    `tell` gets the number of bytes that went out so far; what it raises ends the transfer. Raises
    `RegistryError` and its kinds, `NotFoundError` where there is no such repository, `StoreError`.
    """
    return _Upload(client, reference, blob, tell).run()


def push_manifest(
    client: Client,
    reference: Reference,
    name: str,
    media_type: str,
    raw: bytes,
    etag: str = "",
) -> Answer:
    """Let the repository have these exact bytes under `name`, a tag or their digest.

    With `etag`, only in place of the version that it names; `UnavailableError` means that there is
    another one by now. The answer is closed; its headers say what became of the bytes. Raises as
    `push_blob`, and `IntegrityError` when the registry got something else.
    """
    what = f"push of manifest {name} to {reference.familiar_repository}"
    headers = {"Content-Type": media_type, **({"If-Match": etag} if etag else {})}
    request = Request(client.url(reference, f"manifests/{name}"), headers, "PUT", raw)
    also = (*_TAKEN, *_GONE, HTTPStatus.PRECONDITION_FAILED)
    with client.repeat(
        lambda: client.ask(reference, request, what, also=also, access=PUSH)
    ) as answer:
        if answer.status in _GONE:
            raise _no_repository(answer, reference)
        if answer.status == HTTPStatus.PRECONDITION_FAILED:
            raise UnavailableError(f"{answer.name} has another version by now: {what}")
        _compare(answer, raw, what)
        return answer


def _compare(answer: Answer, raw: bytes, what: str) -> None:
    """Raise `IntegrityError` if the digest in the answer is of other bytes."""
    wanted = digests.of_bytes(raw)
    try:
        got = digests.parse(answer.header("Docker-Content-Digest"))
    except ValueError:
        return  # not every registry says it
    if got.algorithm == wanted.algorithm and got != wanted:
        raise IntegrityError(f"wrong digest after {what}: {answer.name} has {got}, wanted {wanted}")


class _Upload:
    """One blob on its way: `_url` is where it goes on, "" where there is no upload to go on with;
    `_offset` is how much the registry has, unless the transfer `_is_broken`.
    """

    def __init__(
        self, client: Client, reference: Reference, blob: Blob, tell: Callable[[int], None]
    ) -> None:
        self._client = client
        self._reference = reference
        self._blob = blob
        self._digest = blob.descriptor.digest
        self._size = blob.descriptor.size
        self._tell = tell
        self._url = ""
        self._offset = 0
        self._is_broken = False
        self._what = f"push of blob {self._digest} to {reference.familiar_repository}"

    def run(self) -> Pushed:
        """Ask for it, mount it, or else send it."""
        if self._client.repeat(self._exists):
            return Pushed(How.EXISTED)
        for source in self._blob.sources[:_MOUNTS]:
            if self._client.repeat(partial(self._mount, source)):
                return Pushed(How.MOUNTED, source)
        self._client.repeat(self._attempt)
        return Pushed(How.SENT)

    def _exists(self) -> bool:
        """Whether the registry says that it has the blob; some say nothing, not even to friends."""
        url = self._client.url(self._reference, f"blobs/{self._digest}")
        try:
            with self._ask(Request(url, method="HEAD"), _NOT_SAID) as answer:
                return answer.status == HTTPStatus.OK
        except AuthError:
            return False  # if it is true, the next request is told so

    def _mount(self, source: str) -> bool:
        """Take the blob over from another repository; else there may be an upload to go on with."""
        query = {"mount": str(self._digest), "from": source}
        try:
            with self._post(query, _NOT_SAID, Access(PUSH.actions, (source,))) as answer:
                if answer.status == HTTPStatus.ACCEPTED:
                    self._url = self._location(answer)
                return answer.status == HTTPStatus.CREATED
        except AuthError:
            return False  # the user may push here and not read there

    def _attempt(self) -> None:
        """Send what is missing; a try that brought much before it broke does not count."""
        if self._is_broken and self._recover():
            return
        while True:
            before = self._offset
            try:
                self._send()
                return
            except UnavailableError:
                self._is_broken = True
                if self._recover():
                    return
                if self._offset - before < _PROGRESS:
                    raise

    def _recover(self) -> bool:
        """Learn from the registry how much it has; True if that is all, the blob in its place."""
        have = 0
        if self._url:
            with self._ask(Request(self._url), (*_TAKEN, *_NOT_SAID)) as answer:
                have = _received(answer) or 0 if answer.status in _TAKEN else 0
                self._url = self._location(answer, self._url) if 0 < have <= self._size else ""
        self._offset = have if self._url else 0
        if not self._url and self._exists():
            return True
        self._is_broken = False
        return False

    def _send(self) -> None:
        if not self._url:
            self._begin()
        if self._offset or self._size > _SMALL:
            self._send_rest()
        self._end()

    def _begin(self) -> None:
        algorithm = self._digest.algorithm
        query = {} if algorithm == "sha256" else {"digest-algorithm": algorithm}
        with self._post(query, _GONE) as answer:
            if answer.status in _GONE:
                raise _no_repository(answer, self._reference)
            self._url = self._location(answer)

    def _send_rest(self) -> None:
        """One stream to the end, which no least length of a chunk (OCI-Chunk-Min-Length) binds."""
        if self._offset < self._size:
            headers = dict(_OCTETS)
            if self._offset:
                headers["Content-Range"] = f"{self._offset}-{self._size - 1}"
            with self._transfer("PATCH", self._url, headers) as answer:
                self._url = self._location(answer, self._url)
                received = _received(answer)
            self._offset = self._size if received is None else received
        if self._offset != self._size:
            raise UnavailableError(
                f"{answer.name} took {self._offset} of {self._size} bytes in the {self._what}"
            )

    def _end(self) -> None:
        """Say that all is there; a small blob goes along."""
        separator = "&" if "?" in self._url else "?"
        url = f"{self._url}{separator}{urlencode({'digest': str(self._digest)})}"
        self._transfer("PUT", url, _OCTETS).close()

    def _transfer(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """The answer to a request with all that the registry has not yet."""
        patience = self._client.limits.assemble
        with _Body(self._blob.path, self._offset, self._tell) as body:
            data = body if self._offset < self._size else None
            request = Request(url, headers, method, data, patience)
            answer = self._ask(request, (*_TAKEN, *_GONE))
        if answer.status in _GONE:
            with answer:
                raise UnavailableError(f"{answer.name} lost its place in the {self._what}")
        return answer

    def _post(
        self, query: Mapping[str, str], also: tuple[int, ...], access: Access = PUSH
    ) -> Answer:
        end = f"?{urlencode(query)}" if query else ""
        url = self._client.url(self._reference, f"blobs/uploads/{end}")
        return self._ask(Request(url, method="POST"), (*_TAKEN, *also), access)

    def _ask(self, request: Request, also: tuple[int, ...], access: Access = PUSH) -> Answer:
        return self._client.ask(self._reference, request, self._what, also=also, access=access)

    def _location(self, answer: Answer, otherwise: str = "") -> str:
        """Where the upload goes on, exactly as the registry wrote it."""
        location = answer.header("Location")
        if not location and otherwise:
            return otherwise
        try:
            return address.follow(answer.url, location)
        except ValueError as error:
            reason = outcome.clean(str(error))
            raise RegistryError(
                f"refused where {answer.name} wants the {self._what}: {reason}"
            ) from None


class _Body(io.FileIO):
    """A file from `offset` on, to be read once; `tell_progress` gets the position now and then."""

    def __init__(self, path: Path, offset: int, tell_progress: Callable[[int], None]) -> None:
        try:
            super().__init__(path)
            self.seek(offset)
        except OSError as error:
            raise _unreadable(error) from None
        self._tell_progress = tell_progress
        self._told = -_TELL

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes; raises `StoreError`, as an `OSError` would look like one of the network."""
        try:
            data = super().read(-1 if size is None else size)
            position = self.tell()
        except OSError as error:
            raise _unreadable(error) from None
        if not data or not 0 <= position - self._told < _TELL:
            self._told = position
            self._tell_progress(position)
        return data or b""


def _unreadable(error: OSError) -> StoreError:
    return StoreError(f"cannot read a blob to push: {(error.strerror or 'unknown').lower()}")


def _received(answer: Answer) -> int | None:
    """How many bytes the registry says it has, None if it does not say.

    None at all and one look the same (`0-0`), so that is none.
    """
    match = _RECEIVED.fullmatch(answer.header("Range").strip())
    if match is None:
        return None
    last = int(match[1])
    return last + 1 if last else 0


def _no_repository(answer: Answer, reference: Reference) -> NotFoundError:
    words = answer.words()
    said = f": {words}" if words else ""
    return NotFoundError(
        f"{answer.name} has no repository {reference.familiar_repository} to push to{said}"
    )
