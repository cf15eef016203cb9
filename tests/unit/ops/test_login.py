"""Login and logout, without a registry."""

from __future__ import annotations

import json

import pytest

from layerkit.errors import AuthError, UsageError
from layerkit.ops import login
from layerkit.ops.logout import Logout, logout

HUB_KEY = "https://index.docker.io/v1/"
ME = login.Credentials("me", "x")


class FakeClient:
    """Stands for a client: takes a login or not."""

    def __init__(self, refusal=None):
        self.asked = []
        self._refusal = refusal

    def check_login(self, registry):
        self.asked.append(registry)
        if self._refusal:
            raise self._refusal


@pytest.mark.parametrize(
    ("server", "registry"),
    [
        ("", "docker.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("Quay.io", "quay.io"),
        ("https://quay.io/v2/", "quay.io"),
        ("quay.io/team", "quay.io"),
        ("quay.io?a#b", "quay.io"),
        ("registry", "registry"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_a_server_has_several_names(server, registry):
    """Scheme and path do not count, and the Hub's names mean the Hub."""
    assert login.registry_of(server) == registry


@pytest.mark.parametrize("server", ["a b", "user@host", "host:port", "[::1", "-x", "host:99999"])
def test_what_is_no_host_is_no_server(server):
    """A name that no registry can have is refused."""
    with pytest.raises(UsageError, match="is not a registry: "):
        login.registry_of(server)


@pytest.mark.parametrize(
    ("username", "password", "reason"),
    [
        ("", "x", "username is empty"),
        ("me", "", "password is empty"),
        ("a:b", "x", "no colon"),
        ("a", "\udcff", "not UTF-8"),
    ],
)
def test_half_a_login_is_none(username, password, reason):
    """Name and password are needed, and the name has to fit in front of a colon."""
    with pytest.raises(UsageError, match=reason):
        login.credentials(username, password)


def test_what_the_registry_takes_is_kept(tmp_path):
    """Stored under docker's key, found again, forgotten by logout."""
    path, client = tmp_path / "config.json", FakeClient()

    assert login.login(client, "docker.io", ME, path) == login.Login(HUB_KEY, "")
    assert client.asked == ["docker.io"]
    assert login.known([(str(path), path.read_text())], "docker.io") == ME
    assert logout("docker.io", path) == Logout(HUB_KEY, existed=True)
    assert logout("docker.io", path) == Logout(HUB_KEY, existed=False)
    assert json.loads(path.read_text()) == {"auths": {}}


def test_what_the_registry_refuses_is_not_kept(tmp_path):
    """A refused login leaves no file."""
    with pytest.raises(AuthError):
        login.login(FakeClient(AuthError("no")), "q.io", ME, tmp_path / "config.json")

    assert not (tmp_path / "config.json").exists()
