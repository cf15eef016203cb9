"""Changes to files of credentials, on a real disk."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.helpers import Helper

from layerkit.errors import AuthError, LayerkitError, UsageError
from layerkit.registry import Credentials, authstore, from_documents
from layerkit.registry.authstore import AuthStore

ME = Credentials("me", "hunter2-hunter2")


@pytest.fixture
def path(tmp_path):
    """Where the file is to be, in a folder that is not there yet."""
    return tmp_path / "home/.docker/config.json"


def kept(path, registry):
    """What the file has for a registry, without helpers."""
    return from_documents([(str(path), path.read_text())])(registry)


def mode(path):
    """The permissions of what is at a path."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_for_its_owner(path):
    """File and folder are made, for nobody else's eyes."""
    assert AuthStore(path).put("q.io", ME) == ""

    assert kept(path, "q.io") == ME
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert os.listdir(path.parent) == ["config.json"]


def test_a_change_keeps_the_rest(path):
    """What else is in the file stays, its permissions get strict."""
    path.parent.mkdir(parents=True)
    path.write_text('{"psFormat": "table", "auths": {"a.io": {"auth": "YTpi"}}}')
    path.chmod(0o644)

    AuthStore(path).put("q.io", ME)

    assert json.loads(path.read_text())["psFormat"] == "table"
    assert kept(path, "a.io") == Credentials("a", "b")
    assert mode(path) == 0o600


def test_a_link_stays_one(path, tmp_path):
    """A symbolic link goes on to point at the file, which is changed where it is."""
    real = tmp_path / "dotfiles/docker.json"
    path.parent.mkdir(parents=True)
    path.symlink_to(real)

    AuthStore(path).put("q.io", ME)
    AuthStore(path).put("r.io", ME)

    assert path.is_symlink()
    assert kept(real, "q.io") == kept(real, "r.io") == ME
    assert os.listdir(real.parent) == ["docker.json"]


@pytest.mark.root
def test_the_owner_stays(path):
    """Root's change of another user's file leaves it to that user."""
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    os.chown(path, 1234, 1235)

    AuthStore(path).put("q.io", ME)

    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


def test_several_logins_at_once(path):
    """Nobody's change is lost when several come together."""
    names = [f"r{number}.io" for number in range(12)]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: AuthStore(path).put(name, ME), names))

    assert [kept(path, name) for name in names] == [ME] * len(names)


def test_what_fails_leaves_the_old_file(path, monkeypatch):
    """A disk that is full in between changes nothing, and no other file stays."""
    AuthStore(path).put("q.io", ME)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(authstore.os, "fsync", full)
    with pytest.raises(
        LayerkitError, match=f"^cannot change the credentials in {path}: no space left on device$"
    ):
        AuthStore(path).put("r.io", ME)

    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["config.json"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", r"not valid JSON \(line 1\)"),
        (b"\xff", "not UTF-8"),
        (b" " * ((1 << 20) + 1), "more than 1048576 bytes"),
        (b'{"auths": []}', "auths is not a JSON object"),
    ],
    ids=["json", "text", "size", "shape"],
)
@pytest.mark.parametrize("action", ["put", "remove"])
def test_a_file_that_is_none_is_not_touched(path, data, reason, action):
    """A file that cannot be understood is refused by its name and stays."""
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    arguments = ("q.io", ME) if action == "put" else ("q.io",)

    with pytest.raises(UsageError, match=f"^cannot read credentials in {path}: {reason}$"):
        getattr(AuthStore(path), action)(*arguments)

    assert path.read_bytes() == data


def test_credentials_are_removed(path):
    """What was stored is forgotten; what never was is not there, and no file is made for that."""
    store = AuthStore(path)
    assert store.remove("q.io") is False
    assert not path.parent.exists()

    store.put("q.io", ME)
    store.put("r.io", ME)

    assert store.remove("q.io") is True
    assert store.remove("q.io") is False
    assert (kept(path, "q.io"), kept(path, "r.io")) == (None, ME)


@pytest.mark.parametrize(
    "settings",
    [{"credsStore": "test"}, {"credHelpers": {"q.io": "test"}, "credsStore": "other"}],
    ids=["credsStore", "credHelpers"],
)
def test_a_helper_keeps_what_the_file_names_it_for(path, tmp_path, monkeypatch, settings):
    """With a helper the secret is not in the file, which only marks the login."""
    helper = Helper(tmp_path, monkeypatch)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(settings))
    store = AuthStore(path)

    assert store.put("q.io", ME) == "test"
    assert json.loads(path.read_text()) == {**settings, "auths": {"q.io": {}}}
    assert "hunter2" in helper.given
    assert store.remove("q.io") is True
    assert json.loads(path.read_text()) == {**settings, "auths": {}}
    assert store.remove("q.io") is False
    assert helper.calls == ["store", "get", "erase", "get"]


def test_a_helper_that_is_missing_stores_nothing(path):
    """Without its helper a login is not stored, in the file least of all."""
    path.parent.mkdir(parents=True)
    path.write_text('{"credsStore": "missing-for-sure"}')

    with pytest.raises(AuthError, match="docker-credential-missing-for-sure is not installed"):
        AuthStore(path).put("q.io", ME)

    assert "hunter2" not in path.read_text()
