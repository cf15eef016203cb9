"""Credential helpers: real programs that answer, refuse, hang and babble."""

from __future__ import annotations

import json

import pytest
from support.helpers import NOT_FOUND, Helper

from layerkit.errors import AuthError
from layerkit.registry import Credentials, helpers
from layerkit.registry.credentials import Kind

SECRET = "hunter2-hunter2"
ANSWER = json.dumps({"ServerURL": "q.io", "Username": "me", "Secret": SECRET})
BLANK = json.dumps({"ServerURL": "q.io", "Username": "", "Secret": ""})
TOKEN = json.dumps({"Username": "<token>", "Secret": SECRET})


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Makes a helper `test` with a script's body."""
    return lambda body="": Helper(tmp_path, monkeypatch, body=body)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (f"echo '{ANSWER}'", Credentials("me", SECRET)),
        (f"echo '{TOKEN}'", Credentials("", SECRET, Kind.IDENTITY_TOKEN)),
        (f"echo '{BLANK}'", None),
        (NOT_FOUND, None),
    ],
    ids=["password", "token", "blank", "C03-not found"],
)
def test_a_helper_is_asked(helper, body, wanted):
    """The server goes to its standard input; its answer is a password, a token, or nothing."""
    made = helper(body)

    assert helpers.get("test", "https://index.docker.io/v1/") == wanted
    assert (made.calls, made.given) == (["get"], "https://index.docker.io/v1/")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo no keychain; exit 3", r"failed with status \d: no keychain$"),
        ("echo no agent >&2; exit 1", r"failed with status \d: no agent$"),
        ("printf 'a\\033[1mb'; exit 1", r"failed with status \d: a \[1mb$"),
        ("exit 1", r"failed with status \d$"),
        ("echo", "printed no credentials$"),
        ("echo []", "printed no credentials$"),
        ("""echo '{"Username": "me"}'""", "printed no credentials$"),
        ("""echo '{"Username": 1, "Secret": "hunter2-hunter2"}'""", "printed no credentials$"),
        ("""echo '{"Username": "<token>", "Secret": "a b"}'""", "printed credentials that fit in"),
        ("""echo '{"Username": "me", "Secret": "\\\\ud800"}'""", "printed credentials that fit in"),
        ("head -c 2000000 /dev/zero", "printed no credentials$"),
    ],
    ids=str,
)
def test_a_helper_that_fails(helper, body, reason):
    """The error names the program and what it said, in one line, without a secret."""
    helper(body)

    with pytest.raises(AuthError, match=f"^docker-credential-test {reason}") as caught:
        helpers.get("test", "q.io")

    assert SECRET not in caught.value.message


def test_a_helper_that_hangs(tmp_path, monkeypatch):
    """A helper that does not end is ended."""
    made = Helper(tmp_path, monkeypatch)
    program = tmp_path / "helper-test/docker-credential-test"
    program.write_text("#!/bin/sh\nexec sleep 600\n")

    with pytest.raises(AuthError, match=r"^docker-credential-test did not end within 0\.2 s$"):
        helpers.get("test", "q.io", patience=0.2)

    assert made.calls == []


@pytest.mark.parametrize(
    ("suffix", "reason"),
    [
        ("missing-for-sure", "^docker-credential-missing-for-sure is not installed$"),
        ("../../tmp/x", "is not the name of a credential helper$"),
        ("a b", "is not the name of a credential helper$"),
        ("", "is not the name of a credential helper$"),
        ("locked", "^cannot run docker-credential-locked: permission denied$"),
    ],
    ids=["C04-missing", "path", "space", "empty", "not executable"],
)
def test_a_helper_that_cannot_run(tmp_path, monkeypatch, suffix, reason):
    """A helper that is missing or no program is named; a path never is one."""
    Helper(tmp_path, monkeypatch, "locked")
    (tmp_path / "helper-locked/docker-credential-locked").chmod(0o644)
    monkeypatch.setenv("PATH", str(tmp_path / "helper-locked"))

    with pytest.raises(AuthError, match=reason):
        helpers.get(suffix, "q.io")


def test_a_helper_keeps_credentials(helper):
    """What was stored comes back, until it is erased; then the erasing does nothing."""
    made = helper()

    helpers.store("test", "q.io", Credentials("me", SECRET))
    assert helpers.get("test", "q.io") == Credentials("me", SECRET)
    helpers.erase("test", "q.io")
    assert helpers.get("test", "q.io") is None

    assert made.calls == ["store", "get", "erase", "get"]
    assert SECRET not in made.seen


def test_a_token_is_stored_as_one(helper):
    """An identity token is kept under the name that says so."""
    helper()
    token = Credentials("", SECRET, Kind.IDENTITY_TOKEN)

    helpers.store("test", "q.io", token)

    assert helpers.get("test", "q.io") == token


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (lambda: helpers.store("test", "q.io", Credentials("me", SECRET)), r"status \d$"),
        (lambda: helpers.erase("test", "q.io"), r"status \d: \w+"),
    ],
    ids=["store", "erase"],
)
def test_a_helper_that_repeats_a_secret(helper, action, reason):
    """What a failing helper says of a secret it got is not shown."""
    helper("cat; exit 1")

    with pytest.raises(AuthError, match=f"failed with {reason}") as caught:
        action()

    assert SECRET not in caught.value.message
