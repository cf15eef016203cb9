"""Pulling from a registry (distribution-spec "Pull"): documents whole, blobs as streams."""

from __future__ import annotations

import json
import random
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar

from layerkit import digest as digests
from layerkit import oci
from layerkit.errors import DocumentError, IntegrityError, UnavailableError
from layerkit.oci import Descriptor
from layerkit.registry import endpoints, limits, outcome, retry
from layerkit.registry.auth import tell_nobody
from layerkit.registry.challenge import PULL
from layerkit.registry.credentials import anonymous
from layerkit.registry.endpoints import Action
from layerkit.registry.stream import BlobStream, content_range
from layerkit.registry.talk import Talk
from layerkit.registry.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from layerkit.reference import Reference
    from layerkit.registry.challenge import Access
    from layerkit.registry.credentials import Lookup
    from layerkit.registry.transport import Answer, Request

_T = TypeVar("_T")
Span: TypeAlias = tuple[int, int]

# What a request for a part may be answered with. Some that send no parts say so with an error: the
# whole blob is asked for then.
_RANGED = (
    HTTPStatus.PARTIAL_CONTENT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    HTTPStatus.BAD_REQUEST,
)

# Registries answer 404 when the type they have is not listed, so all are. Schema 1 is last: it
# gets no further than a clear error.
_DOCUMENTS = {
    "Accept": ", ".join((*oci.INDEX_TYPES, *oci.MANIFEST_TYPES, *oci.SCHEMA1_TYPES)),
}


