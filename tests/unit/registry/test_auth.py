"""Logging in, as little as possible and never to the wrong place."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.faults import redirect, status
from support.registry import PASSWORD, USERNAME, TestRegistry

from layerkit.errors import AuthError, RegistryError, UnavailableError
from layerkit.registry import Client, Credentials, Limits, auth
from layerkit.registry.auth import Authenticator
from layerkit.registry.transport import Transport

LIMITS = Limits(connect=5, read=5, attempts=1)
UNAUTHORIZED = '{"errors":[{"code":"UNAUTHORIZED","message":"not you"}]}'


@pytest.fixture
def basic():
    """A registry behind name and password."""
    with TestRegistry("basic") as registry:
        registry.add_image("app", "1", [b"layer"])
        yield registry


@pytest.fixture
def bearer():
    """A registry with a token server that serves anybody."""
    with TestRegistry("bearer") as registry:
        registry.add_image("app", "1", [b"layer"])
        yield registry


@pytest.fixture
def private():
    """A registry with a token server that wants name and password."""
    with TestRegistry("bearer", anonymous=False) as registry:
        registry.add_image("app", "1", [b"layer"])
        yield registry


def seen(registry):
    """Path, kind of Authorization and status of each request."""
    return [
        (request.path.rpartition("/")[2], request.authorization, request.status)
        for request in registry.requests
    ]


def test_a_public_registry_sees_no_credentials(registry, known_client, refer):
    """Credentials are not sent to a registry that does not ask."""
    registry.add_image("app", "1", [b"layer"])

    known_client.resolve_document(refer(registry, "app:1"))

    assert seen(registry) == [("1", "", 200)]


def test_basic_is_sent_after_the_first_challenge(basic, known_client, refer):
    """The first refusal brings the credentials, and from then on they go along."""
    reference = refer(basic, "app:1")

    known_client.resolve_document(reference)
    known_client.resolve_document(reference)

    assert seen(basic) == [("1", "", 401), ("1", "Basic", 200), ("1", "Basic", 200)]


def test_basic_without_credentials(basic, client, refer):
    """Without credentials nothing is tried again, and the hint says where they are read."""
    with pytest.raises(
        AuthError, match=f"registry {basic.host} wants credentials, and there are none"
    ) as caught:
        client.resolve_document(refer(basic, "app:1"))

    assert basic.host in caught.value.hint
    assert "config.json" in caught.value.hint
    assert len(basic.requests) == 1


def test_wrong_credentials_are_tried_once(basic, refer):
    """Wrong credentials are sent exactly once; the message names the host, not the password."""
    with (
        Client(lambda _: Credentials("me", "wrong-password"), LIMITS) as client,
        pytest.raises(AuthError, match=f"registry {basic.host} refuses the login") as caught,
    ):
        client.resolve_document(refer(basic, "app:1"))

    assert seen(basic) == [("1", "", 401), ("1", "Basic", 401)]
    assert "wrong-password" not in caught.value.message + caught.value.hint


def test_credentials_that_stop_working(basic, known_client, refer):
    """Credentials refused after they had been good are not sent twice."""
    known_client.resolve_document(refer(basic, "app:1"))
    basic.fault("manifests", status(401, UNAUTHORIZED, WWW_Authenticate="Basic realm=x"))

    with pytest.raises(AuthError, match=f"{basic.host} rejected the credentials of 'user'"):
        known_client.resolve_document(refer(basic, "app:1"))

    assert len(basic.requests) == 3


def test_credentials_are_looked_up_by_registry(basic, refer):
    """The lookup gets the registry as the name of the image has it."""
    asked = []
    with (
        Client(asked.append, LIMITS) as client,
        pytest.raises(AuthError),
    ):
        client.resolve_document(refer(basic, "app:1"))

    assert asked == [basic.host]


def test_an_anonymous_token(bearer, client, refer):
    """A token is fetched once and used for all of a repository."""
    reference = refer(bearer, "app:1")

    descriptor, _ = client.resolve_document(reference)
    client.document(reference, descriptor)

    assert [row[1:] for row in seen(bearer)] == [
        ("", 401), ("", 200), ("Bearer", 200), ("Bearer", 200),
    ]  # fmt: skip
    assert bearer.requests[1].query == "service=test&scope=repository%3Aapp%3Apull"


def test_a_token_for_credentials(private, known_client, refer):
    """The token server gets the credentials, the registry only the token."""
    known_client.resolve_document(refer(private, "app:1"))

    assert seen(private) == [("1", "", 401), ("token", "Basic", 200), ("1", "Bearer", 200)]


@pytest.mark.parametrize("credentials", [None, Credentials("me", "wrong-password")], ids=repr)
def test_a_token_server_that_refuses(private, refer, credentials):
    """A refusing token server is named with its own words, and where credentials come from."""
    with (
        Client(lambda _: credentials, LIMITS) as client,
        pytest.raises(AuthError, match=f"token server {private.host} does not give") as caught,
    ):
        client.resolve_document(refer(private, "app:1"))

    assert "incorrect username or password" in caught.value.message
    assert "wrong-password" not in caught.value.message
    assert "auth.json" in caught.value.hint


def test_one_token_for_many_threads(bearer, client, refer):
    """Threads that are refused together cause one token request."""
    reference = refer(bearer, "app:1")

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: client.resolve_document(reference), range(16)))

    assert len({raw for _, raw in results}) == 1
    assert len(bearer.paths("^/token$")) == 1


def test_each_repository_has_its_own_token(bearer, client, refer):
    """A token for one repository is not sent for another."""
    bearer.add_image("other", "1", [b"layer"])

    client.resolve_document(refer(bearer, "app:1"))
    client.resolve_document(refer(bearer, "other:1"))

    assert len(bearer.paths("^/token$")) == 2


def test_a_refused_token_is_renewed_once(bearer, client, refer):
    """When a token is no longer accepted, one new one is fetched."""
    reference = refer(bearer, "app:1")
    client.resolve_document(reference)
    bearer.forget_tokens()

    client.resolve_document(reference)

    assert len(bearer.paths("^/token$")) == 2


def test_a_registry_that_accepts_no_token(bearer, client, refer):
    """A fresh token that is refused, too, ends it, with the registry's own words."""
    challenge = f'Bearer realm="{bearer.url}/token"'
    bearer.fault("manifests", status(401, UNAUTHORIZED, WWW_Authenticate=challenge))

    with pytest.raises(AuthError, match=r"refuses the login .*UNAUTHORIZED"):
        client.resolve_document(refer(bearer, "app:1"))

    assert len(bearer.requests) == 3


