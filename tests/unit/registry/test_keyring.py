"""Several files and helpers as one lookup."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from layerkit.errors import AuthError
from layerkit.registry import Credentials, Keyring, authfile

HUB = "https://index.docker.io/v1/"


class FakeHelpers:
    """Stands for the programs: keeps what was asked, answers from a table, fails without a row."""

    def __init__(self, **answers):
        self.asked = []
        self._answers = answers

    def __call__(self, suffix, server):
        self.asked.append((suffix, server))
        if suffix not in self._answers:
            raise AuthError(f"docker-credential-{suffix} is not installed")
        return self._answers[suffix]


def file(path="1", *, user="", **settings):
    """A file with one user for h.io, and settings about helpers."""
    entry = {"auth": base64.b64encode(f"{user}:x".encode()).decode()} if user else {}
    text = json.dumps({"auths": {"h.io": entry}, **settings})
    return authfile.parse(path, text)


MINE, STORED = Credentials("mine", "x"), Credentials("stored", "x")


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ([file(user="file")], "file"),
        ([file(user="file", credsStore="stored")], "stored"),
        ([file(user="file", credsStore="stored", credHelpers={"h.io": "mine"})], "mine"),
        ([file(user="file", credsStore="stored", credHelpers={"x.io": "mine"})], "stored"),
        ([file(user="file", credsStore="nothing")], "file"),
        ([file(user="file", credsStore="missing")], "file"),
        ([file(credsStore="nothing"), file(user="second")], "second"),
        ([file(credsStore="missing"), file(user="second")], "second"),
        ([file(user="first"), file(user="second")], "first"),
        ([file(user="first"), file(credsStore="stored")], "first"),
        ([file(credsStore="nothing")], None),
        ([], None),
    ],
    ids=lambda value: "C02" if isinstance(value, list) else str(value),
)
def test_the_order_of_places(files, wanted):
    """Files in their order; in each, helper for the registry, helper for all, the file itself."""
    ask = FakeHelpers(mine=MINE, stored=STORED, nothing=None)

    found = Keyring(files, ask)("h.io", "app")

    assert (found.username if found else None) == wanted


def test_a_helper_is_asked_once():
    """C02: whatever a helper answers, it is asked once for a registry, with docker's key."""
    ask = FakeHelpers(nothing=None, mine=MINE)
    keyring = Keyring([file(credHelpers={"docker.io": "mine"}, credsStore="nothing")], ask)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: keyring("h.io", f"app{number}"), range(8)))
    keyring("docker.io")
    keyring("docker.io")

    assert ask.asked == [("nothing", "h.io"), ("mine", HUB)]


def test_a_helper_that_fails_is_named_with_its_file():
    """C04: without credentials elsewhere the error names helper and file, each time."""
    ask = FakeHelpers()
    keyring = Keyring(
        [file("/etc/first", credsStore="a"), file("/etc/second", credsStore="b")], ask
    )

    for _ in range(2):
        with pytest.raises(
            AuthError, match=r"^cannot get credentials as /etc/first says: docker-credential-a is"
        ):
            keyring("h.io")

    assert ask.asked == [("a", "h.io"), ("b", "h.io")]
