"""What an answer, or the lack of one, means: the error to raise for it (pure).

Messages name the host and never a URL, a header or the text of a library's exception, all of which
can carry secrets. What a server writes is shortened and freed of control characters.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import unicodedata
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING, Any

import requests
import urllib3

from layerkit import digest as digests
from layerkit.errors import AuthError, NotFoundError, RegistryError, UnavailableError
from layerkit.registry import retry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.errors import LayerkitError
    from layerkit.registry.limits import Limits

FAILURES = (OSError, HTTPException, urllib3.exceptions.HTTPError)
"""What the HTTP libraries raise instead of an answer (requests' errors are kinds of OSError)."""

_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((RemoteDisconnected,), "connection closed without an answer"),
    ((urllib3.exceptions.ConnectTimeoutError,), "no connection within {0.connect:g} s"),
    ((urllib3.exceptions.TimeoutError, TimeoutError), "nothing came for {0.read:g} s"),
    ((IncompleteRead, ssl.SSLError), "connection closed too early"),
)
_CLIENT_REFUSED = re.compile(r"_ALERT_(.*CERTIFICATE|UNKNOWN_CA|HANDSHAKE)")
_LONGEST_TEXT = 300
_MARKUP = re.compile(r"<(style|script)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
_MEANINGS: dict[int, str] = {
    HTTPStatus.METHOD_NOT_ALLOWED: " (it may be read-only)",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: " (too large for it)",
}
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
# A connection that just ends has broken off; any other TLS error is a disagreement.
_TLS_END = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


def clean(text: str) -> str:
    """`text` on one line, shortened, without characters that change how a terminal shows it."""
    seen = "".join(" " if unicodedata.category(c) in _UNSEEN else c for c in text[:10_000])
    words = " ".join(seen.split())
    return words if len(words) <= _LONGEST_TEXT else words[: _LONGEST_TEXT - 1] + "…"


def login_hint(registry: str) -> str:
    """Where credentials for `registry` come from."""
    return (
        f"`layerkit login {registry}` stores credentials; those in docker's config.json and "
        f"podman's auth.json count, too"
    )


def server_text(body: bytes, content_type: str) -> str:
    """What the registry says went wrong, "" if nothing people can read (distribution-spec, "Error
    Codes", allows any format).
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _plain_text(body.decode("utf-8", "replace"), content_type)
    return clean("; ".join(_json_texts(document)))


def other_digest(said: str, raw: bytes) -> str:
    """The sha256 digest that a registry says some bytes have, if they have another one."""
    own = digests.of_bytes(raw)
    try:
        wrong = digests.parse(said).algorithm == own.algorithm and said != str(own)
    except ValueError:
        return ""
    return said if wrong else ""


def _plain_text(text: str, content_type: str) -> str:
    """The words of a body that is no JSON: proxies answer in HTML."""
    if "text/html" in content_type:
        return clean(_MARKUP.sub(" ", text[:10_000]))
    return clean(text) if "text/plain" in content_type else ""


def refusal(
    name: str, what: str, status: int, text: str, asked: float | None, hint: str = ""
) -> LayerkitError:
    """The error for an answer with an unwanted `status`: `name` gave it, `what` was asked for.

    `text` is from `server_text`, `asked` from `retry.asked_wait`, `hint` says how to log in.
    """
    said = f": {text}" if text else ""
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return AuthError(f"{name} refuses the login for {what}{said}", hint=hint)
        case HTTPStatus.FORBIDDEN:
            return AuthError(f"{name} denies {what}, or it does not exist{said}", hint=hint)
        case HTTPStatus.NOT_FOUND:
            return NotFoundError(f"{name} has no {what}{said}")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return _rate_limited(name, what, said, asked)
    if retry.is_transient(status):
        message = f"{name} cannot serve {what} now, status {status}{said}"
        is_overload = status == HTTPStatus.SERVICE_UNAVAILABLE
        return UnavailableError(message, retry_after=asked, is_overload=is_overload)
    meaning = _MEANINGS.get(status, "")
    return RegistryError(f"{name} answered {what} with status {status}{meaning}{said}")


def is_disconnection(error: Exception) -> bool:
    """Whether one of `FAILURES` is the end of a connection before anything was answered on it."""
    kinds = (RemoteDisconnected, ConnectionResetError, BrokenPipeError)
    return any(isinstance(cause, kinds) for cause in _causes(error))


def failure(failed: str, error: Exception, limits: Limits) -> RegistryError:
    """The error for one of `FAILURES`; `failed` says what went wrong with whom."""
    causes = list(_causes(error))
    through = " (through the proxy)" if _has(causes, urllib3.exceptions.ProxyError) else ""
    for cause in causes:
        disagreement = _disagreement(cause)
        if disagreement:
            return RegistryError(f"{failed}{through}: {disagreement}", hint=_setting(cause))
    reasons = filter(None, (_reason(cause, limits) for cause in causes))
    return UnavailableError(f"{failed}{through}: {next(reasons, 'connection failed')}")


def _rate_limited(name: str, what: str, said: str, asked: float | None) -> UnavailableError:
    when = "" if asked is None else f"; it asks to wait {asked:.0f} s"
    return UnavailableError(
        f"{name} limits the rate of requests, also for {what}{said}{when}",
        hint="registries often grant more to users who are logged in",
        retry_after=asked,
        is_overload=True,
    )


def _json_texts(document: Any) -> Iterator[str]:
    """Code and message of each error, as distribution-spec and token servers write them."""
    if not isinstance(document, dict):
        return
    errors = document.get("errors")
    for error in errors if isinstance(errors, list) else [document]:
        if isinstance(error, dict):
            texts = [error.get(key) for key in ("code", "message", "details", "error")]
            texts.append(_digest_in(error.get("detail")))
            yield ": ".join(text for text in texts if isinstance(text, str) and text)


def _digest_in(detail: Any) -> Any:
    """The blob that an error is about; the rest of a detail is no text for people."""
    return detail.get("digest") if isinstance(detail, dict) else None


def _disagreement(cause: BaseException) -> str:
    """Why asking again would be no use; "" if it may be."""
    match cause:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({clean(cause.verify_message)})"
        case ssl.SSLError() if not isinstance(cause, _TLS_END):
            return f"TLS failed ({clean(cause.reason or 'unknown').replace('_', ' ').lower()})"
        case socket.gaierror(errno=socket.EAI_NONAME | socket.EAI_NODATA):
            return _os_reason(cause)
        case requests.exceptions.InvalidURL() | urllib3.exceptions.LocationValueError():
            return "not a valid host"
        case HTTPException() if not isinstance(cause, (RemoteDisconnected, IncompleteRead)):
            return "the answer is not HTTP"
    return ""


def _setting(cause: BaseException) -> str:
    """What to configure where the server is as it should be; "" if nothing helps."""
    match cause:
        case ssl.SSLCertVerificationError():
            return "an authority of your own is trusted from certs.d/HOST:PORT/ca.crt"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return (
                "if it speaks plain http, say so: insecure-registries in docker's daemon.json, "
                "insecure in registries.conf, or an http:// server in hosts.toml"
            )
        case ssl.SSLError(reason=str(reason)) if _CLIENT_REFUSED.search(reason):
            return "a client's certificate is read from certs.d/HOST:PORT/NAME.cert and NAME.key"
    return ""


def _reason(cause: BaseException, limits: Limits) -> str:
    """What happened, in a few words; "" for an exception that only wraps what matters."""
    if isinstance(cause, (urllib3.exceptions.NewConnectionError, requests.RequestException)):
        return ""
    for kinds, text in _REASONS:
        if isinstance(cause, kinds):
            return text.format(limits)
    return _os_reason(cause) if isinstance(cause, OSError) else ""


def _os_reason(cause: OSError) -> str:
    if cause.strerror:
        return clean(cause.strerror).lower()
    text = clean(str(cause))
    return text.lower() if text.startswith("Tunnel connection failed") else ""


def _has(causes: list[BaseException], kind: type[BaseException]) -> bool:
    return any(isinstance(cause, kind) for cause in causes)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and all it was made from: the libraries wrap in arguments, attributes and contexts."""
    pending: list[Any] = [error]
    seen: set[int] = set()
    while pending:
        cause = pending.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        pending += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