def test_a_wider_scope_gets_a_new_token(bearer, client, refer):
    """A challenge for another scope is answered with a token for that scope."""
    client.resolve_document(refer(bearer, "app:1"))
    challenge = f'Bearer realm="{bearer.url}/token",scope="repository:app:pull,push"'
    bearer.fault(
        "manifests", status(401, WWW_Authenticate=challenge + ',error="insufficient_scope"')
    )

    with pytest.raises(AuthError):
        client.resolve_document(refer(bearer, "app:1"))

    assert bearer.requests[-2].query == "scope=repository%3Aapp%3Apull%2Cpush"


def test_a_relative_realm_is_on_the_registry(bearer, client, refer):
    """A realm without a host is resolved on the registry's URL."""
    bearer.realm = "/token"

    client.resolve_document(refer(bearer, "app:1"))

    assert bearer.paths("^/token$") == ["/token"]


def test_a_failed_token_request_is_not_remembered(bearer, client, refer):
    """After a token server's failure the next call asks again."""
    reference = refer(bearer, "app:1")
    bearer.fault("^/token$", status(500), times=3)

    with pytest.raises(UnavailableError, match=f"token server {bearer.host} cannot serve token"):
        client.resolve_document(reference)

    client.resolve_document(reference)


def test_credentials_do_not_follow_a_redirect(private, other, known_client, refer):
    """A token server that redirects elsewhere does not pass the credentials on."""
    private.fault("^/token$", redirect(other.url))

    with pytest.raises(AuthError):
        known_client.resolve_document(refer(private, "app:1"))

    assert {request.authorization for request in other.requests} <= {""}


