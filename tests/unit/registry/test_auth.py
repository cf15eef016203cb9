"""Logging in, as little as possible and never to the wrong place."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest
from support.faults import redirect, status
from support.registry import PASSWORD, USERNAME, Reply, TestRegistry

from layerkit.errors import AuthError, NotFoundError, RegistryError, UnavailableError
from layerkit.registry import Client, Credentials, Limits, auth, from_documents
from layerkit.registry.auth import Authenticator
from layerkit.registry.challenge import PUSH, Access
from layerkit.registry.credentials import Kind, anonymous, only
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
    """A01: credentials are not sent to a registry that does not ask."""
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
    """A02: wrong credentials are sent exactly once; the message names the host, not the password."""
    with (
        Client(only(Credentials("me", "wrong-password")), LIMITS) as client,
        pytest.raises(AuthError, match=f"{basic.host} rejected the credentials of 'me'") as caught,
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
    """The lookup gets registry and repository as the name of the image has them."""
    asked = []
    with (
        Client(lambda *names: asked.append(names), LIMITS) as client,
        pytest.raises(AuthError),
    ):
        client.resolve_document(refer(basic, "app:1"))

    assert asked == [(basic.host, "app")]


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
        Client(only(credentials), LIMITS) as client,
        pytest.raises(AuthError, match=f"token server {private.host} does not give") as caught,
    ):
        client.resolve_document(refer(private, "app:1"))

    assert "incorrect username or password" in caught.value.message
    assert "wrong-password" not in caught.value.message
    assert "auth.json" in caught.value.hint


def test_one_token_for_many_threads(bearer, client, refer):
    """A06: threads that are refused together cause one token request."""
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


def test_a_refused_token_is_renewed_once(bearer, client, refer, sleeps):
    """A07: when a token is no longer accepted, one new one is fetched, and nothing waited for."""
    reference = refer(bearer, "app:1")
    client.resolve_document(reference)
    bearer.forget_tokens()

    client.resolve_document(reference)

    assert (len(bearer.paths("^/token$")), sleeps) == (2, [])


def test_a_registry_that_accepts_no_token(bearer, client, refer):
    """A09: a fresh token that is refused, too, ends it, with the registry's own words."""
    challenge = f'Bearer realm="{bearer.url}/token"'
    bearer.fault("manifests", status(401, UNAUTHORIZED, WWW_Authenticate=challenge))

    with pytest.raises(AuthError, match=r"refuses the login .*UNAUTHORIZED"):
        client.resolve_document(refer(bearer, "app:1"))

    assert len(bearer.requests) == 3


def test_a_wider_scope_gets_a_new_token(bearer, client, refer):
    """A08: a challenge for a wider scope is answered with a token for that scope, once."""
    challenge = f'Bearer realm="{bearer.url}/token",scope="repository:app:pull,push"'
    challenge += ',error="insufficient_scope"'

    def insufficient(request, serve):
        reply = serve(request)
        if reply.status != 200:
            return reply
        return status(401, UNAUTHORIZED, WWW_Authenticate=challenge)(request, serve)

    bearer.fault("manifests", insufficient)

    with pytest.raises(AuthError, match=r"refuses the login .*UNAUTHORIZED"):
        client.resolve_document(refer(bearer, "app:1"))

    queries = [request.query for request in bearer.requests if request.path == "/token"]
    assert queries[1:] == ["scope=repository%3Aapp%3Apull%2Cpush"]
    assert len(bearer.paths("manifests")) == 3


def test_a_challenge_that_changes_each_time(bearer, client, refer):
    """A09: a registry that wants something else each time gets two tokens, no more."""
    count = iter(range(99))

    def another(_request, _serve):
        challenge = f'Bearer realm="{bearer.url}/token",scope="s:{next(count)}:pull"'
        return Reply(401, {"WWW-Authenticate": challenge}, UNAUTHORIZED.encode())

    bearer.fault("manifests", another)

    with pytest.raises(AuthError, match="not you"):
        client.resolve_document(refer(bearer, "app:1"))

    assert (len(bearer.paths("^/token$")), len(bearer.paths("manifests"))) == (2, 3)


def test_a_relative_realm_is_on_the_registry(bearer, client, refer):
    """A04: a realm without a host is resolved on the registry's URL."""
    bearer.realm = "/token"

    client.resolve_document(refer(bearer, "app:1"))

    assert bearer.paths("^/token$") == ["/token"]


def test_a_failed_token_request_is_not_remembered(bearer, client, refer):
    """A18: after a token server's failure the next call asks again."""
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
    """A03: a challenge that is missing, unknown or broken is a clear error, tried once."""
    registry.fault("", status(401, **headers))

    with pytest.raises(kind, match=reason):
        client.resolve_document(refer(registry, "app:1"))

    assert len(registry.paths("manifests")) == 1


