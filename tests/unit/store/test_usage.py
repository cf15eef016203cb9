"""Sizes are those of the disk, and the last change counts that nobody can set back."""

from __future__ import annotations

import math
import os

import pytest
from support.processes import NOBODY, outcome

from layerkit.store import files
from layerkit.store.usage import Usage, measure


def disk(path):
    """The bytes that one file or folder takes itself."""
    return os.lstat(path).st_blocks * 512


@pytest.fixture
def tree(tmp_path):
    """A folder with a file in a folder."""
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/file").write_bytes(b"x" * 100_000)
    return tmp_path / "tree"


def test_a_folder_counts_with_all_in_it(tree):
    """Its blocks and those of everything below are summed up."""
    assert measure(tree).size == sum(map(disk, (tree, tree / "deep", tree / "deep/file")))


def test_holes_take_no_room(tmp_path):
    """What a sparse file has of the disk counts, not its length."""
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 30)

    assert measure(tmp_path / "sparse").size < 1 << 20


def test_a_file_with_several_names_counts_once(tree):
    """A hard link takes nothing but its name."""
    before = measure(tree).size
    os.link(tree / "deep/file", tree / "deep/other")

    assert measure(tree).size == before


def test_a_link_is_not_followed(tree, tmp_path):
    """What a symlink leads to is not part of the folder."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links/out").symlink_to(tree)
    (tmp_path / "out").symlink_to(tree)

    assert measure(tmp_path / "links").size < disk(tree / "deep/file")
    assert measure(tmp_path / "out").size < disk(tree / "deep/file")


def test_what_is_not_there_takes_nothing(tmp_path):
    """Something that vanished has no size, and is never old."""
    assert measure(tmp_path / "none") == Usage(0, math.inf)


def test_the_last_change_is_that_of_the_newest_file(tree):
    """However deep it is, and whatever times were set on it."""
    os.utime(tree / "deep/file", (0, 0))
    os.utime(tree / "deep", (0, 0))

    assert measure(tree).changed == max(
        os.stat(each).st_ctime for each in (tree, tree / "deep", tree / "deep/file")
    )


def test_folders_may_be_nested_deeper_than_a_path_is_long(tmp_path):
    """What a container nested for ever is measured to its end."""
    top = os.open(tmp_path, os.O_RDONLY)
    names = [str(number % 10) * 200 for number in range(60)]
    here = os.dup(top)
    for name in names:
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with open(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
        file.write(b"x" * 1_000_000)
    os.close(here)
    os.close(top)

    assert measure(tmp_path).size >= 1_000_000
    (tmp_path / "scratch").mkdir()
    files.remove_tree(tmp_path / names[0], tmp_path / "scratch")


@pytest.mark.root
def test_what_may_not_be_read_does_not_count(tree):
    """A closed folder is no error: the rest is told."""
    (tree / "closed").mkdir(mode=0o700)
    (tree / "closed/file").write_bytes(b"x" * 1_000_000)

    def work():
        assert 100_000 <= measure(tree).size < 1_000_000

    tree.chmod(0o755)
    for parent in list(tree.parents)[:3]:
        parent.chmod(0o755)
    assert outcome(work, uid=NOBODY, folder=tree) == 0
