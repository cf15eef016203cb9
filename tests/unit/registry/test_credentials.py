"""Credentials in docker's and podman's files."""

from __future__ import annotations

import base64
import json

import pytest

from layerkit.errors import UsageError
from layerkit.registry import Credentials, from_documents

SECRET = "hunter2-hunter2"
PATH = "/home/user/.docker/config.json"


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def document(**auths):
    return json.dumps({"auths": auths})


def one(key, text=f"me:{SECRET}"):
    return from_documents([(PATH, json.dumps({"auths": {key: {"auth": encoded(text)}}}))])


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("quay.io", "quay.io"),
        ("Quay.IO", "quay.io"),
        ("quay.io:5000", "quay.io:5000"),
        ("https://quay.io", "quay.io"),
        ("https://quay.io/v1/", "quay.io"),
        ("https://quay.io:5000/v2/", "quay.io:5000"),
        ("http://quay.io/", "quay.io"),
        ("[::1]:5000", "[::1]:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
    ],
)
def test_a_key_is_found_for_its_registry(key, registry):
    """Every form of key that docker and podman write is found under the registry's name."""
    assert one(key)(registry) == Credentials("me", SECRET)


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("quay.io", "quay.io:5000"),
        ("quay.io:5000", "quay.io"),
        ("quay.io", "x.quay.io"),
        ("x.quay.io", "quay.io"),
        ("https://index.docker.io/v1/", "quay.io"),
        ("https://index.docker.io/v1/access-token", "docker.io"),
        ("quay.io/team", "quay.io"),
        ("ftp://quay.io", "quay.io"),
        ("", ""),
    ],
)
def test_a_key_is_not_used_for_another_registry(key, registry):
    """Host and port have to be equal, and a key for a part of a registry is not for all of it."""
    assert one(key)(registry) is None


@pytest.mark.parametrize(
    ("pair", "password"),
    [("me:a:b", "a:b"), ("me:", ""), (f"me:{SECRET}\0\0", SECRET), ("me:pässword", "pässword")],
)
def test_passwords_are_taken_as_they_are(pair, password):
    """All behind the first colon is the password, but for NULs around it."""
    assert one("q.io", pair)("q.io") == Credentials("me", password)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"auths": null}',
        '{"auths": {}}',
        '{"auths": {"q.io": {}}}',
        '{"auths": {"q.io": null}}',
        '{"auths": {"q.io": {"auth": ""}}}',
        '{"auths": {"q.io": {"identitytoken": "x"}}}',
        '{"credsStore": "desktop", "HttpHeaders": {"a": "b"}}',
    ],
)
def test_files_without_credentials_give_none(text):
    """A file that has other things in it, or only marks a login, is fine."""
    assert from_documents([(PATH, text)])("q.io") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"auths": {"q.io": {"auth": "' + SECRET + "}}",
        "[" * 100_000,
        "[]",
        '{"auths": []}',
        '{"auths": {"q.io": "' + SECRET + '"}}',
        document(**{"q.io": {"auth": f"{SECRET}!"}}),
        document(**{"q.io": {"auth": encoded(SECRET)}}),
        document(**{"q.io": {"auth": encoded(f":{SECRET}")}}),
        document(**{"q.io": {"auth": base64.b64encode(b"me:\xff").decode()}}),
        document(**{"q.io": {"auth": [SECRET]}}),
    ],
    ids=lambda text: text[:40],
)
def test_malformed_files_are_named_but_not_shown(text):
    """The message names the file and never anything that may be a secret."""
    with pytest.raises(UsageError, match=f"^cannot read credentials in {PATH}: ") as caught:
        from_documents([(PATH, text)])

    assert SECRET not in caught.value.message
    assert encoded(SECRET) not in caught.value.message


def test_the_first_file_wins():
    """Of two files that know a registry, the one given first is used; others add to it."""
    lookup = from_documents(
        [
            ("1", document(**{"a.io": {"auth": encoded("one:1")}})),
            (
                "2",
                document(**{"a.io": {"auth": encoded("two:2")}, "b.io": {"auth": encoded("b:")}}),
            ),
        ]
    )

    assert lookup("a.io") == Credentials("one", "1")
    assert lookup("b.io") == Credentials("b", "")


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("first", "second", "registry"),
    [
        ("q.io", "https://q.io/v1/", "q.io"),
        ("https://index.docker.io/v1/", "docker.io", "docker.io"),
    ],
)
def test_the_key_that_docker_writes_wins(first, second, registry, order):
    """Of two keys for one registry the usual one is used, in whatever order they stand."""
    entries = {first: {"auth": encoded("right:1")}, second: {"auth": encoded("wrong:2")}}
    text = json.dumps({"auths": dict(list(entries.items())[::order])})

    assert from_documents([(PATH, text)])(registry) == Credentials("right", "1")


def test_name_and_password_may_stand_by_themselves():
    """Credentials that are not encoded are used, too."""
    text = document(**{"q.io": {"username": "me", "password": SECRET}})

    assert from_documents([(PATH, text)])("q.io") == Credentials("me", SECRET)


def test_a_password_does_not_show():
    """The representation of credentials has the name only."""
    assert SECRET not in repr(Credentials("me", SECRET))
