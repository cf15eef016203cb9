"""Logging in to registries: Basic, and Bearer tokens that are fetched once and shared by threads."""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from layerkit.errors import AuthError, RegistryError
from layerkit.registry import address, challenge, outcome, retry, tokens
from layerkit.registry.challenge import PULL
from layerkit.registry.credentials import Credentials, Kind
from layerkit.registry.endpoints import USUAL
from layerkit.registry.transport import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layerkit.errors import LayerkitError
    from layerkit.reference import Reference
    from layerkit.registry.answer import Answer
    from layerkit.registry.challenge import Access, Challenge, TokenRequest
    from layerkit.registry.credentials import Lookup
    from layerkit.registry.endpoints import TLS
    from layerkit.registry.limits import Limits
    from layerkit.registry.tokens import Token
    from layerkit.registry.transport import Transport

_USED_LIFE = 0.9  # of a token's life; a request takes a moment to arrive
_RENEWALS = 2  # in one request: the first login, and a token for a wider scope
_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
# What token servers that know no POST answer to it: Artifactory 401, ACR 400, GCR 404.
_NO_POST = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
)
_TOKEN_SERVER = "token server"  # noqa: S105


@dataclass(slots=True)
class _Slot:
    """Where the token for one purpose is kept; `lock` is held while it is fetched."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    header: str = ""
    expires: float = 0.0


def tell_nobody(_text: str) -> None:
    """The `warn` of somebody who wants to know nothing."""


def _trust_as_usual(_reference: Reference, _url: str) -> TLS:
    return USUAL


class Authenticator:
    """Knows what to send as `Authorization`, and learns it from challenges.

    `warn` is told once what is wrong with credentials that it goes on without; `clock` gives
    seconds that never go back; the times that token servers name are not trusted.
    """

    def __init__(
        self,
        transport: Transport,
        credentials: Lookup,
        limits: Limits,
        *,
        warn: Callable[[str], None] = tell_nobody,
        trust: Callable[[Reference, str], TLS] = _trust_as_usual,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._trust = trust
        self._credentials = credentials
        self._limits = limits
        self._warn = warn
        self._clock = clock
        self._challenges: dict[tuple[str, str], tuple[str, Challenge]] = {}
        self._slots: dict[tuple[str, TokenRequest, Credentials | None], _Slot] = {}
        self._refreshed: dict[Credentials, str] = {}
        self._troubles: dict[str, str] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def exchange(
        self,
        reference: Reference,
        url: str,
        what: str,
        send: Callable[[str], Answer],
        access: Access = PULL,
    ) -> Answer:
        """The answer of the registry to a request for `what`, logged in if it wants that.

        `send` makes the request to `url` with the header it gets, "" for none, perhaps several
        times. Raises `AuthError` if the registry wants a login and takes none that we have.
        """
        tried = [self.known(reference, access)]
        answer = send(tried[-1])
        # Where a redirect led, nobody may ask for the registry's credentials.
        while _is_refused(answer.status, tried) and answer.origin == address.origin(url):
            with answer:
                text, lines = answer.words(), answer.header_lines("WWW-Authenticate")
            header = self.renewed(reference, url, lines, tried, access)
            if not header:
                hint = self.hint(reference.registry)
                raise outcome.refusal(answer.name, what, answer.status, text, None, hint)
            tried.append(header)
            answer = send(header)
        return answer

    def known(self, reference: Reference, access: Access = PULL) -> str:
        """The header for a request to this repository, "" as long as it asked for none."""
        url, offer = self._challenges.get(_key(reference), ("", None))
        return "" if offer is None else self._header(reference, url, offer, access, [])

    def renewed(
        self,
        reference: Reference,
        url: str,
        lines: Sequence[str],
        tried: list[str],
        access: Access = PULL,
    ) -> str:
        """The header to try next after a request to `url` was refused, "" if there is no other.

        `lines` are the answer's `WWW-Authenticate` headers, `tried` has what was sent so far, first
        what was `known`. Raises `AuthError` for missing or wrong credentials, `RegistryError` for a
        challenge or token answer that makes no sense.
        """
        if len(tried) > _RENEWALS:
            return ""
        host = f"registry {reference.host}"
        try:
            offer = challenge.choose(
                challenge.parse(lines or self._general_challenge(reference, url))
            )
        except ValueError as error:
            raise RegistryError(f"cannot read how {host} wants a login: {error}") from None
        if offer is None:
            raise AuthError(f"{host} wants a login of a kind that layerkit does not know")
        header = self._header(reference, url, offer, access, tried)
        self._challenges[_key(reference)] = (url, offer)
        return header

    def hint(self, registry: str) -> str:
        """What may help where a login failed."""
        return self._troubles.get(registry) or outcome.login_hint(registry)

    def _general_challenge(self, reference: Reference, url: str) -> list[str]:
        """How the registry wants a login, where a repository of it does not say (as GCR's may)."""
        general = f"{url.partition('/v2/')[0]}/v2/"
        with self._transport.send(Request(general, tls=self._trust(reference, url))) as answer:
            is_its_own = answer.origin == address.origin(url)
            return answer.header_lines("WWW-Authenticate") if is_its_own else []

    def _header(
        self,
        reference: Reference,
        url: str,
        offer: Challenge,
        access: Access,
        tried: Sequence[str],
    ) -> str:
        credentials = self._found(reference)
        if offer.scheme == "basic":
            return self._basic(reference, credentials, tried)
        if credentials is not None and credentials.kind is Kind.REGISTRY_TOKEN:
            return _untried(f"Bearer {credentials.secret}", reference, credentials, tried)
        try:
            request = challenge.token_request(offer, url, reference.repository, access)
        except ValueError as error:
            reason = outcome.clean(str(error))
            raise RegistryError(
                f"refused the token server of registry {reference.host}: {reason}"
            ) from None
        slot = self._slots.setdefault((reference.registry, request, credentials), _Slot())
        with slot.lock:
            if slot.header in tried[1:]:
                return ""  # it came for this very request
            if slot.header in tried or slot.expires <= self._clock():
                slot.header = ""  # a failure must not leave the refused one behind
                asked = self._clock()
                token = self._fetch(reference, request, credentials)
                slot.header, slot.expires = f"Bearer {token.value}", asked + token.life * _USED_LIFE
            return slot.header

    def _found(self, reference: Reference) -> Credentials | None:
        """The credentials for a repository; the user is warned if there may be some."""
        try:
            return self._credentials(reference.registry, reference.repository)
        except AuthError as error:
            self._tell(reference.registry, error.message)
            return None

    def _tell(self, registry: str, trouble: str) -> None:
        with self._lock:
            self._troubles[registry] = trouble
            if trouble in self._told:
                return
            self._told.add(trouble)
        self._warn(f"{trouble}; going on without credentials for {registry}")

    def _basic(
        self, reference: Reference, credentials: Credentials | None, tried: Sequence[str]
    ) -> str:
        host = f"registry {reference.host}"
        if credentials is None:
            raise AuthError(
                f"{host} wants credentials, and there are none for it",
                hint=self.hint(reference.registry),
            )
        if credentials.kind is not Kind.PASSWORD:
            raise AuthError(
                f"{host} wants name and password, not the {credentials.kind.value} stored for it",
                hint=self.hint(reference.registry),
            )
        return _untried(_basic_header(credentials), reference, credentials, tried)

    def _fetch(
        self, reference: Reference, request: TokenRequest, credentials: Credentials | None
    ) -> Token:
        """A new token; one for anybody, if the credentials are refused and something is to be read.

        Stored credentials that went stale must not keep their owner from what is public.
        """
        if credentials is not None:
            _refuse_open_realm(reference, request)
        try:
            return self._ask(reference, request, credentials)
        except AuthError as refusal:
            if credentials is None or not request.scopes:
                raise
            try:
                token = self._ask(reference, request, None)
            except AuthError:
                raise refusal from None
            self._tell(reference.registry, refusal.message)
            return token

    def _ask(
        self, reference: Reference, request: TokenRequest, credentials: Credentials | None
    ) -> Token:
        with self._asked(reference, request, credentials) as answer:
            if answer.status != HTTPStatus.OK:
                raise self._refused(reference, answer, credentials)
            body = answer.read_past(self._limits.token)
        token = tokens.read(answer.name, body, self._limits.token)
        if credentials is not None and token.refresh:
            self._refreshed[credentials] = token.refresh
        return token

    def _asked(
        self, reference: Reference, request: TokenRequest, credentials: Credentials | None
    ) -> Answer:
        """The token server's answer: to a POST for an identity token where it knows one."""
        tls = self._trust(reference, request.realm)
        get = Request(request.url, tls=tls)
        if credentials is None:
            return self._transport.send(get, _TOKEN_SERVER)
        if credentials.kind is Kind.IDENTITY_TOKEN:
            secret = self._refreshed.get(credentials, credentials.secret)
            credentials = replace(credentials, secret=secret)
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            post = Request(request.realm, headers, "POST", request.form(secret), tls=tls)
            answer = self._transport.send(post, _TOKEN_SERVER)
            if answer.status not in _NO_POST:
                return answer
            answer.discard()
        headers = {"Authorization": _basic_header(credentials)}
        return self._transport.send(replace(get, headers=headers), _TOKEN_SERVER)

    def _refused(
        self, reference: Reference, answer: Answer, credentials: Credentials | None
    ) -> LayerkitError:
        repository = f" for {reference.familiar_repository}" if reference.repository else ""
        what, text = f"token{repository}", answer.words()
        if answer.status not in _REFUSALS:
            asked = retry.asked_wait(answer.header("Retry-After"), time.time())
            return outcome.refusal(answer.name, what, answer.status, text, asked)
        said = f": {text}" if text else ""
        whom = "anybody" if credentials is None else credentials.owner
        return AuthError(
            f"{answer.name} does not give {whom} a {what}{said}",
            hint=self.hint(reference.registry),
        )


def _is_refused(status: int, tried: Sequence[str]) -> bool:
    """Whether a login may help; 400 is what ECR Public says of a token that is too old."""
    may_be_old = len(tried) == 1 and tried[0].startswith("Bearer ")
    return status == HTTPStatus.UNAUTHORIZED or (status == HTTPStatus.BAD_REQUEST and may_be_old)


def _untried(
    header: str, reference: Reference, credentials: Credentials, tried: Sequence[str]
) -> str:
    if header in tried:
        raise AuthError(
            f"registry {reference.host} rejected the credentials of {credentials.owner}",
            hint=outcome.login_hint(reference.registry),
        )
    return header


def _key(reference: Reference) -> tuple[str, str]:
    return (reference.registry, reference.repository)


def _basic_header(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.secret}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _refuse_open_realm(reference: Reference, request: TokenRequest) -> None:
    realm = address.origin(request.realm)
    if realm.scheme != "https" and not address.is_loopback(realm.host):
        raise AuthError(
            f"refused to send the credentials for {reference.registry} to token server "
            f"{realm.name}: it has no TLS"
        )
