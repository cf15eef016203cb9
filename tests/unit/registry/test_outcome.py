"""What answers mean, and what messages never show."""

from __future__ import annotations

import json

import pytest

from layerkit.errors import AuthError, NotFoundError, RegistryError, UnavailableError
from layerkit.registry import outcome

NAME = "registry r.io"
JSON = "application/json"


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, AuthError, "registry r.io refuses the login for manifest a:1: why"),
        (403, AuthError, "registry r.io denies manifest a:1, or it does not exist: why"),
        (404, NotFoundError, "registry r.io has no manifest a:1: why"),
        (408, UnavailableError, "registry r.io cannot serve manifest a:1 now, status 408: why"),
        (429, UnavailableError, "registry r.io limits the rate of requests, also for manifest a:1"),
        (500, UnavailableError, "registry r.io cannot serve manifest a:1 now, status 500: why"),
        (503, UnavailableError, "registry r.io cannot serve manifest a:1 now, status 503: why"),
        (501, RegistryError, "registry r.io answered manifest a:1 with status 501: why"),
        (204, RegistryError, "registry r.io answered manifest a:1 with status 204: why"),
        (418, RegistryError, "registry r.io answered manifest a:1 with status 418: why"),
    ],
)
def test_each_status_has_its_error(status, kind, message):
    """The class of error follows the status; the message names host, object and reason."""
    error = outcome.refusal(NAME, "manifest a:1", status, "why", None)

    assert type(error) is kind
    assert error.message.startswith(message)


def test_a_rate_limit_says_for_how_long():
    """The time that a registry asks to wait is in the message and in the error."""
    error = outcome.refusal(NAME, "manifest a:1", 429, "", 30.0)

    assert error.message.endswith("; it asks to wait 30 s")
    assert error.retry_after == 30


@pytest.mark.parametrize(
    ("body", "content_type", "wanted"),
    [
        (b'{"errors":[{"code":"X","message":"bad","detail":{"a":1}}]}', JSON, "X: bad"),
        (b'{"errors":[{"code":"X"},{"message":"bad"}]}', "", "X; bad"),
        (b'{"details":"incorrect username or password"}', JSON, "incorrect username or password"),
        (b'{"error":"denied"}', JSON, "denied"),
        (b'{"errors":[1,null,{"code":2}]}', JSON, ""),
        (b'{"errors":{}}', JSON, ""),
        (b"[]", JSON, ""),
        (b"{", JSON, ""),
        (b"[" * 60_000, JSON, ""),
        (
            b"Too Many Requests (HAP429)\n",
            "text/plain; charset=utf-8",
            "Too Many Requests (HAP429)",
        ),
        (b"<html>proxy</html>", "text/html", "proxy"),
        (b"<style>p {}</style><h1>Too <b>large</b>\x1b[31m</h1>", "text/html", "Too large [31m"),
        (b"<html>proxy</html>", "image/png", ""),
        (b"\xff\xfe", "text/plain", "\ufffd\ufffd"),
        (b"", JSON, ""),
    ],
)
def test_the_registrys_own_words_are_found(body, content_type, wanted):
    """Error documents, plain text and the text of pages are shown, anything else is not."""
    assert outcome.server_text(body, content_type) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a\x1b[31mred\x1b[0m\nb", "a [31mred [0m b"),
        ("a\u202eb\u2066c\u200bd", "a b c d"),
        ("a\r\n\t  b\x00\x7f\x9b", "a b"),
        ("über", "über"),
        ("x" * 301, "x" * 299 + "…"),
    ],
)
def test_a_servers_text_cannot_change_the_terminal(text, wanted):
    """S03: control and direction characters are gone, the text is one line and short."""
    assert outcome.clean(text) == wanted


def test_long_error_documents_are_shortened():
    """However much a registry has to say, it is one line."""
    body = json.dumps({"errors": [{"code": "X", "message": "y" * 100}] * 500}).encode()

    assert len(outcome.server_text(body, JSON)) == 300
