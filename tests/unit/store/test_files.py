"""A name appears last and whole, what goes is gone at once, and a lock has one owner."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from support.processes import NOBODY, child, kill_myself, outcome, until

from layerkit.errors import StoreError, StoreFullError
from layerkit.store import files
from layerkit.store.files import Lock


@pytest.fixture
def scratch(tmp_path):
    """The directory where things lie until they have their name, and after they lost it."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_a_whole_file_replaces_what_was_there(tmp_path, scratch, mode):
    """The name holds the new content with its mode, and nothing is left in the scratch directory."""
    target = tmp_path / "file"
    target.write_bytes(b"old and longer")

    files.write_whole(target, b"new", scratch, mode)

    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert list(scratch.iterdir()) == []


def test_a_file_that_cannot_get_its_name_leaves_nothing(tmp_path, scratch):
    """When the rename fails, what was there stays and the scratch directory is empty."""
    (tmp_path / "folder").mkdir()

    with pytest.raises(OSError, match="Is a directory"):
        files.write_whole(tmp_path / "folder", b"new", scratch)

    assert list(scratch.iterdir()) == []


def test_a_name_is_never_seen_half_written(tmp_path, scratch):
    """A reader that looks all the time sees the old content or the new one, nothing else."""
    target = tmp_path / "file"
    contents = [bytes([digit]) * 100_000 for digit in b"ab"]
    target.write_bytes(contents[0])

    def write():
        for number in range(200):
            files.write_whole(target, contents[number % 2], scratch)

    with child(write) as writer:
        seen = {target.read_bytes() for _ in range(200)}
        assert writer.wait() == 0

    assert seen <= set(contents)


def make_tree(folder):
    """A directory with files, links, and directories that nobody may enter."""
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/file").write_text("x")
    (folder / "link").symlink_to("a")
    os.mkfifo(folder / "fifo")
    (folder / "a/b").chmod(0)
    (folder / "a").chmod(0o500)


def test_a_tree_is_removed_with_all_in_it(tmp_path, scratch):
    """Nothing of it stays, and no symlink in it is followed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    make_tree(tmp_path / "tree")
    (tmp_path / "tree/out").symlink_to(outside)

    files.remove_tree(tmp_path / "tree", scratch)

    assert not (tmp_path / "tree").exists()
    assert list(scratch.iterdir()) == []
    assert (outside / "kept").exists()


@pytest.mark.root
def test_a_tree_with_closed_directories_is_removed_by_its_owner(tmp_path, scratch):
    """PY-13: modes inside do not keep a user without privileges from removing a tree of his."""

    def work():
        make_tree(Path("tree"))
        Path("tree").mkdir(exist_ok=True)
        files.remove_tree(Path("tree"), Path("scratch"))

    os.chown(tmp_path, NOBODY, NOBODY)
    os.chown(scratch, NOBODY, NOBODY)

    assert outcome(work, uid=NOBODY, folder=tmp_path) == 0
    assert [*scratch.iterdir(), *tmp_path.glob("tree*")] == []


@pytest.mark.parametrize(
    "name", ["n", "n" * 255], ids=["1,500-levels", "path-longer-than-linux-takes"]
)
def test_a_tree_deeper_than_recursion_goes_is_removed(tmp_path, scratch, name):
    """PY-13, NM-12: a container can nest directories deeper than Python recurses and than a path can say."""
    top = tmp_path / "tree"
    top.mkdir()
    folder = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir(name, dir_fd=folder)
        below = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)

    files.remove_tree(top, scratch)

    assert not top.exists()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("what", ["file", "dangling link", "link to a folder", "nothing"])
def test_what_is_no_directory_is_removed_too(tmp_path, scratch, what):
    """A file or link goes alone; nothing at all is no error."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/kept").touch()
    target = tmp_path / "x"
    match what:
        case "file":
            target.touch()
        case "dangling link":
            target.symlink_to("nowhere")
        case "link to a folder":
            target.symlink_to("folder")

    files.remove_tree(target, scratch)

    assert not os.path.lexists(target)
    assert (tmp_path / "folder/kept").exists()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind", "hint"),
    [
        (errno.ENOSPC, StoreFullError, "free some space"),
        (errno.EDQUOT, StoreFullError, "free some space"),
        (errno.EACCES, StoreError, "--root"),
        (errno.EROFS, StoreError, "--root"),
        (errno.EIO, StoreError, ""),
    ],
)
def test_failed_file_operations_are_store_errors(number, kind, hint):
    """The error says what failed where and why, and what helps where that is known."""
    with pytest.raises(kind, match="cannot write /some/where: ") as raised, files.guarded("write"):
        raise OSError(number, "text", "/some/where")

    assert type(raised.value) is kind
    assert hint in raised.value.hint


@pytest.fixture
def flags(tmp_path):
    """Tells processes from each other: `flags(name)` is a path, there or not."""
    return lambda name: tmp_path / f"flag-{name}"


