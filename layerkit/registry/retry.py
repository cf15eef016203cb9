"""Which answers may be better later, and how long to wait for them (pure)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layerkit.registry.limits import Limits

_TRANSIENT = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_FINAL = (HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)


def is_transient(status: int) -> bool:
    """Whether the same request may get a better answer than this status later."""
    server_error = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return status in _TRANSIENT or (server_error and status not in _FINAL)


def asked_wait(value: str, now: float) -> float | None:
    """The seconds that a `Retry-After` header asks for (RFC 9110 §10.2.3); None if it says nothing.

    `now` is the time in seconds since 1970, for a header with a date.
    """
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def wait(
    attempt: int, asked: float | None, limits: Limits, fraction: float, *, attempts: int = 0
) -> float | None:
    """The seconds to wait after the failed `attempt` (from 1); None to give up.

    Doubles from `limits.first_wait` to `limits.longest_wait`, of which `fraction` (0 to 1, drawn by
    the caller) is taken, so that many clients do not come back at once. A wait the registry `asked`
    for is kept whole; one that is longer than we ever wait is a reason to give up. `attempts` are
    as many as may fail, where that is not `limits.attempts`.
    """
    if attempt >= (attempts or limits.attempts) or (asked or 0) > limits.longest_asked:
        return None
    own = min(limits.longest_wait, limits.first_wait * 2.0 ** (attempt - 1)) * fraction
    return own if asked is None else max(own, asked)
