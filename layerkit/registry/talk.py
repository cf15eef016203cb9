"""Requests about one repository: to a mirror or its registry, logged in, refusals as errors."""

from __future__ import annotations

import time
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from layerkit.errors import AuthError, NotFoundError, RegistryError
from layerkit.reference import Reference
from layerkit.registry import address, outcome, retry
from layerkit.registry.auth import Authenticator
from layerkit.registry.challenge import PULL
from layerkit.registry.endpoints import TLS, USUAL, Action
from layerkit.registry.transport import Request
from layerkit.registry.warning import Warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from typing import BinaryIO

    from layerkit.errors import LayerkitError
    from layerkit.oci import Descriptor
    from layerkit.registry import endpoints
    from layerkit.registry.answer import Answer
    from layerkit.registry.challenge import Access
    from layerkit.registry.credentials import Lookup
    from layerkit.registry.endpoints import Endpoint
    from layerkit.registry.limits import Limits
    from layerkit.registry.transport import Transport


class Talk:
    """Asks the endpoints of an image; may be used by several threads.

    A server that could not be talked to once is left out, as long as there is another one.
    """

    def __init__(
        self,
        transport: Transport,
        lookup: endpoints.Lookup,
        credentials: Lookup,
        limits: Limits,
        warn: Callable[[str], None],
    ) -> None:
        self._transport = transport
        self._lookup = lookup
        self._warn = warn
        self._auth = Authenticator(transport, credentials, limits, warn=warn, trust=self._trust)
        self._warnings = Warnings()
        self._silent: set[str] = set()
        self._homes: dict[str, Endpoint] = {}

    def get(
        self,
        reference: Reference,
        path: str,
        what: str,
        headers: Mapping[str, str],
        also: Container[int] = (),
        *,
        action: Action = Action.PULL,
        method: str = "GET",
    ) -> Answer:
        """The first good answer of the endpoints to a GET or HEAD of `path` in the repository.

        What the last endpoint says counts; that is the registry itself.
        """
        *mirrors, last = self._able(reference, action)
        for endpoint in mirrors:
            if endpoint.base in self._silent:
                continue
            try:
                asked = Request(endpoint.url(path), headers, method)
                return self._ask(endpoint, reference, asked, what, also)
            except (AuthError, NotFoundError):
                continue
            except RegistryError as error:
                self._leave_out(endpoint, error)
        return self._ask(last, reference, Request(last.url(path), headers, method), what, also)

    def _leave_out(self, endpoint: Endpoint, error: RegistryError) -> None:
        known = endpoint.base in self._silent
        self._silent.add(endpoint.base)
        if not (known or endpoint.is_origin):  # the registry itself has another way
            self._warn(f"a mirror is left out: {error.message}")

    def url(self, reference: Reference, path: str) -> str:
        """Where the registry itself has what is at `path` of the reference's repository."""
        return self._home(reference).url(path)

    def ask(
        self,
        reference: Reference,
        request: Request,
        what: str,
        *,
        also: Container[int] = (),
        access: Access = PULL,
    ) -> Answer:
        """One try of a request about `what` in the reference's repository, which does what `access`
        says: the answer with status 200 or one of `also`.

        The credentials are sent to the registry only, wherever else a request goes.
        """
        home = self._home(reference)
        if address.origin(request.url) == address.origin(home.base):
            return self._ask(home, reference, request, what, also, access)
        elsewhere = replace(request, tls=TLS(authorities=home.tls.authorities))
        return self._judged(reference, self._transport.send(elsewhere), what, also)

    def blob(
        self,
        reference: Reference,
        descriptor: Descriptor,
        what: str,
        headers: Mapping[str, str],
        also: Container[int] = (),
    ) -> Answer:
        """As `get`; a layer that only its maker hands out may come from the address in `descriptor`.

        (image-spec layer.md, "Non-Distributable Layers".) A document leads no further than a redirect.
        """
        try:
            return self.get(reference, f"blobs/{descriptor.digest}", what, headers, also)
        except NotFoundError:
            if not descriptor.urls:
                raise
        try:
            there = address.follow(self.url(reference, ""), descriptor.urls[0])
        except ValueError as error:
            raise RegistryError(f"refused the address of {what}: {error}") from None
        return self.ask(reference, Request(there, headers), what, also=also)

    def compare(self, answer: Answer, what: str, raw: bytes) -> None:
        """Warn of an answer whose header names another digest than its bytes have."""
        if said := outcome.other_digest(answer.header("Docker-Content-Digest"), raw):
            self._warn(f"{answer.name} says that {what} is {said}, but sends something else")

    def check_login(self, registry: str) -> None:
        """Return if the registry takes our credentials, or asks for none."""
        reference = Reference(registry, "", None, None)
        home = self._home(reference)
        request = Request(f"{home.base}/")
        self._ask(home, reference, request, "/v2/", ()).close()

    def new_warnings(self) -> list[str]:
        """What registries warn of in their answers (RFC 7234 §5.5), each text once."""
        return self._warnings.new()

    # -- where to -------------------------------------------------------------------------------

    def _able(self, reference: Reference, action: Action) -> list[Endpoint]:
        found = [each for each in self._lookup(reference) if action in each.actions]
        if not found:
            raise RegistryError(
                f"no server is configured that may be asked for {reference.familiar_repository}"
            )
        return found

    def _home(self, reference: Reference) -> Endpoint:
        """The registry itself, in the first way that it can be talked to."""
        ways = self._able(reference, Action.PUSH)
        known = self._homes.get(reference.registry)
        if known in ways and known is not None:
            return known
        origins = [each for each in ways if each.is_origin] or ways[-1:]
        home = next((each for each in origins[:-1] if self._speaks(each)), origins[-1])
        self._homes[reference.registry] = home
        return home

    def _speaks(self, endpoint: Endpoint) -> bool:
        try:
            self._transport.send(Request(f"{endpoint.base}/", tls=endpoint.tls)).close()
        except RegistryError:
            return False
        return True

    def _trust(self, reference: Reference, url: str) -> TLS:
        """Whom to trust at the token server of a registry."""
        for endpoint in self._lookup(reference):
            if endpoint.is_origin:
                same = address.origin(url) == address.origin(endpoint.base)
                return endpoint.tls if same else TLS(authorities=endpoint.tls.authorities)
        return USUAL

    # -- one request ----------------------------------------------------------------------------

    def _ask(
        self,
        endpoint: Endpoint,
        reference: Reference,
        request: Request,
        what: str,
        also: Container[int],
        access: Access = PULL,
    ) -> Answer:
        request = replace(
            request, tls=endpoint.tls, private=dict(endpoint.headers), connect=endpoint.connect
        )
        start = _position(request.body)

        def send(authorization: str) -> Answer:
            _go_back(request.body, start)
            return self._transport.send(_with_login(request, authorization))

        asked = reference
        if not endpoint.is_origin:  # another server gets the credentials for its own name
            asked = replace(reference, registry=endpoint.registry, repository=endpoint.repository)
        answer = self._auth.exchange(asked, request.url, what, send, access)
        if _has_expired(request, answer):
            answer.discard()
            answer = self._auth.exchange(asked, request.url, what, send, access)
        return self._judged(asked, answer, what, also)

    def _judged(
        self, reference: Reference, answer: Answer, what: str, also: Container[int]
    ) -> Answer:
        self._warnings.take(reference.registry, answer.header_lines("Warning"))
        if answer.status == HTTPStatus.OK or answer.status in also:
            return answer
        with answer:
            raise _refusal(answer, what, self._auth.hint(reference.registry))


def _has_expired(request: Request, answer: Answer) -> bool:
    """Whether storage refuses, once, the URL that a registry sent us to: they are signed for a time."""
    elsewhere = answer.origin != address.origin(request.url)
    return elsewhere and answer.status == HTTPStatus.FORBIDDEN


def _with_login(request: Request, authorization: str) -> Request:
    if not authorization:
        return request
    return replace(request, headers={**request.headers, "Authorization": authorization})


def _position(body: bytes | BinaryIO | None) -> int:
    return 0 if body is None or isinstance(body, bytes) else body.tell()


def _go_back(body: bytes | BinaryIO | None, start: int) -> None:
    """Let a body be sent once more."""
    if body is not None and not isinstance(body, bytes):
        body.seek(start)


def _refusal(answer: Answer, what: str, hint: str) -> LayerkitError:
    asked = retry.asked_wait(answer.header("Retry-After"), time.time())
    return outcome.refusal(answer.name, what, answer.status, answer.words(), asked, hint)
