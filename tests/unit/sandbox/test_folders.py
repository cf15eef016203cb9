"""Folders are made inside a container's root, wherever links lead."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace

import pytest

from layerkit import linux
from layerkit.sandbox import folders


@pytest.fixture
def root(tmp_path):
    """The root of a container, beside which there is a folder `outside`."""
    (tmp_path / "root/there").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "root"


def make(root, path):
    """Make a folder as a container's start does it."""
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        folders.make_folders(SimpleNamespace(root=descriptor), path)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("link", "made"),
    [
        ("/there", "there/x"),
        ("../../outside", "outside/x"),
        ("/new/er", "new/er/x"),
        ("there/../deep", "deep/x"),
        ("second", "end/x"),
    ],
    ids=["SE-16-absolute", "SE-16-up", "SE-39-dangling", "dots", "chain"],
)
def test_links_lead_to_places_inside(root, link, made):
    """Also those that lead to nothing; nothing appears outside."""
    (root / "l").symlink_to(link)
    (root / "second").symlink_to("/end")
    make(root, "/l/x")

    assert (root / made).is_dir()
    assert os.listdir(root.parent / "outside") == []


def test_a_loop_is_an_error(root):
    """As the kernel says it."""
    (root / "l").symlink_to("l")

    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        make(root, "/l/x")


def test_a_file_on_the_way_is_an_error(root):
    """It is not replaced."""
    (root / "f").touch()

    with pytest.raises(OSError, match=os.strerror(errno.ENOTDIR)):
        make(root, "/f/x")


@pytest.mark.parametrize("is_link", [False, True], ids=["SE-38-folder", "SE-38-link"])
def test_what_appears_meanwhile_is_taken_as_it_is(root, monkeypatch, is_link):
    """Another container that shares the folder makes the same one, or a link, just before."""
    openat2 = linux.openat2

    def late(directory, path, flags, resolve):
        try:
            return openat2(directory, path, flags, resolve)
        except FileNotFoundError:
            if is_link:
                (root / "new").symlink_to("../outside")
            else:
                (root / "new").mkdir()
            monkeypatch.undo()
            raise

    monkeypatch.setattr(linux, "openat2", late)
    make(root, "/new/x")

    assert os.listdir(root.parent / "outside") == []
    assert (root / ("outside/x" if is_link else "new/x")).is_dir()
