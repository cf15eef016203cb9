"""Docker's and podman's files: what they say, and what a change leaves alone."""

from __future__ import annotations

import base64
import json

import pytest

from layerkit.errors import UsageError
from layerkit.registry import Credentials, authfile, from_documents
from layerkit.registry.credentials import Kind

SECRET = "hunter2-hunter2"
PATH = "/home/user/.docker/config.json"
RIGHT = Credentials("me", SECRET)
OTHER = Credentials("other", "x")


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
        ("quay.io", "QUAY.io"),
    ],
    ids=lambda value: f"C01-{value}",
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
        ("https://quay.io/team", "quay.io"),
        ("", ""),
    ],
    ids=lambda value: f"C01-{value}",
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
        "",
        " ",
        '{"currentContext": "x", "HttpHeaders": {"a": "b"}}',
    ],
)
def test_files_without_credentials_give_none(text):
    """A file that has other things in it, or only marks a login, is fine."""
    assert from_documents([(PATH, text)])("q.io") is None


@pytest.mark.parametrize(
    "text",
    [
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
        document(**{"q.io": {"identitytoken": [SECRET]}}),
        document(**{"q.io": {"identitytoken": f"{SECRET} \n"}}),
        document(**{"q.io": {"registrytoken": f"{SECRET}é"}}),
        document(**{"q.io": {"username": "me", "password": f"{SECRET}\ud800"}}),
        json.dumps({"credsStore": [SECRET]}),
        json.dumps({"credHelpers": SECRET}),
        json.dumps({"credHelpers": {"q.io": [SECRET]}}),
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


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ({"identitytoken": SECRET}, Credentials("", SECRET, Kind.IDENTITY_TOKEN)),
        (
            {"auth": encoded("me:"), "identitytoken": SECRET},
            Credentials("me", SECRET, Kind.IDENTITY_TOKEN),
        ),
        ({"registrytoken": SECRET}, Credentials("", SECRET, Kind.REGISTRY_TOKEN)),
        (
            {"registrytoken": SECRET, "identitytoken": "x", "auth": encoded("me:pw")},
            Credentials("me", SECRET, Kind.REGISTRY_TOKEN),
        ),
        ({"identitytoken": "", "auth": encoded(f"me:{SECRET}")}, RIGHT),
    ],
    ids=str,
)
def test_tokens_in_files_are_read(entry, wanted):
    """A registry token goes before an identity token, and that before a password."""
    found = from_documents([(PATH, document(**{"q.io": entry}))])("q.io")

    assert found == wanted
    assert found.secret == wanted.secret


@pytest.mark.parametrize(
    ("repository", "wanted"),
    [
        ("a/b/img", "abimg"),
        ("a/b/other", "ab"),
        ("a/b", "ab"),
        ("a/bc", "a"),
        ("a", "a"),
        ("b", "all"),
        ("ab/b/img", "all"),
        ("", "all"),
    ],
)
def test_the_smallest_part_wins(repository, wanted):
    """C07: of podman's keys the one for the most folders counts, whole folders only."""
    keys = {"h.io": "all", "h.io/a": "a", "h.io/a/b": "ab", "h.io/a/b/img": "abimg"}
    text = document(**{key: {"auth": encoded(f"{name}:x")} for key, name in keys.items()})

    assert from_documents([(PATH, text)])("h.io", repository).username == wanted


def test_a_part_of_the_hub():
    """A key for a part of Docker Hub is found by the Hub's names."""
    text = document(**{"docker.io/vendor": {"auth": encoded("v:x")}})
    lookup = from_documents([(PATH, text)])

    assert lookup("docker.io", "vendor/app").username == "v"
    assert lookup("docker.io", "library/app") is None


@pytest.mark.parametrize(
    ("registry", "helper"),
    [("gcr.io", "gcloud"), ("docker.io", "hub"), ("quay.io", "desktop"), ("x:5000", "desktop")],
)
def test_each_registry_has_its_helper(registry, helper):
    """C02: a registry's own helper goes before the store for all."""
    helpers = {"gcr.io": "gcloud", "https://index.docker.io/v1/": "hub"}
    text = json.dumps({"credHelpers": helpers, "credsStore": "desktop"})

    assert authfile.parse(PATH, text).helper(registry) == helper


def test_a_change_leaves_all_else_as_it_is():
    """Other keys, their order and other registries' entries stay; old forms of the key go."""
    before = {
        "HttpHeaders": {"X": "ü\ud800"},
        "auths": {
            "a.io": {"auth": "eA==", "email": "e"},
            "https://q.io/v1/": {"auth": encoded("old:x")},
            "q.io/team": {"auth": encoded("team:x")},
        },
        "credHelpers": {"g.io": "g"},
    }

    after = json.loads(authfile.with_entry(PATH, json.dumps(before), "q.io", RIGHT))

    assert list(after) == list(before)
    assert after["HttpHeaders"] == before["HttpHeaders"]
    assert after["credHelpers"] == before["credHelpers"]
    assert after["auths"] == {
        "a.io": {"auth": "eA==", "email": "e"},
        "q.io/team": {"auth": encoded("team:x")},
        "q.io": {"auth": encoded(f"me:{SECRET}")},
    }


def test_what_was_written_is_read():
    """Credentials in a new file are found again, the Hub's under docker's key."""
    text = authfile.with_entry(PATH, "", "docker.io", RIGHT)

    assert json.loads(text) == {
        "auths": {"https://index.docker.io/v1/": {"auth": encoded(f"me:{SECRET}")}}
    }
    assert from_documents([(PATH, text)])("docker.io") == RIGHT


def test_an_entry_is_removed():
    """All forms of a registry's key go, and nothing else; without one there is no change."""
    text = document(**{"q.io": {}, "http://q.io/": {}, "q.io/team": {}, "q.io:5000": {}})

    after = authfile.without_entry(PATH, text, "q.io")

    assert json.loads(after)["auths"] == {"q.io/team": {}, "q.io:5000": {}}
    assert authfile.without_entry(PATH, after, "q.io") is None
