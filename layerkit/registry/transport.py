"""The only HTTP code: one request with our own rules for redirects, limits, proxies and errors.

`requests` would read the environment and `~/.netrc`, carry cookies and credentials along redirects,
read the body of a redirect whole, and rewrite URLs; all of that is switched off here.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests

from layerkit.errors import RegistryError
from layerkit.registry import address, exact, outcome
from layerkit.registry.answer import Answer
from layerkit.registry.endpoints import TLS, USUAL
from layerkit.registry.tls import context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from typing import BinaryIO

    from layerkit.registry.limits import Limits

_REDIRECTS = (
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
)
_FOLLOWED = ("GET", "HEAD")
_BOUND_TO_ORIGIN = ("authorization", "cookie", "proxy-authorization")
# More hosts than one pull meets, and more connections to each than it opens: none is thrown away.
_HOSTS = 16
_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of `url`; a `body` that is a file is sent from where it stands to its end.

    `private` are more headers, for the origin of `url` only; so is the identity in `tls`. Seconds
    that a connection (`connect`) and the begin of the answer (`patience`) may take are as in the
    limits where they are None.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes | BinaryIO | None = None
    patience: float | None = None
    connect: float | None = None
    tls: TLS = USUAL
    private: Mapping[str, str] = field(default_factory=dict)


class Transport:
    """Sends requests; may be used by several threads.

    `proxies` has URLs for the schemes "http" and "https", and as "no_proxy" the list of hosts that
    are asked without one; loopback always is.
    """

    def __init__(
        self,
        limits: Limits,
        user_agent: str,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        self._limits = limits
        self._user_agent = user_agent
        self._proxies = dict(proxies or {})
        self._no_proxy = self._proxies.pop("no_proxy", "")
        self._sessions: dict[TLS, _Session] = {}
        self._answered: set[address.Origin] = set()
        self._lock = threading.Lock()

    def close(self) -> None:
        """End all connections."""
        for session in self._sessions.values():
            session.close()

    def close_idle(self) -> None:
        """End the connections that nobody uses now, and the others when they are given back."""
        with self._lock:
            for session in self._sessions.values():
                session.close()

    def send(self, request: Request, role: str = "registry") -> Answer:
        """The first answer that is no redirect, whatever its status.

        Raises `UnavailableError` without an answer, `RegistryError` for a redirect that must not be
        followed: one to where it must not lead, or of a request that changes something. Credentials
        in the headers reach the origin of the request's URL only.
        """
        url = request.url
        sent = {"User-Agent": self._user_agent, "Accept-Encoding": "identity", **request.headers}
        sent, private, tls = {**sent, **request.private}, set(request.private), request.tls
        first = name = f"{role} {address.origin(url).name}"
        for _ in range(self._limits.redirects + 1):
            answer = self._send(replace(request, url=url, headers=sent, tls=tls), name)
            if answer.status not in _REDIRECTS:
                return answer
            answer.discard()
            if request.method not in _FOLLOWED:
                raise RegistryError(f"refused a redirect of {first}: it is of a {request.method}")
            before, url = url, _target(url, answer)
            if address.origin(url) != address.origin(before):
                sent = {key: sent[key] for key in sent if not _is_bound(key) and key not in private}
                tls = TLS(authorities=tls.authorities)
                name = f"{address.origin(url).name} (redirected from {first})"
        raise RegistryError(f"{first} redirects more than {self._limits.redirects} times")

    def _send(self, request: Request, name: str) -> Answer:
        direct = address.goes_direct(address.origin(request.url), self._no_proxy)
        limits = replace(
            self._limits,
            connect=request.connect or self._limits.connect,
            read=request.patience or self._limits.read,
        )
        send = partial(
            self._session(request.tls).send,
            stream=True,
            allow_redirects=False,
            timeout=(limits.connect, limits.read),
            proxies={} if direct else self._proxies,
        )
        origin = address.origin(request.url)
        try:
            try:
                response = send(_prepared(request))
            except outcome.FAILURES as error:
                # A server may end a connection that it kept in the moment when it is used again.
                may_be_late = origin in self._answered and request.method in _FOLLOWED
                if not (may_be_late and outcome.is_disconnection(error)):
                    raise
                response = send(_prepared(request))
        except outcome.FAILURES as error:
            raise outcome.failure(f"cannot reach {name}", error, limits) from None
        self._answered.add(origin)
        return Answer(response, name, self._limits)

    def _session(self, tls: TLS) -> _Session:
        """The connections with these settings."""
        with self._lock:
            if tls not in self._sessions:
                self._sessions[tls] = _Session(tls)
            return self._sessions[tls]


def _prepared(request: Request) -> requests.PreparedRequest:
    prepared = requests.Request(
        request.method, request.url, headers=dict(request.headers), data=request.body
    ).prepare()
    # Else prepare() and urllib3 write escapes anew; a signature may cover them.
    prepared.url = prepared.headers[exact.WRITTEN] = request.url
    return prepared


def _is_bound(header: str) -> bool:
    """Whether a header is for the origin only that it was meant for."""
    return header.lower() in _BOUND_TO_ORIGIN


def _target(url: str, answer: Answer) -> str:
    try:
        return address.follow(url, answer.header("Location"))
    except ValueError as error:
        reason = outcome.clean(str(error))
        raise RegistryError(f"refused a redirect of {answer.name}: {reason}") from None


class _Session(requests.Session):
    """A session that reads no environment, keeps no cookies and knows nothing of redirects.

    So a request changes nothing in it but the connection pools, which have their own locks.
    """

    def __init__(self, tls: TLS) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("http://", exact.Adapter(_HOSTS, _CONNECTIONS))
        self._tls = tls
        self._lock = threading.Lock()
        del self.adapters["https://"]

    def get_adapter(self, url: str) -> Any:
        """The adapter for `url`; the one for TLS is made when first wanted (40 ms of loading)."""
        with self._lock:
            if url.startswith("https://") and "https://" not in self.adapters:
                self.mount("https://", _TLSAdapter(context(self._tls)))
            return super().get_adapter(url)

    def get_redirect_target(self, _resp: requests.Response) -> None:
        """No target: `send` would read the redirect's body, however long, to look ahead."""


class _TLSAdapter(exact.Adapter):
    """Trusts what one TLS context trusts, instead of the list of certificates in `certifi`."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        super().__init__(_HOSTS, _CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._tls, **kwargs)

    def cert_verify(self, *_args: Any) -> None:
        """Leave the connection alone: its context verifies already."""
