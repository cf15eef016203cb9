"""What token servers answer."""

from __future__ import annotations

import json

import pytest

from layerkit.errors import RegistryError
from layerkit.registry import tokens


@pytest.mark.parametrize(
    ("document", "token"),
    [
        ({"token": "a"}, "a"),
        ({"access_token": "b"}, "b"),
        ({"token": "a", "access_token": "b"}, "a"),
        ({"token": "", "access_token": "b"}, "b"),
    ],
    ids=lambda value: f"A05-{value}",
)
def test_tokens_have_two_names(document, token):
    """Both names of a token are read."""
    assert tokens.read("t", json.dumps(document).encode(), 100).value == token


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [
        (None, 60), (0, 60), (-5, 60), (59, 60), (300, 300), ("300", 300), ("soon", 60), ([], 60),
        (10**400, 60), (1e300, 86400), (float("nan"), 60),
    ],
    ids=lambda value: f"A05-{value}"[:20],
)  # fmt: skip
def test_a_token_lives_a_minute_at_least(expires_in, life):
    """A missing, short or senseless life is a minute."""
    body = json.dumps({"token": "a", "expires_in": expires_in}).encode()

    assert tokens.read("t", body, 1000).life == life


@pytest.mark.parametrize(
    ("refresh", "wanted"), [("new", "new"), (None, ""), ("", ""), (5, ""), ("a b", "")]
)
def test_an_identity_token_may_come_along(refresh, wanted):
    """A usable `refresh_token` is kept, anything else is as if it were not there."""
    body = json.dumps({"token": "a", "refresh_token": refresh}).encode()

    assert tokens.read("t", body, 1000).refresh == wanted


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"token": null}',
        b'{"token": 5}',
        b'{"token": "with space"}',
        b'{"token": "line\\r\\nX-Header: y"}',
        b'{"token": "\\u00e9"}',
        b'{"token": "' + b"x" * 2000 + b'"}',
    ],
    ids=lambda body: f"A05-{body}"[:30],
)
def test_answers_without_a_usable_token(body):
    """An answer without a token, or with one that fits in no header, is refused unseen."""
    with pytest.raises(RegistryError, match=r"^t answered without a usable token$"):
        tokens.read("t", body, 1000)


def test_a_token_does_not_show():
    """The representation of a token has no secret in it."""
    token = tokens.read("t", b'{"token": "hunter2", "refresh_token": "hunter3"}', 100)

    assert "hunter" not in repr(token)
