"""Pulling from a registry (distribution-spec "Pull"): documents whole, blobs as streams."""

from __future__ import annotations

import json
import random
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar

from layerkit import digest as digests
from layerkit import oci
from layerkit.digest import BlobDigest
from layerkit.errors import (
    DocumentError,
    NotFoundError,
    RegistryError,
    UnavailableError,
)
from layerkit.oci import Descriptor
from layerkit.registry import endpoints, limits, retry, stream
from layerkit.registry.auth import tell_nobody
from layerkit.registry.challenge import PULL
from layerkit.registry.credentials import anonymous
from layerkit.registry.endpoints import Action
from layerkit.registry.stream import BlobStream
from layerkit.registry.talk import Talk
from layerkit.registry.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from layerkit.reference import Reference
    from layerkit.registry.answer import Answer
    from layerkit.registry.challenge import Access
    from layerkit.registry.credentials import Lookup
    from layerkit.registry.transport import Request

_T = TypeVar("_T")
Span: TypeAlias = tuple[int, int]

# What a request for a part may be answered with. Some that send no parts say so with an error: the
# whole blob is asked for then.
_RANGED = (
    HTTPStatus.PARTIAL_CONTENT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    HTTPStatus.BAD_REQUEST,
)

# Not refusals that would have a mirror left out: some serve manifests, but no HEAD of them.
_NO_HEAD = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_IMPLEMENTED,
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
        self.repeat(lambda: self._talk.check_login(registry))

    def resolve_document(self, reference: Reference) -> tuple[Descriptor, bytes]:
        """The manifest or index that the reference names now, by its digest if it has one.

        Raises `IntegrityError` if the bytes do not have the digest of the reference.
        """
        what = f"manifest {reference.familiar}"
        path = f"manifests/{reference.digest or reference.tag}"
        announced, raw = self.repeat(
            lambda: self._document(reference, path, what, oci.DOCUMENT_LIMIT)
        )
        if len(raw) > oci.DOCUMENT_LIMIT:
            raise DocumentError(f"invalid {what}: more than {oci.DOCUMENT_LIMIT} bytes")
        digest = reference.digest
        if digest is not None:
            digests.verify(what, digest, None, raw)
        media_type = announced if _tells_a_kind(announced) else _own_media_type(raw)
        return Descriptor(media_type, digest or digests.of_bytes(raw), len(raw)), raw

    def current_digest(self, reference: Reference) -> BlobDigest | None:
        """What the reference names now, by HEAD, which registries do not count as a pull.

        None if the registry does not say; that is asked once, as `resolve_document` finds out why.
        """
        path = f"manifests/{reference.digest or reference.tag}"
        what = f"manifest {reference.familiar}"
        action = Action.RESOLVE if reference.digest is None else Action.PULL
        try:
            with self._talk.get(
                reference, path, what, _DOCUMENTS, _NO_HEAD, action=action, method="HEAD"
            ) as answer:
                said = answer.header("Docker-Content-Digest")
                if answer.status != HTTPStatus.OK:
                    return None
            return reference.digest or BlobDigest(digests.parse(said))
        except (RegistryError, NotFoundError, ValueError):
            return None

    def document(self, reference: Reference, descriptor: Descriptor) -> bytes:
        """A manifest or index by its descriptor; raises `IntegrityError` for other bytes."""
        what = f"manifest {descriptor.digest} of {reference.familiar_repository}"
        limit = _document_size(what, descriptor)
        path = f"manifests/{descriptor.digest}"
        _, raw = self.repeat(lambda: self._document(reference, path, what, limit))
        digests.verify(what, descriptor.digest, descriptor.size, raw)
        return raw

    def blob_bytes(self, reference: Reference, descriptor: Descriptor) -> bytes:
        """A small blob, such as a config, whole; raises `IntegrityError` for other bytes."""
        what = _blob_name(reference, descriptor)
        limit = _document_size(what, descriptor)
        raw = self.repeat(lambda: self._blob_bytes(reference, descriptor, limit))
        digests.verify(what, descriptor.digest, descriptor.size, raw)
        return raw

    def blob_size(self, reference: Reference, descriptor: Descriptor) -> int:
        """How many bytes the registry has of a blob, for a descriptor that does not say it.

        Raises `RegistryError` when the registry does not say it either.
        """
        first = {"Range": "bytes=0-0"}
        with self.repeat(lambda: self._blob(reference, descriptor, first, _RANGED)) as answer:
            got = stream.content_range(answer.header("Content-Range"))
            length = answer.header("Content-Length")
            if answer.status == HTTPStatus.PARTIAL_CONTENT and got and got.total is not None:
                return got.total
            if answer.status == HTTPStatus.OK and length.isdigit():
                return int(length)
            what = _blob_name(reference, descriptor)
            raise RegistryError(f"{answer.name} does not say the size of {what}")

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
        return self.repeat(lambda: self.ask_blob(reference, descriptor, span))

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
            is_part = answer.status == HTTPStatus.PARTIAL_CONTENT
            if is_part and not stream.is_encoded(answer, descriptor.size):
                return stream.part(answer, what, span, descriptor.size)
            if answer.status == HTTPStatus.OK:
                return stream.whole(answer, what, descriptor.size)
            answer.close()  # unread: the length of a body with 416 is not always true
        return stream.whole(self._blob(reference, descriptor), what, descriptor.size)

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

    def new_warnings(self) -> list[str]:
        """What registries warn of in their answers (RFC 7234 §5.5), each text once."""
        return self._talk.new_warnings()

    def _document(
        self, reference: Reference, path: str, what: str, limit: int
    ) -> tuple[str, bytes]:
        """The announced media type and the bytes, one more than `limit` if they are too many."""
        action = Action.PULL if ":" in path else Action.RESOLVE
        with self._talk.get(reference, path, what, _DOCUMENTS, action=action) as answer:
            answer.decode()
            raw = answer.read_past(limit)
            media_type, _, _ = answer.header("Content-Type").partition(";")
            self._talk.compare(answer, what, raw)
            return media_type.strip().lower(), raw

    def _blob_bytes(self, reference: Reference, descriptor: Descriptor, limit: int) -> bytes:
        if not descriptor.size:
            return b""
        with self._blob(reference, descriptor) as answer:
            answer.decode(descriptor.size)
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