def test_credentials_need_tls(registry, known_client, refer):
    """SE-29: a token server elsewhere without TLS does not get the credentials."""
    registry.fault("", status(401, WWW_Authenticate="Bearer realm=http://r.example/token"))

    with pytest.raises(
        AuthError, match=r"refused to send .* to token server r\.example: it has no TLS"
    ):
        known_client.resolve_document(refer(registry, "app:1"))


def test_a_token_is_renewed_before_it_expires(bearer, refer):
    """A05: a token is used for most of its life by our own clock, whatever the server's says."""
    now = [1000.0]
    bearer.token_fields = {"expires_in": 100, "issued_at": "2050-01-01T00:00:00Z"}
    transport = Transport(LIMITS, "test")
    authenticator = Authenticator(transport, anonymous, LIMITS, clock=lambda: now[0])
    reference = refer(bearer, "app:1")
    url = f"{bearer.url}/v2/app/manifests/1"
    assert authenticator.known(reference) == ""

    first = authenticator.renewed(reference, url, ["Bearer realm=/token"], [""])
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


def entry(registry, user="user", password=PASSWORD):
    """The lookup in a file with one password."""
    text = json.dumps({"auths": {registry: {"username": user, "password": password}}})
    return from_documents([("config.json", text)])


def test_credentials_for_another_host_stay_at_home(bearer, refer):
    """A01: what is for another host, or another port of the same one, is sent nowhere."""
    with Client(entry("127.0.0.1:1"), LIMITS) as client:
        client.resolve_document(refer(bearer, "app:1"))

    assert seen(bearer) == [("1", "", 401), ("token", "", 200), ("1", "Bearer", 200)]


STALE = Credentials("me", "stale-secret")


@pytest.mark.parametrize("code", [401, 403])
def test_stale_credentials_do_not_hide_what_is_public(bearer, refer, code):
    """A14: a token server that refuses them is asked as anybody, with one warning."""
    warnings = []
    bearer.fault("^/token$", _refuse_basic(code))
    with Client(only(STALE), LIMITS, warn=warnings.append) as client:
        client.resolve_document(refer(bearer, "app:1"))
        client.resolve_document(refer(bearer, "app:1"))

    assert [request.authorization for request in bearer.requests[:4]] == ["", "Basic", "", "Bearer"]
    assert len(bearer.requests) == 5
    (warning,) = warnings
    assert warning.startswith(f"token server {bearer.host} does not give 'me' a token for")
    assert warning.endswith(f": expired; going on without credentials for {bearer.host}")
    assert "stale-secret" not in warning


def _refuse_basic(code):
    refuse = status(code, '{"details": "expired"}')
    return lambda request, serve: (refuse if request.authorization else _serve)(request, serve)


def _serve(request, serve):
    return serve(request)


def test_stale_credentials_are_told_of_again(bearer, refer):
    """A14: when nobody may read it without a login either, the hint says what is wrong with ours."""
    bearer.fault("^/token$", _refuse_basic(401))
    bearer.fault("manifests", _refuse_tokens)
    with (
        Client(only(STALE), LIMITS) as client,
        pytest.raises(AuthError, match="denies manifest") as caught,
    ):
        client.resolve_document(refer(bearer, "app:1"))

    assert "does not give 'me' a token" in caught.value.hint


def _refuse_tokens(request, serve):
    reply = serve(request)
    return reply if reply.status == 401 else Reply(403, {}, b'{"errors":[{"code":"DENIED"}]}')


def test_what_is_denied_is_not_tried_again(bearer, client, refer, sleeps):
    """A17: 403 may mean that there is no such thing, and is told so at once."""
    bearer.fault("manifests", _refuse_tokens)

    with pytest.raises(AuthError, match=r"denies manifest .*, or it does not exist: DENIED$"):
        client.resolve_document(refer(bearer, "app:1"))

    assert (len(bearer.paths("manifests")), sleeps) == (2, [])


def broken(_registry, _repository):
    """A lookup whose helper is missing."""
    raise AuthError("cannot get credentials as /c.json says: docker-credential-x is not installed")


def test_a_missing_helper_does_not_hide_what_is_public(bearer, refer):
    """C04: credentials that cannot be had are told of once, and what is public comes."""
    bearer.add_image("b", "1", [b"layer"])
    warnings = []
    with Client(broken, LIMITS, warn=warnings.append) as client:
        client.resolve_document(refer(bearer, "app:1"))
        client.resolve_document(refer(bearer, "b:1"))

    (warning,) = warnings
    assert warning.startswith("cannot get credentials as /c.json says: docker-credential-x is not")
    assert warning.endswith(f"; going on without credentials for {bearer.host}")


