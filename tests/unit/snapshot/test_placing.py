"""What is placed in a directory that others use replaces, merges, or is refused, as docker has it."""

from __future__ import annotations

import contextlib
import os

import pytest

from layerkit.errors import LayerkitError
from layerkit.snapshot import beneath
from layerkit.snapshot.placing import Placer
from layerkit.tree import Entry, Kind

pytestmark = pytest.mark.root


@pytest.fixture
def top(tmp_path):
    """A directory with a file, a directory, and symlinks to a file and a directory beside it."""
    folder = tmp_path / "top"
    (folder / "dir").mkdir(parents=True)
    (folder / "dir/kept").write_text("kept")
    (folder / "file").write_text("old")
    (tmp_path / "victim").write_text("victim")
    (tmp_path / "outside").mkdir()
    (folder / "to-file").symlink_to("../victim")
    (folder / "to-dir").symlink_to("../outside")
    return folder


@pytest.fixture
def put(top):
    """Places entries with the content `new`, and finishes."""

    def placed(*entries):
        root = os.open(top, os.O_PATH)
        try:
            with contextlib.closing(Placer(root, beneath.opener(root))) as placer:
                for entry in entries:
                    placer.put(entry, lambda file: os.write(file, b"new"))
                placer.finish()
        finally:
            os.close(root)

    return placed


def file(path):
    """A file of three bytes."""
    return Entry(path, Kind.FILE, 0o600, size=3)


@pytest.mark.parametrize("path", [b"file", b"to-file", b"to-dir", b"dir/kept", b"new", b"dir/new"])
def test_a_file_replaces_what_is_no_directory(put, top, path):
    """It is a new one: what a symlink there led to stays as it was."""
    put(file(path))

    assert not (top / os.fsdecode(path)).is_symlink()
    assert (top / os.fsdecode(path)).read_text() == "new"
    assert (top.parent / "victim").read_text() == "victim"


def test_directories_are_merged(put, top):
    """What is in the one that is there stays; it gets the attributes of the other, at the end."""
    put(Entry(b"dir", Kind.DIRECTORY, 0o500, seconds=5), file(b"dir/new"))

    assert sorted(os.listdir(top / "dir")) == ["kept", "new"]
    assert (top / "dir").stat().st_mode & 0o7777 == 0o500
    assert (top / "dir").stat().st_mtime == 5


def test_missing_parents_are_made(put, top):
    """An archive need not name them."""
    put(file(b"a/b/c"), file(b"a/d"))

    assert (top / "a/b/c").read_text() == (top / "a/d").read_text() == "new"


@pytest.mark.parametrize(
    "entry",
    [file(b"dir"), *(Entry(path, Kind.DIRECTORY) for path in (b"file", b"to-file", b"to-dir"))],
    ids=lambda entry: entry.path.decode(),
)
def test_neither_kind_replaces_the_other(put, entry):
    """A directory is not lost to a file, nor a file or symlink to a directory."""
    with pytest.raises(LayerkitError, match="cannot overwrite"):
        put(entry)


@pytest.mark.parametrize("path", [b"to-dir/new", b"file/new", b"../new"])
def test_nothing_is_placed_outside(put, top, path):
    """SE-56: a symlink on the way is no directory, and `..` leads nowhere."""
    with pytest.raises(OSError, match=r"Not a directory|Invalid cross-device link"):
        put(file(path))

    assert os.listdir(top.parent / "outside") == []
