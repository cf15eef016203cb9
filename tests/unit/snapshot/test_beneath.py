"""Both ways to open what lies below a directory keep to the same rules."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

import pytest
from support import seccomp
from support.listing import merged
from support.processes import outcome
from support.tars import archive, directory, file, hardlink, symlink
from support.trees import differences, scan

from layerkit.errors import StoreError
from layerkit.snapshot import beneath, delta, disk, fill, upper
from layerkit.store.files import remove_tree

FOLDER = os.O_RDONLY | os.O_DIRECTORY


@pytest.fixture(params=[beneath.by_openat2, beneath.by_steps])
def opener(request):
    """One of the two ways, and the same rules for both."""
    return request.param


@pytest.fixture
def root(tmp_path):
    """A directory with folders, a file, and symlinks that lead everywhere."""
    folder = tmp_path / "root"
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/file").write_text("inside")
    (tmp_path / "outside/b").mkdir(parents=True)
    for name, target in {
        "inside": "a",
        "absolute": "/",
        "outside": "../outside",
        "dangling": "nowhere",
        "loop": "loop",
        "a/up": "..",
    }.items():
        (folder / name).symlink_to(target)
    descriptor = os.open(folder, FOLDER)
    yield descriptor
    os.close(descriptor)


def opened(opener, root, path, flags):
    """The status of what was opened, closed again."""
    descriptor = opener(root, path, flags)
    try:
        assert not os.get_inheritable(descriptor)
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("path", [b"", b"a", b"a/b"])
def test_a_folder_is_opened(opener, root, path):
    """Any folder below the root is found, the root itself as the empty path."""
    wanted = os.stat(path or b".", dir_fd=root)

    assert os.path.samestat(opened(opener, root, path, FOLDER), wanted)


def test_a_file_is_opened(opener, root):
    """The flags say what the end of the path is."""
    assert stat.S_ISREG(opened(opener, root, b"a/file", os.O_RDONLY).st_mode)


def test_a_symlink_itself_is_opened_by_its_path(opener, root):
    """O_PATH gives the symlink, not what it leads to."""
    assert stat.S_ISLNK(opened(opener, root, b"outside", os.O_PATH).st_mode)


@pytest.mark.parametrize(
    "path",
    [
        b"inside",
        b"inside/b",
        b"absolute",
        b"absolute/etc",
        b"outside",
        b"outside/b",
        b"a/up",
        b"a/up/a",
        b"dangling",
        b"dangling/x",
        b"loop",
        b"loop/x",
        b"a/file",
        b"a/file/x",
    ],
)
def test_no_symlink_and_no_file_is_a_folder(opener, root, path):
    """Wherever a symlink leads, inside or outside, it is not entered."""
    with pytest.raises(NotADirectoryError):
        opener(root, path, FOLDER)


@pytest.mark.parametrize("path", [b"inside/file", b"outside/b", b"outside"])
def test_no_symlink_leads_to_a_file(opener, root, path):
    """What is no folder is not opened through a symlink, and not if it is one."""
    with pytest.raises(OSError) as raised:  # noqa: PT011  which of the two depends on the place
        opener(root, path, os.O_RDONLY)

    assert raised.value.errno in {errno.ELOOP, errno.ENOTDIR}


@pytest.mark.parametrize("path", [b"root", b"root/etc", b"cwd", b"fd/0"])
def test_no_magic_link_is_entered(opener, path):
    """The symlinks of /proc, which lead without a path, are symlinks."""
    process = os.open("/proc/self", FOLDER)
    try:
        with pytest.raises(NotADirectoryError):
            opener(process, path, FOLDER)
    finally:
        os.close(process)


@pytest.mark.parametrize("path", [b"..", b"../outside", b"a/../..", b"a/../a", b"/", b"/etc"])
def test_no_path_leads_out(opener, root, path):
    """A path that could leave the root is refused, even where it would come back."""
    with pytest.raises(OSError, match="cross-device") as raised:
        opener(root, path, FOLDER)

    assert raised.value.errno == errno.EXDEV


@pytest.mark.parametrize("path", [b"nowhere", b"a/nowhere", b"nowhere/b"])
def test_what_is_missing_is_missing(opener, root, path):
    """A name that is not there is an error of its own."""
    with pytest.raises(FileNotFoundError):
        opener(root, path, FOLDER)


@pytest.mark.parametrize("path", [b"a/b", b"a/nowhere", b"a/up/a", b"outside/b/c"])
def test_no_descriptor_is_left_open(opener, root, path):
    """What was opened on the way is closed, whether the end was reached or not."""
    before = os.listdir("/proc/self/fd")

    with contextlib.suppress(OSError):
        os.close(opener(root, path, FOLDER))

    assert os.listdir("/proc/self/fd") == before


def test_a_path_may_be_longer_than_the_kernel_takes(opener, tmp_path):
    """A container can nest folders beyond PATH_MAX; they are opened all the same."""
    names = [b"n" * 250] * 40
    below = os.open(tmp_path, FOLDER)
    for name in names:
        os.mkdir(name, dir_fd=below)
        above, below = below, os.open(name, FOLDER, dir_fd=below)
        os.close(above)
    wanted = os.fstat(below)
    os.close(below)
    root = os.open(tmp_path, FOLDER)

    assert os.path.samestat(opened(opener, root, b"/".join(names), FOLDER), wanted)

    os.close(root)
    remove_tree(tmp_path / ("n" * 250), tmp_path)


class TestChoice:
    """Which of the two is used."""

    def test_openat2_is_used_where_it_works(self, root):
        """The kernel's own way is the first choice."""
        assert beneath.opener(root) is beneath.by_openat2

    @pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
    def test_steps_are_used_where_openat2_does_not_work(self, root, number):
        """An old kernel, and a seccomp filter that does not know the call, get the other one."""

        def work():
            seccomp.refuse(seccomp.OPENAT2, number)
            assert beneath.opener(root) is beneath.by_steps

        assert outcome(work) == 0

    def test_what_is_no_directory_is_told(self, tmp_path):
        """An error that has nothing to do with openat2 is not taken for its absence."""
        with pytest.raises(OSError, match="Bad file descriptor"):
            beneath.opener(-1)