@pytest.mark.parametrize("kind", ["basic", "private"])
def test_a_missing_helper_is_told_of_again(request, refer, kind):
    """C04: where a login is needed, the error repeats why there is none."""
    registry = request.getfixturevalue(kind)
    with Client(broken, LIMITS) as client, pytest.raises(AuthError) as caught:
        client.resolve_document(refer(registry, "app:1"))

    assert "docker-credential-x is not installed" in caught.value.hint


IDENTITY = Credentials("", "identity-secret", Kind.IDENTITY_TOKEN)


def test_an_identity_token_makes_tokens(private, refer):
    """A12: it is posted to the token server, and what comes in its place is sent from then on."""
    private.add_image("b", "1", [b"layer"])
    private.identity_tokens = {IDENTITY.secret}
    private.token_fields = {"refresh_token": "next-secret"}
    with Client(only(IDENTITY), LIMITS) as client:
        client.resolve_document(refer(private, "app:1"))
        private.identity_tokens = {"next-secret"}
        client.resolve_document(refer(private, "b:1"))

    first, second = (request for request in private.requests if request.path == "/token")
    assert (first.method, first.query, first.authorization) == ("POST", "", "")
    assert first.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(first.form) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["identity-secret"],
        "service": ["test"],
        "scope": ["repository:app:pull"],
        "client_id": ["layerkit"],
    }
    assert parse_qs(second.form)["refresh_token"] == ["next-secret"]


@pytest.mark.parametrize("code", [400, 401, 404, 405])
def test_a_token_server_that_knows_no_post(private, refer, code):
    """Where a POST is refused the identity token is tried as a password."""
    user = Credentials(USERNAME, PASSWORD, Kind.IDENTITY_TOKEN)
    private.fault("^/token$", status(code), times=1)
    with Client(only(user), LIMITS) as client:
        client.resolve_document(refer(private, "app:1"))

    tokens = [request for request in private.requests if request.path == "/token"]
    assert [(each.method, each.authorization) for each in tokens] == [
        ("POST", ""),
        ("GET", "Basic"),
    ]


def test_a_post_follows_no_redirect(private, other, refer):
    """SE-29: an identity token goes to nobody but the token server."""
    private.fault("^/token$", redirect(other.url))
    with (
        Client(only(IDENTITY), LIMITS) as client,
        pytest.raises(RegistryError, match="refused a redirect of token server"),
    ):
        client.resolve_document(refer(private, "app:1"))

    assert other.requests == []


@pytest.mark.parametrize(
    "user", [IDENTITY, Credentials("me", "x")], ids=lambda user: user.kind.name
)
def test_no_secret_goes_to_an_open_token_server(registry, refer, user):
    """SE-29: without TLS neither password nor identity token is sent to another machine."""
    registry.fault("", status(401, WWW_Authenticate="Bearer realm=http://r.example/token"))

    with (
        Client(only(user), LIMITS) as client,
        pytest.raises(AuthError, match=r"to token server r\.example: it has no TLS"),
    ):
        client.resolve_document(refer(registry, "app:1"))


def test_a_registry_token_needs_no_token_server(bearer, refer):
    """A stored registry token is sent as it is, once; a refused one is told of."""
    with (
        Client(only(Credentials("", "token-secret", Kind.REGISTRY_TOKEN)), LIMITS) as client,
        pytest.raises(
            AuthError, match="rejected the credentials of the owner of the registry token"
        ) as caught,
    ):
        client.resolve_document(refer(bearer, "app:1"))

    assert seen(bearer) == [("1", "", 401), ("1", "Bearer", 401)]
    assert "token-secret" not in caught.value.message


def test_a_token_is_no_password(basic, refer):
    """A registry that wants a password gets no token in its place."""
    with (
        Client(only(IDENTITY), LIMITS) as client,
        pytest.raises(AuthError, match="wants name and password, not the identity token stored"),
    ):
        client.resolve_document(refer(basic, "app:1"))

    assert len(basic.requests) == 1


def test_where_a_repository_names_no_way_the_registry_does(bearer, client, refer):
    """A refusal without a challenge, as of GCR, is looked up at /v2/."""
    bearer.fault("manifests", _without_challenge)

    client.resolve_document(refer(bearer, "app:1"))

    assert [path.rpartition("/")[0] for path in bearer.paths()] == [
        "/v2/app/manifests",
        "/v2",
        "",
        "/v2/app/manifests",
    ]