def test_a_lock_keeps_another_process_out(tmp_path, flags):
    """The second one waits until the first lets go, and is told that it has to."""

    def second():
        until(flags("locked").exists)
        lock = Lock(tmp_path / "deep/lock")
        lock.acquire(flags("waits").touch)
        assert flags("released").exists()

    with child(second) as process:
        lock = Lock(tmp_path / "deep/lock")
        lock.acquire()
        flags("locked").touch()
        until(flags("waits").exists)
        flags("released").touch()
        lock.release()
        assert process.wait() == 0


def test_a_lock_that_is_free_makes_nobody_wait(tmp_path):
    """Nothing is told when the lock can be had at once, again after its release."""
    for _ in range(2):
        lock = Lock(tmp_path / "lock")
        lock.acquire(lambda: pytest.fail("somebody has it"))
        lock.release()
        lock.release()


def test_a_lock_is_free_when_its_owner_dies(tmp_path):
    """The kernel takes the lock from a killed process."""

    def die():
        Lock(tmp_path / "lock").acquire()
        kill_myself()

    assert outcome(die) < 0
    with Lock(tmp_path / "lock"):
        pass


def test_an_owner_may_remove_the_lock_file(tmp_path, scratch, flags):
    """Who waited for a file that is gone takes the lock on the one that has its name now."""
    folder = tmp_path / "job"

    def second():
        until(flags("locked").exists)
        lock = Lock(folder / "lock")
        lock.acquire(flags("waits").touch)
        flags("second").touch()
        until(flags("third").exists)

    with child(second) as process:
        lock = Lock(folder / "lock")
        lock.acquire()
        flags("locked").touch()
        until(flags("waits").exists)
        files.remove_tree(folder, scratch)
        lock.release()
        until(flags("second").exists)
        with_name = Lock(folder / "lock")
        with_name.acquire(flags("third").touch)
        with_name.release()
        assert process.wait() == 0

    assert flags("third").exists()


def test_many_processes_that_remove_the_lock_never_meet(tmp_path, scratch):
    """However locking and removing mix, one process is inside at a time and none fails."""
    inside = tmp_path / "inside"

    def work():
        for _ in range(200):
            lock = Lock(tmp_path / "job/lock")
            lock.acquire()
            os.mkdir(inside)  # fails if somebody else is there
            os.rmdir(inside)
            files.remove_tree(tmp_path / "job", scratch)
            lock.release()

    with child(work) as one, child(work) as two, child(work) as three:
        assert [one.wait(), two.wait(), three.wait()] == [0, 0, 0]


def test_an_interrupted_wait_gives_the_file_back(tmp_path):
    """An exception while waiting, as of Ctrl-C, leaves neither a lock nor an open file."""
    held = Lock(tmp_path / "lock")
    held.acquire()
    waiting = Lock(tmp_path / "lock")

    def interrupt():
        raise KeyboardInterrupt

    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyboardInterrupt):
        waiting.acquire(interrupt)

    assert set(os.listdir("/proc/self/fd")) == before
    held.release()


def test_a_lock_is_no_symlink(tmp_path):
    """A lock file that leads elsewhere is an error, not a file made there."""
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic links"):
        Lock(tmp_path / "lock").acquire()

    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_below_a_file_is_an_error(tmp_path):
    """A file where the lock's directory should be ends the attempt instead of trying for ever."""
    (tmp_path / "job").touch()

    with pytest.raises(NotADirectoryError):
        Lock(tmp_path / "job/lock").acquire()


def test_a_lock_can_be_tried(tmp_path):
    """Who does not want to wait is told that somebody has it."""
    with Lock(tmp_path / "lock") as first:
        assert not Lock(tmp_path / "lock").try_acquire()
        first.release()
        second = Lock(tmp_path / "lock")
        assert second.try_acquire()
        second.release()


def test_looking_at_a_lock_takes_and_makes_none(tmp_path):
    """A lock that is held, free, or not there is told apart, and stays so."""
    path = tmp_path / "lock"
    assert not files.is_locked(path)
    assert not path.exists()

    with Lock(path):
        assert files.is_locked(path)
    assert not files.is_locked(path)
    with Lock(path):
        pass


def make_pipe(path):
    """A pipe, which opening may wait for ever for."""
    os.mkfifo(path)


def make_link(path):
    """A link to a file."""
    (path.parent / "other").write_bytes(b"x")
    path.symlink_to(path.parent / "other")


def make_large(path):
    """A file of 4 bytes."""
    path.write_bytes(b"1234")


@pytest.mark.parametrize("make", [make_pipe, make_link, make_large, os.mkdir])
def test_only_small_files_are_read(tmp_path, make):
    """What is no file, or larger than wanted, is an error at once."""
    make(tmp_path / "file")

    with pytest.raises(OSError, match=str(tmp_path / "file")):
        files.read_regular(tmp_path / "file", 3)


def test_a_small_file_is_read_whole(tmp_path):
    """The limit itself is allowed."""
    (tmp_path / "file").write_bytes(b"123")

    assert files.read_regular(tmp_path / "file", 3) == b"123"
