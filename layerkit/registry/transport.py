"""The only HTTP code: one request with our own rules for redirects, limits, proxies and errors.

`requests` would read the environment and `~/.netrc`, carry cookies and credentials along redirects,
read the body of a redirect whole, and rewrite URLs; all of that is switched off here.
"""

from __future__ import annotations

import contextlib
import select
import ssl
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self

import requests

from layerkit.errors import RegistryError, UnavailableError
from layerkit.registry import address, encoding, exact, outcome
from layerkit.registry.endpoints import TLS, USUAL
from layerkit.registry.tls import context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from layerkit.registry.encoding import Inflater
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


class Answer:
    """One answer whose body was not read yet; `name` says in messages who gave it.

    Reading raises `UnavailableError` when the body breaks off or stalls. Close it, or read it to
    its end, which leaves the connection for the next request.
    """

    def __init__(self, response: requests.Response, name: str, limits: Limits) -> None:
        self._response = response
        self._limits = limits
        self._inflater: Inflater | None = None
        self._late: UnavailableError | None = None
        self.name = name
        self.status: int = response.status_code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What answered, after redirects."""
        return self._response.url

    @property
    def origin(self) -> address.Origin:
        """Who answered, after redirects."""
        return address.origin(self.url)

    def header(self, name: str) -> str:
        """The header of this name, "" if there is none."""
        return str(self._response.headers.get(name, ""))

    def header_lines(self, name: str) -> list[str]:
        """The header of this name line by line, as sent."""
        return list(self._response.raw.headers.getlist(name))

    def decode(self, size: int | None = None) -> None:
        """Undo a `Content-Encoding`, which nobody asked for, in what is read from now on.

        A body that has the wanted `size` as it is only has the wrong label. Raises `RegistryError`
        for a coding other than gzip.
        """
        coding = self.header("Content-Encoding").strip().lower()
        if coding in {"", "identity"} or self.header("Content-Length") == str(size):
            return
        if coding not in encoding.GZIP:
            raise RegistryError(
                f"{self.name} sent a body with the Content-Encoding {outcome.clean(coding)!r}, "
                f"which it was not asked for"
            )
        self._inflater = encoding.Inflater()

    def read_some(self, amount: int) -> bytes:
        """What came by now, at least one byte and at most `amount`; none at the end of the body.

        As it was sent, unless `decode` found that it has to be inflated.
        """
        if self._inflater is None:
            return self._gather(amount)
        try:
            return self._inflater.read(partial(self._read, self._response.raw.read1), amount)
        except ValueError as error:
            raise UnavailableError(f"{self.name} sent {error}") from None

    def _gather(self, amount: int) -> bytes:
        """What is there, of TLS too: a read gives one record of it, 16 KiB at most."""
        if self._late is not None:
            raise self._late
        raw = self._response.raw
        parts = [self._read(raw.read1, amount)]
        left = amount - len(parts[0])
        try:
            while left and parts[-1] and _has_more(raw):
                parts.append(self._read(raw.read1, left))
                left -= len(parts[-1])
        except UnavailableError as error:
            self._late = error  # what came before it is not lost
        return b"".join(parts)

    def _read(self, read: Callable[..., bytes], amount: int) -> bytes:
        try:
            return read(amount, decode_content=False)
        except outcome.FAILURES as error:
            raise outcome.failure(f"{self.name} broke off", error, self._limits) from None

    def read_past(self, limit: int) -> bytes:
        """The whole body; of a longer one the first `limit` bytes and one more."""
        data = bytearray()
        while len(data) <= limit:
            chunk = self.read_some(limit + 1 - len(data))
            if not chunk:
                break
            data += chunk
        return bytes(data)

    def words(self) -> str:
        """What the answer says went wrong, "" if it says nothing or breaks off."""
        try:
            self.decode()
            body = self.read_past(self._limits.error)
        except RegistryError:
            return ""
        return outcome.server_text(body, self.header("Content-Type"))

    def abort(self) -> None:
        """End the transfer from another thread: whoever reads sees it break off."""
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # it may be through already
            self._response.raw.shutdown()

    def discard(self) -> None:
        """Close, after reading a short body, so that the connection can be used again."""
        length = self.header("Content-Length")
        try:
            if length.isdigit() and int(length) <= self._limits.error:
                self.read_past(self._limits.error)
        except RegistryError:
            pass  # nobody wants the body; the connection is closed below
        self.close()

    def close(self) -> None:
        """Give the connection back, or end it if the body was not read to its end."""
        self._response.close()


def _has_more(raw: Any) -> bool:
    """Whether a body that comes by TLS can be read on without waiting."""
    sock = getattr(raw.connection, "sock", None)
    if not isinstance(sock, ssl.SSLSocket):
        return False
    look = select.poll()
    look.register(sock, select.POLLIN)
    return sock.pending() > 0 or bool(look.poll(0))


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
        """End the connections that nobody uses now."""
        with self._lock:
            for session in self._sessions.values():
                session.close()  # those in use are ended when they are given back

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
