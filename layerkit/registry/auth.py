"""Logging in to registries: Basic, and Bearer tokens that are fetched once and shared by threads."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from layerkit.errors import AuthError, RegistryError
from layerkit.registry import address, challenge, outcome, retry
from layerkit.registry.challenge import PULL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from layerkit.errors import LayerkitError
    from layerkit.reference import Reference
    from layerkit.registry.challenge import Access, Challenge, TokenRequest
    from layerkit.registry.credentials import Credentials, Lookup
    from layerkit.registry.limits import Limits
    from layerkit.registry.transport import Answer, Transport

_SHORTEST_LIFE = 60.0  # seconds; also that of a token without `expires_in` (docker's token page)
_LONGEST_LIFE = 86400.0
_USED_LIFE = 0.9  # of a token's life; a request takes a moment to arrive
_TOKEN = re.compile(r"[!-~]+", re.ASCII)


@dataclass(slots=True)
class _Slot:
    """Where the token for one purpose is kept; `lock` is held while it is fetched."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    header: str = ""
    expires: float = 0.0


class Authenticator:
    """Knows what to send as `Authorization`, and learns it from challenges.

    `clock` gives seconds that never go back; the times that token servers name are not trusted.
    """

    def __init__(
        self,
        transport: Transport,
        credentials: Lookup,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._limits = limits
        self._clock = clock
        self._challenges: dict[tuple[str, str], tuple[str, Challenge]] = {}
        self._slots: dict[tuple[str, TokenRequest], _Slot] = {}

    def known(self, reference: Reference, access: Access = PULL) -> str:
        """The header for a request to this repository, "" as long as it asked for none."""
        url, offer = self._challenges.get(_key(reference), ("", None))
        return "" if offer is None else self._header(reference, url, offer, "", access)

    def renewed(
        self,
        reference: Reference,
        url: str,
        lines: Iterable[str],
        rejected: str,
        access: Access = PULL,
    ) -> str:
        """The header to try once more with, after a request to `url` with `rejected` was refused.

        `lines` are the answer's `WWW-Authenticate` headers. Raises `AuthError` when there is
        nothing else to try, `RegistryError` for a challenge or token answer that makes no sense.
        """
        host = f"registry {reference.host}"
        try:
            offer = challenge.choose(challenge.parse(lines))
        except ValueError as error:
            raise RegistryError(f"cannot read how {host} wants a login: {error}") from None
        if offer is None:
            raise AuthError(f"{host} wants a login of a kind that layerkit does not know")
        header = self._header(reference, url, offer, rejected, access)
        self._challenges[_key(reference)] = (url, offer)
        return header

    def _header(
        self, reference: Reference, url: str, offer: Challenge, rejected: str, access: Access
    ) -> str:
        if offer.scheme == "basic":
            return self._basic(reference, rejected)
        try:
            request = challenge.token_request(offer, url, reference.repository, access)
        except ValueError as error:
            reason = outcome.clean(str(error))
            raise RegistryError(
                f"refused the token server of registry {reference.host}: {reason}"
            ) from None
        slot = self._slots.setdefault((reference.registry, request), _Slot())
        with slot.lock:
            if slot.header == rejected or slot.expires <= self._clock():
                slot.header = ""  # a failure must not leave the refused one behind
                slot.header, slot.expires = self._fetch(reference, request)
            return slot.header

    def _basic(self, reference: Reference, rejected: str) -> str:
        credentials = self._credentials(reference.registry)
        if credentials is None:
            raise AuthError(
                f"registry {reference.host} wants credentials, and there are none for it",
                hint=outcome.login_hint(reference.registry),
            )
        header = _basic_header(credentials)
        if header == rejected:
            raise AuthError(
                f"registry {reference.host} rejected the credentials of {credentials.username!r}",
                hint=outcome.login_hint(reference.registry),
            )
        return header

    def _fetch(self, reference: Reference, request: TokenRequest) -> tuple[str, float]:
        """A new token's header and the time it is good until."""
        credentials = self._credentials(reference.registry)
        headers = {}
        if credentials is not None:
            _refuse_open_realm(reference, request)
            headers["Authorization"] = _basic_header(credentials)
        asked = self._clock()
        with self._transport.get(request.url, headers, "token server") as answer:
            if answer.status != HTTPStatus.OK:
                raise _refused(reference, answer, credentials)
            body = answer.read_past(self._limits.token)
        token, life = _read_token(answer.name, body, self._limits.token)
        return f"Bearer {token}", asked + life * _USED_LIFE


def _refused(
    reference: Reference, answer: Answer, credentials: Credentials | None
) -> LayerkitError:
    what, text = f"token for {reference.familiar_repository}", answer.words()
    if answer.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        asked = retry.asked_wait(answer.header("Retry-After"), time.time())
        return outcome.refusal(answer.name, what, answer.status, text, asked)
    said = f": {text}" if text else ""
    whom = "anybody" if credentials is None else repr(credentials.username)
    return AuthError(
        f"{answer.name} does not give {whom} a {what}{said}",
        hint=outcome.login_hint(reference.registry),
    )


def _key(reference: Reference) -> tuple[str, str]:
    return (reference.registry, reference.repository)


def _basic_header(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _refuse_open_realm(reference: Reference, request: TokenRequest) -> None:
    realm = address.origin(request.realm)
    if realm.scheme != "https" and not address.is_loopback(realm.host):
        raise AuthError(
            f"refused to send the credentials for {reference.registry} to token server "
            f"{realm.name}: it has no TLS"
        )


def _read_token(name: str, body: bytes, limit: int) -> tuple[str, float]:
    """The token in the answer of a token server, and its life in seconds."""
    document = _json_object(body) if len(body) <= limit else {}
    token = document.get("token") or document.get("access_token")
    if not (isinstance(token, str) and _TOKEN.fullmatch(token)):
        raise RegistryError(f"{name} answered without a usable token")
    return token, _life(document.get("expires_in"))


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _life(expires_in: Any) -> float:
    try:
        return min(_LONGEST_LIFE, max(_SHORTEST_LIFE, float(expires_in)))
    except (TypeError, ValueError, OverflowError):
        return _SHORTEST_LIFE
