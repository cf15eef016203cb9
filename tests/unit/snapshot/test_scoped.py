"""A path is looked up as a process sees it that has the directory as its root."""

from __future__ import annotations

import os

import pytest

from layerkit.snapshot import scoped


@pytest.fixture
def root(tmp_path):
    """A directory with folders, files, and symlinks of all kinds."""
    folder = tmp_path / "root"
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/file").write_text("inside")
    (tmp_path / "file").write_text("outside")
    for name, target in {
        "relative": "a/b",
        "absolute": "/a",
        "a/up": "..",
        "far": "../../../../../a/file",
        "dangling": "a/new",
        "a/dangling": "/a/b/new",
        "chain": "dangling",
        "loop": "loop",
        "root": "/",
        "slash": "a/b/",
        "magic": "/proc/self/root",
    }.items():
        (folder / name).symlink_to(target)
    descriptor = os.open(folder, os.O_PATH)
    yield descriptor
    os.close(descriptor)


def place(root, path):
    """The place as a path from the root."""
    folder, name = scoped.open_place(root, path)
    try:
        top = os.readlink(f"/proc/self/fd/{root}")
        return os.path.relpath(os.readlink(f"/proc/self/fd/{folder}"), top), name
    finally:
        os.close(folder)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (b"a/file", ("a", b"file")),
        (b"new", (".", b"new")),
        (b"a/b/new", ("a/b", b"new")),
        (b"relative/new", ("a/b", b"new")),
        (b"absolute/new", ("a", b"new")),
        (b"a/up/new", (".", b"new")),
        (b"far", ("a", b"file")),
        (b"dangling", ("a", b"new")),
        (b"a/dangling", ("a/b", b"new")),
        (b"chain", ("a", b"new")),
        (b"slash", ("a", b"b")),
    ],
)
def test_a_place_is_where_something_would_be_made(root, path, wanted):
    """Symlinks are followed to the end, whether or not anything is there."""
    assert place(root, path) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (b"", IsADirectoryError),
        (b"root", IsADirectoryError),
        (b"a/up", IsADirectoryError),
        (b"no/new", FileNotFoundError),
        (b"a/file/new", NotADirectoryError),
        (b"loop", OSError),
        (b"loop/new", OSError),
        (b"n" * 300, OSError),
    ],
)
def test_a_place_that_is_none_is_an_error(root, path, wanted):
    """The root itself has no place, nor has what lies in no directory."""
    with pytest.raises(wanted):
        scoped.open_place(root, path)


@pytest.mark.parametrize(
    ("path", "wanted"), [(b"a/file", b"inside"), (b"far", b"inside"), (b"a/up/a/file", b"inside")]
)
def test_no_way_leads_out(root, path, wanted):
    """However far up a path goes, its top is the root."""
    file = scoped.open_path(root, path, os.O_RDONLY)
    try:
        assert os.read(file, 99) == wanted
    finally:
        os.close(file)


def test_what_the_kernel_would_jump_to_is_not_followed(root):
    """A link in /proc that leads to a file itself, not to its path, is no way."""
    with pytest.raises(OSError, match="magic"):
        scoped.open_path(root, b"magic/etc", os.O_PATH)
