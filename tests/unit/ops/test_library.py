"""The calls of the library do what the commands do, with plain arguments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import tars
from support.lookers import make_container
from support.registry import PASSWORD, USERNAME, TestRegistry

import layerkit
from layerkit.errors import AuthError, NotFoundError, UsageError
from layerkit.events import Resolved

LOW = tars.archive(
    tars.directory("d"), tars.file("d/a", "one"), tars.file("d/b", "b"), tars.symlink("l", "d/a")
)
HIGH = tars.archive(tars.whiteout("d/b"))
OTHER = tars.archive(tars.file("d/a", "two"))
SAME = tars.archive(tars.file("d/a", "one"))


@pytest.fixture
def registry():
    """A registry with four images: the second lacks a file, the third differs in bytes alone."""
    with TestRegistry() as registry:
        for tag, layers in {
            "1": [LOW],
            "2": [LOW, HIGH],
            "3": [LOW, OTHER],
            "4": [LOW, SAME],
        }.items():
            registry.add_image("app", tag, layers)
        yield registry


@pytest.fixture
def pulled(home, registry):
    """Makes the name of the image with this tag, which is pulled."""
    return lambda tag: layerkit.pull(home, f"{registry.host}/app:{tag}").name


def lines(changes):
    """Letter, path and reasons of each change."""
    return [(each.letter, each.path, *each.why) for each in changes]


def test_a_home_stays_where_it_was_opened(tmp_path, monkeypatch):
    """A relative path is that of the working directory at the time."""
    monkeypatch.chdir(tmp_path)
    with layerkit.open_home("state") as home:
        monkeypatch.chdir("/")

        assert home.containers == tmp_path / "state/containers"
        assert layerkit.list_images(home) == []


def test_a_pull_takes_credentials_by_its_client(home):
    """Nobody's credentials are used unless they are given."""
    user = layerkit.Credentials(USERNAME, PASSWORD)
    with TestRegistry(login="basic") as private:
        name = f"{private.host}/app:1"
        private.add_image("app", "1", [LOW])
        with pytest.raises(AuthError):
            layerkit.pull(home, name)
        with layerkit.connect(user=user) as client:
            assert layerkit.pull(home, name, client=client).updated


def test_a_pull_reads_no_files_of_credentials(home, monkeypatch, tmp_path, environment):
    """What the user of this machine is logged in to is not the program's."""
    auths = '{"auths": {"%s": {"auth": "dXNlcjpzZWNyZXQtb2YtdGhlLXRlc3Q="}}}'
    with TestRegistry(login="basic") as private:
        private.add_image("app", "1", [LOW])
        (tmp_path / "config.json").write_text(auths % private.host)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

        with pytest.raises(AuthError):
            layerkit.pull(home, f"{private.host}/app:1")


def test_a_pull_tells_its_events(home, registry):
    """The observer hears what happens."""
    events = []

    layerkit.pull(home, f"{registry.host}/app:1", observe=events.append)

    assert [each.name for each in events if isinstance(each, Resolved)] == [
        f"{registry.host}/app:1"
    ]


def test_a_platform_that_is_asked_for_is_wanted(home, registry, tmp_path):
    """With a platform, an image for another one is refused, by pull and by load."""
    tars.oci_layout(tmp_path / "layout", [LOW])

    with pytest.raises(NotFoundError):
        layerkit.pull(home, f"{registry.host}/app:1", platform="linux/s390x")
    with pytest.raises(NotFoundError):
        layerkit.load(home, tmp_path / "layout", platform="linux/s390x")
    assert layerkit.list_images(home) == []


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_may_be_text(home, tmp_path, kind):
    """What is loaded may be named in either way."""
    tars.oci_layout(tmp_path / "layout", [LOW], name="app:1")

    (loaded,) = layerkit.load(home, kind(tmp_path / "layout"))

    assert loaded.name == "app:1"


@pytest.mark.parametrize("path", ["/d/a", "d/a", b"/d/a", "/l", "d/../l"], ids=str)
def test_a_file_is_read(home, pulled, path):
    """A path is text or bytes, with or without a slash; symlinks are followed."""
    with layerkit.open_image(home, pulled("1")) as image:
        assert b"".join(layerkit.read_file(image, path)) == b"one"


@pytest.mark.parametrize(
    ("path", "error"), [("/none", NotFoundError), ("/d", UsageError), ("/l/x", NotFoundError)]
)
def test_what_is_no_file_is_an_error_at_once(home, pulled, path, error):
    """The error comes from the call, not from the first piece."""
    with layerkit.open_image(home, pulled("1")) as image, pytest.raises(error):
        layerkit.read_file(image, path)


def test_an_image_is_opened_by_its_id(home, pulled):
    """A name or the beginning of an id means an image, as on the command line."""
    pulled("1")
    (row,) = layerkit.list_images(home)

    with layerkit.open_image(home, row.id.hex[:12]) as image:
        assert image.tree().kind is layerkit.Kind.DIRECTORY


@pytest.mark.parametrize("opened", [layerkit.open_image, layerkit.open_container])
def test_what_is_not_here_is_not_found(home, opened):
    """Nothing is pulled for a look."""
    with pytest.raises(NotFoundError):
        opened(home, "nothing:1")


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("1", "1", []),
        ("1", "2", [("C", b"d", "below"), ("D", b"d/b")]),
        ("2", "1", [("C", b"d", "below"), ("A", b"d/b")]),
        ("1", "3", [("C", b"d", "below"), ("C", b"d/a", "content")]),
        ("1", "4", []),
    ],
    ids=["itself", "deleted", "added", "bytes alone", "written again"],
)
def test_two_images_are_compared(home, pulled, old, new, wanted):
    """What differs is told, bytes under equal size and time included; other layers are not enough."""
    with (
        layerkit.open_image(home, pulled(old)) as before,
        layerkit.open_image(home, pulled(new)) as after,
    ):
        assert lines(layerkit.compare(before, after)) == wanted


def test_a_container_is_compared(home, pulled, state_root):
    """Its changes are those to its image, and it has a tree as an image has one."""
    name = pulled("1")
    upper = make_container(state_root, name, "box")
    (upper / "new").write_text("new")
    os.utime(upper / "new", (0, 0))

    assert lines(layerkit.changes(home, "box")) == [("A", b"new")]
    with (
        layerkit.open_image(home, name) as image,
        layerkit.open_container(home, "box") as container,
    ):
        assert b"".join(layerkit.read_file(container, "new")) == b"new"
        assert ("A", b"new") in lines(layerkit.compare(image, container))


@pytest.mark.root
def test_a_run_pulls_what_is_missing(home, registry):
    """The image comes by the client that is given, before anything starts."""
    options = layerkit.Wishes(image=f"{registry.host}/none:1")
    with layerkit.connect() as client, pytest.raises(NotFoundError):
        layerkit.run(home, options, client=client)

    assert registry.paths("/none/manifests/1")