def layers():
    """An archive with something in folders of folders."""
    return archive(
        directory("d/", 0o711, uid=7),
        file("d/e/f", "text"),
        hardlink("d/h", "d/e/f"),
        symlink("d/e/s", "../.."),
        directory("closed/", 0),
        file("closed/f"),
    )


def write(folder, tar, **options):
    """Write what an archive shows into a new folder."""
    folder.mkdir()
    source = os.memfd_create("tar")
    os.pwrite(source, tar, 0)
    root = os.open(folder, FOLDER)
    try:
        disk.write(root, delta.flat(merged([tar])), fill.from_tars(lambda _: source), **options)
    finally:
        os.close(root)
        os.close(source)


@pytest.mark.root
def test_a_tree_is_written_the_same_either_way(opener, tmp_path):
    """The writer gives the same files by either of the two."""
    write(tmp_path / "default", layers())
    write(tmp_path / "by", layers(), opener=opener)

    assert differences(scan(tmp_path / "default"), scan(tmp_path / "by")) == []


@pytest.mark.root
def test_an_upper_directory_is_read_the_same_either_way(opener, tmp_path):
    """The reader gives the same entries by either of the two."""
    write(tmp_path / "upper", layers())
    entries = list(upper.read(tmp_path / "upper"))

    assert list(upper.read(tmp_path / "upper", opener=opener)) == entries
    assert b"closed/f" in {entry.path for entry in entries}


@pytest.mark.root
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_a_tree_is_written_where_openat2_does_not_work(tmp_path, number):
    """Without openat2, nobody notices."""

    def work():
        seccomp.refuse(seccomp.OPENAT2, number)
        write(Path("root"), layers())

    assert outcome(work, folder=tmp_path) == 0
    assert (tmp_path / "root/d/h").read_text() == "text"


class Swapping:
    """An opener that puts a symlink in the place of a folder, just before it is opened again."""

    def __init__(self, opener, folder, target):
        self._opener = opener
        self._folder = folder
        self._target = target
        self._calls = 0

    def __call__(self, root, path, flags):
        """Open as the real one does, but for the swap."""
        if path.endswith(os.fsencode(self._folder.name)):
            self._calls += 1
            if self._calls == 2:
                self._folder.rename(self._folder.with_name("moved"))
                self._folder.symlink_to(self._target)
        return self._opener(root, path, flags)


def test_a_folder_that_becomes_a_symlink_is_not_entered(opener, tmp_path):
    """Between two looks at a folder it may become a link to somewhere else: then it is an error."""
    (tmp_path / "outside").mkdir(mode=0o700)
    before = scan(tmp_path / "outside")
    tar = archive(file("d/e/a"), file("d/f/b"), file("d/g"))
    swapping = Swapping(opener, tmp_path / "root/d", tmp_path / "outside")

    with pytest.raises(StoreError, match=r"cannot write 'd\S*': not a directory"):
        write(tmp_path / "root", tar, opener=swapping)

    assert differences(before, scan(tmp_path / "outside")) == []