def test_only_the_registry_may_ask_for_a_login(registry, known_client, refer):
    """A redirect's target that asks for a password gets none."""
    with TestRegistry("basic") as thief:
        registry.fault("manifests", redirect(thief.url))

        with pytest.raises(AuthError, match=rf"{thief.host} \(redirected from registry"):
            known_client.resolve_document(refer(registry, "app:1"))

        assert seen(thief) == [("1", "", 401)]


@pytest.mark.parametrize(
    ("headers", "kind", "reason"),
    [
        ({}, AuthError, "a login of a kind that layerkit does not know"),
        ({"WWW_Authenticate": "Negotiate"}, AuthError, "a login of a kind that"),
        (
            {"WWW_Authenticate": 'Bearer realm="'},
            RegistryError,
            "cannot read how registry .* wants",
        ),
        ({"WWW_Authenticate": "Bearer"}, RegistryError, "refused the token server"),
        ({"WWW_Authenticate": "Bearer realm=ftp://x/"}, RegistryError, "refused the token server"),
    ],
    ids=str,
)
def test_challenges_nobody_can_answer(registry, client, refer, headers, kind, reason):
    """A challenge that is missing, unknown or broken is a clear error, tried once."""
    registry.fault("", status(401, **headers))

    with pytest.raises(kind, match=reason):
        client.resolve_document(refer(registry, "app:1"))

    assert len(registry.requests) == 1


def test_credentials_need_tls(registry, known_client, refer):
    """A token server elsewhere without TLS does not get the credentials."""
    registry.fault("", status(401, WWW_Authenticate="Bearer realm=http://r.example/token"))

    with pytest.raises(
        AuthError, match=r"refused to send .* to token server r\.example: it has no TLS"
    ):
        known_client.resolve_document(refer(registry, "app:1"))


@pytest.mark.parametrize(
    ("document", "token"),
    [
        ({"token": "a"}, "a"),
        ({"access_token": "b"}, "b"),
        ({"token": "a", "access_token": "b"}, "a"),
        ({"token": "", "access_token": "b"}, "b"),
    ],
    ids=str,
)
def test_tokens_have_two_names(document, token):
    """Both names of a token are read."""
    assert auth._read_token("t", json.dumps(document).encode(), 100)[0] == token


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [
        (None, 60), (0, 60), (-5, 60), (59, 60), (300, 300), ("300", 300), ("soon", 60), ([], 60),
        (10**400, 60), (1e300, 86400), (float("nan"), 60),
    ],
    ids=str,
)  # fmt: skip
def test_a_token_lives_a_minute_at_least(expires_in, life):
    """A missing, short or senseless life is a minute."""
    body = json.dumps({"token": "a", "expires_in": expires_in}).encode()

    assert auth._read_token("t", body, 1000)[1] == life


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
    ids=lambda body: str(body)[:30],
)
def test_answers_without_a_usable_token(body):
    """An answer without a token, or with one that fits in no header, is refused unseen."""
    with pytest.raises(RegistryError, match=r"^t answered without a usable token$"):
        auth._read_token("t", body, 1000)


def test_a_token_is_renewed_before_it_expires(bearer, refer):
    """A token is used for most of its life by our own clock, whatever the server's says."""
    now = [1000.0]
    bearer.token_fields = {"expires_in": 100, "issued_at": "2050-01-01T00:00:00Z"}
    transport = Transport(LIMITS, "test")
    authenticator = Authenticator(transport, lambda _: None, LIMITS, lambda: now[0])
    reference = refer(bearer, "app:1")
    url = f"{bearer.url}/v2/app/manifests/1"
    assert authenticator.known(reference) == ""

    first = authenticator.renewed(reference, url, ["Bearer realm=/token"], "")
    now[0] += 89
    same = authenticator.known(reference)
    now[0] += 2
    later = authenticator.known(reference)
    transport.close()

    assert first == same != later
    assert first.startswith("Bearer ")


def test_right_name_and_password_are_sent_as_they_are(basic, known_client, refer):
    """Basic credentials are name, colon and password in UTF-8."""
    known_client.resolve_document(refer(basic, "app:1"))

    assert auth._basic_header(Credentials(USERNAME, PASSWORD)).startswith("Basic ")
    assert auth._basic_header(Credentials("ü", "p")) == "Basic w7w6cA=="