def _without_challenge(request, serve):
    reply = serve(request)
    return Reply(reply.status, {}, reply.body) if reply.status == 401 else reply


@pytest.mark.parametrize(
    ("access", "named", "wanted"),
    [
        (Access(), "", ["repository:app:pull"]),
        (Access(), "repository:app:pull", ["repository:app:pull"]),
        (Access(), "repository:app:pull,push", ["repository:app:pull,push"]),
        (Access(), "repository:remote/app:pull", ["repository:remote/app:pull"]),
        (Access(), "registry:catalog:*", ["registry:catalog:*"]),
        (Access(), "odd", ["odd"]),
        (PUSH, "", ["repository:app:pull,push"]),
        (PUSH, "repository:app:pull", ["repository:app:pull,push"]),
        (PUSH, "repository:app:push,pull", ["repository:app:push,pull"]),
        (PUSH, "repository:app:pull x:y:z", ["repository:app:pull,push", "x:y:z"]),
        (
            Access("pull,push", ("base",)),
            "repository:app:pull,push",
            ["repository:app:pull,push", "repository:base:pull"],
        ),
        (
            Access("pull,push", ("base",)),
            "repository:app:pull,push repository:base:pull",
            ["repository:app:pull,push", "repository:base:pull"],
        ),
    ],
    ids=str,
)
def test_what_a_request_needs_is_asked_for(bearer, refer, access, named, wanted):
    """The registry's scope is widened by what we want to do, and by repositories to read from."""
    transport = Transport(LIMITS, "test")
    authenticator = Authenticator(transport, anonymous, LIMITS)
    scope = f',scope="{named}"' if named else ""
    url = f"{bearer.url}/v2/app/blobs/uploads/"
    line = f"Bearer realm=/token{scope}"

    header = authenticator.renewed(refer(bearer, "app:1"), url, [line], [""], access)
    again = authenticator.known(refer(bearer, "app:1"), access)
    transport.close()

    (asked,) = bearer.requests
    assert parse_qs(asked.query)["scope"] == wanted
    assert header == again


def test_a_token_for_pulling_is_not_used_for_pushing(bearer, refer):
    """Each kind of access has its own token."""
    transport = Transport(LIMITS, "test")
    authenticator = Authenticator(transport, anonymous, LIMITS)
    reference, url = refer(bearer, "app:1"), f"{bearer.url}/v2/app/manifests/1"

    pull = authenticator.renewed(reference, url, ["Bearer realm=/token"], [""])
    push = authenticator.known(reference, PUSH)
    transport.close()

    assert pull != push
    assert len(bearer.requests) == 2


class TestCheckLogin:
    """`Client.check_login`, which nothing is stored without."""

    @pytest.mark.parametrize("kind", ["registry", "basic", "bearer", "private"])
    def test_the_right_password(self, request, known_client, kind):
        """Whatever way a registry wants a login, the right one is taken."""
        registry = request.getfixturevalue(kind)

        known_client.check_login(registry.host)

        assert registry.requests[-1].path == "/v2/"
        assert registry.requests[-1].status == 200

    @pytest.mark.parametrize("kind", ["basic", "bearer", "private"])
    def test_the_wrong_password(self, request, kind):
        """A wrong password is refused, also where anybody gets a token."""
        registry = request.getfixturevalue(kind)
        with Client(only(STALE), LIMITS) as client, pytest.raises(AuthError) as caught:
            client.check_login(registry.host)

        assert "stale-secret" not in caught.value.message

    def test_no_registry_at_all(self, registry, client):
        """A server without /v2/ is not logged in to."""
        registry.fault("", status(404))

        with pytest.raises(NotFoundError, match="has no /v2/"):
            client.check_login(registry.host)


def test_a_token_that_is_called_a_bad_request_is_renewed(bearer, client, refer):
    """A15: ECR Public answers 400 when a token is too old; one new one is asked for."""
    reference = refer(bearer, "app:1")
    client.resolve_document(reference)
    bearer.fault("manifests", status(400, "Your authorization token has expired."), times=1)

    client.resolve_document(reference)

    assert [kind for _, kind, code in seen(bearer) if code == 400] == ["Bearer"]


def test_a_bad_request_stays_one(bearer, client, refer):
    """What is answered with 400 again is told, after one renewal."""
    reference = refer(bearer, "app:1")
    client.resolve_document(reference)
    before = len(bearer.requests)
    bearer.fault("manifests", status(400, "no"))

    with pytest.raises(RegistryError, match="status 400"):
        client.resolve_document(reference)
    assert sum(each.status == 400 for each in bearer.requests[before:]) == 2