class Client:
    """Reads documents and blobs from registries; may be used by several threads.

    `limits` is the patience of every method, also for callers that go on with a broken blob;
    `credentials` is asked for those of a registry, `sleep` is called between attempts, `proxies`
    and `tls` are as `Transport` has them, `warn` as `Authenticator` has it. Every method raises `UnavailableError` after its last
    attempt, `AuthError`, `NotFoundError`, or `RegistryError` for an answer that makes no sense.
    """

    def __init__(
        self,
        credentials: Lookup = anonymous,
        limits: limits.Limits = limits.DEFAULT,
        sleep: Callable[[float], object] = time.sleep,
        *,
        user_agent: str = "layerkit",
        proxies: Mapping[str, str] | None = None,
        lookup: endpoints.Lookup = endpoints.by_default,
        warn: Callable[[str], None] = tell_nobody,
    ) -> None:
        self.limits = limits
        self._sleep = sleep
        self._transport = Transport(limits, user_agent, proxies)
        self._talk = Talk(self._transport, lookup, credentials, limits, warn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        self._transport.close()

    def close_idle(self) -> None:
        """End the connections that nobody uses now, since a registry may count them."""
        self._transport.close_idle()

    def check_login(self, registry: str) -> None:
        """Return if the registry takes our credentials, or asks for none."""
        self._repeated(lambda: self._talk.check_login(registry))

    def resolve_document(self, reference: Reference) -> tuple[Descriptor, bytes]:
        """The manifest or index that the reference names now, by its digest if it has one.

        Raises `IntegrityError` if the bytes do not have the digest of the reference.
        """
        what = f"manifest {reference.familiar}"
        path = f"manifests/{reference.digest or reference.tag}"
        announced, raw = self._repeated(
            lambda: self._document(reference, path, what, oci.DOCUMENT_LIMIT)
        )
        if len(raw) > oci.DOCUMENT_LIMIT:
            raise DocumentError(f"invalid {what}: more than {oci.DOCUMENT_LIMIT} bytes")
        digest = reference.digest
        if digest is not None:
            digests.verify(what, digest, None, raw)
        media_type = announced if _tells_a_kind(announced) else _own_media_type(raw)
        return Descriptor(media_type, digest or digests.of_bytes(raw), len(raw)), raw

    def document(self, reference: Reference, descriptor: Descriptor) -> bytes:
        """A manifest or index by its descriptor; raises `IntegrityError` for other bytes."""
        what = f"manifest {descriptor.digest} of {reference.familiar_repository}"
        limit = _document_size(what, descriptor)
        path = f"manifests/{descriptor.digest}"
        _, raw = self._repeated(lambda: self._document(reference, path, what, limit))
        digests.verify(what, descriptor.digest, descriptor.size, raw)
        return raw

    def blob_bytes(self, reference: Reference, descriptor: Descriptor) -> bytes:
        """A small blob, such as a config, whole; raises `IntegrityError` for other bytes."""
        what = _blob_name(reference, descriptor)
        limit = _document_size(what, descriptor)
        raw = self._repeated(lambda: self._blob_bytes(reference, descriptor, limit))
        digests.verify(what, descriptor.digest, descriptor.size, raw)
        return raw

    def open_blob(
        self, reference: Reference, descriptor: Descriptor, offset: int = 0
    ) -> BlobStream:
        """The blob's bytes from `offset` on, or from 0 if the registry cannot start there.

        Only opening is tried several times: what is to be done when the stream breaks depends on
        what became of the bytes before. The digest is not checked here.
        """
        if offset == descriptor.size:
            return BlobStream(None, "", offset, offset)
        span = (offset, descriptor.size) if offset else None
        return self._repeated(lambda: self.ask_blob(reference, descriptor, span))

    def ask_blob(
        self, reference: Reference, descriptor: Descriptor, span: Span | None = None
    ) -> BlobStream:
        """As `open_blob`, in one attempt; of the bytes from `span[0]` up to `span[1]`.

        The answer may end before that, or be the whole blob.
        """
        what = _blob_name(reference, descriptor)
        if span is not None:
            start, end = span
            if not 0 <= start < end <= descriptor.size:
                raise ValueError(f"bytes {start} to {end} are not in {what}")
            # Closed, because some registries do not know an open end.
            asked = {"Range": f"bytes={start}-{end - 1}"}
            answer = self._blob(reference, descriptor, asked, _RANGED)
            if answer.status == HTTPStatus.PARTIAL_CONTENT:
                last = _check_range(answer, what, span, descriptor.size)
                return BlobStream(answer, what, start, last + 1, part=True)
            if answer.status == HTTPStatus.OK:
                _check_length(answer, what, descriptor.size)
                return BlobStream(answer, what, 0, descriptor.size)
            answer.close()  # unread: the length of a body with 416 is not always true
        answer = self._blob(reference, descriptor)
        _check_length(answer, what, descriptor.size)
        return BlobStream(answer, what, 0, descriptor.size)

    def url(self, reference: Reference, path: str) -> str:
        """As `Talk.url`."""
        return self._talk.url(reference, path)

    def ask(
        self,
        reference: Reference,
        request: Request,
        what: str,
        *,
        also: Container[int] = (),
        access: Access = PULL,
    ) -> Answer:
        """As `Talk.ask`."""
        return self._talk.ask(reference, request, what, also=also, access=access)

    def repeat(self, attempt: Callable[[], _T]) -> _T:
        """What `attempt` gives, tried again after `UnavailableError` as the limits let it."""
        return self._repeated(attempt)

    def new_warnings(self) -> list[str]:
        """What registries warn of in their answers (RFC 7234 §5.5), each text once."""
        return self._talk.new_warnings()

    def _document(
        self, reference: Reference, path: str, what: str, limit: int
    ) -> tuple[str, bytes]:
        """The announced media type and the bytes, one more than `limit` if they are too many."""
        action = Action.PULL if ":" in path else Action.RESOLVE
        with self._talk.get(reference, path, what, _DOCUMENTS, action=action) as answer:
            raw = answer.read_past(limit)
            media_type, _, _ = answer.header("Content-Type").partition(";")
            self._talk.compare(answer, what, raw)
            return media_type.strip().lower(), raw

    def _blob_bytes(self, reference: Reference, descriptor: Descriptor, limit: int) -> bytes:
        if not descriptor.size:
            return b""
        with self._blob(reference, descriptor) as answer:
            return answer.read_past(limit)

    def _blob(
        self,
        reference: Reference,
        descriptor: Descriptor,
        headers: Mapping[str, str] | None = None,
        also: tuple[int, ...] = (),
    ) -> Answer:
        what = _blob_name(reference, descriptor)
        return self._talk.blob(reference, descriptor, what, headers or {}, also)

    def _repeated(self, attempt: Callable[[], _T]) -> _T:
        number = 0
        while True:
            number += 1
            try:
                return attempt()
            except UnavailableError as error:
                fraction = random.random()  # noqa: S311  no secret, only a spread
                pause = retry.wait(number, error.retry_after, self.limits, fraction)
                if pause is None:
                    raise
            self._sleep(pause)


def _blob_name(reference: Reference, descriptor: Descriptor) -> str:
    return f"blob {descriptor.digest} of {reference.familiar_repository}"


def _document_size(what: str, descriptor: Descriptor) -> int:
    if descriptor.size > oci.DOCUMENT_LIMIT:
        raise DocumentError(
            f"invalid {what}: {descriptor.size} bytes, at most {oci.DOCUMENT_LIMIT} allowed"
        )
    return descriptor.size


def _tells_a_kind(media_type: str) -> bool:
    """Whether this is more than a file server's guess."""
    return media_type.startswith("application/vnd.")


def _own_media_type(raw: bytes) -> str:
    """What the document calls itself, "" if it does not; whether that is right is seen later."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    own = document.get("mediaType") if isinstance(document, dict) else ""
    return own if isinstance(own, str) else ""


def _check_range(answer: Answer, what: str, span: Span, size: int) -> int:
    """The last byte of an answer that begins where `span` does; else raise `UnavailableError`."""
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
    return got.end


def _check_length(answer: Answer, what: str, size: int) -> None:
    """Raise `IntegrityError` if the whole body is announced with another size than promised."""
    length = answer.header("Content-Length")
    if length.isdigit() and int(length) != size and not answer.header("Content-Encoding"):
        answer.close()
        raise IntegrityError(
            f"wrong size of {what}: {answer.name} has {length} bytes, wanted {size}"
        )
