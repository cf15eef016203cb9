"""A copy brings exactly what is meant, and touches nothing else, whoever meddles meanwhile."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import stat
import tarfile
import threading

import pytest
from support import homes, leaks, tars
from support.trees import differences, scan

from layerkit.errors import LayerkitError, NotFoundError, UsageError
from layerkit.ops import containers, mounts
from layerkit.ops.cp import CopyOptions, copy, copy_tar_in, copy_tar_out, place
from layerkit.ops.inside_root import container_root
from layerkit.store.files import Lock

pytestmark = pytest.mark.root
TIME = 1_500_000_000
BASE = tars.archive(
    tars.directory("etc", mtime=77),
    tars.file("etc/motd", b"hello\n", mode=0o640, uid=5, gid=6, mtime=88),
    tars.directory("dir", 0o711, uid=7, gid=8, mtime=99),
    tars.file("dir/a", b"a"),
    tars.directory("dir/sub"),
    tars.file("dir/sub/b", b"b", mode=0o4755),
    tars.hardlink("dir/sub/c", "dir/a"),
    tars.symlink("dir/link", "../etc/motd"),
    tars.symlink("to-dir", "/dir"),
    tars.symlink("to-file", "etc/motd"),
    tars.symlink("dangling", "etc/new"),
    tars.symlink("loop", "loop"),
    tars.symlink("up", "../../../../etc"),
    tars.directory("usr"),
    tars.directory("usr/lib"),
    tars.symlink("lib", "usr/lib"),
)


@pytest.fixture(params=["overlay", "copy"])
def driver(request):
    """Two kinds of roots: an overlay, and a plain folder."""
    return request.param


@pytest.fixture
def container(home, tmp_path, driver):
    """A container of that image, called c."""
    image = homes.load_layers(home, tmp_path / "layout", [BASE])
    return homes.create(home, image, name="c", driver=driver)


@pytest.fixture
def here(tmp_path):
    """A folder of this machine with a file, a directory, and symlinks to both."""
    folder = tmp_path / "here"
    (folder / "d/sub").mkdir(parents=True)
    (folder / "f").write_bytes(b"file")
    (folder / "d/one").write_bytes(b"1")
    (folder / "d/sub/two").write_bytes(b"2")
    (folder / "to-f").symlink_to("f")
    (folder / "to-d").symlink_to(folder / "d")
    (folder / "dangling").symlink_to("made")
    return folder


@pytest.fixture
def cp(home, container, here):
    """Copies, with paths of this machine from that folder on; what was told is in `cp.told`."""

    def run(source, target, **options):
        wishes = CopyOptions(folder=str(here), **options)
        return copy(home, place(source), place(target), wishes, told.append)

    told = []
    run.told = told
    return run


@pytest.fixture
def inside(home, container):
    """Reads a path of the container: the names in a directory, the target of a link, or the bytes."""

    def look(path):
        with container_root(home, container, "look into") as root:
            return seen(f"/proc/self/fd/{root.descriptor}/{path}")

    return look


def seen(path):
    """What is at a path of this machine."""
    if os.path.islink(path):
        return os.readlink(path)
    if os.path.isdir(path):
        return sorted(os.listdir(path))
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()
    return None


MISSING, NO_DIRECTORY = "no such file", "not a directory"
NO_PARENT, NOT_THERE = (
    "the directory of the destination",
    "the destination directory does not exist",
)
TO_A_FILE, NOT_A_FOLDER = "cannot copy a directory to a file", "is not a directory"


@pytest.mark.parametrize(
    ("source", "target", "path", "wanted"),
    [
        ("c:/etc/motd", "new", "new", b"hello\n"),
        ("c:etc/motd", "new", "new", b"hello\n"),
        ("c:/etc/motd", "f", "f", b"hello\n"),
        ("c:/etc/motd", "to-f", "f", b"hello\n"),
        ("c:/etc/motd", "dangling", "made", b"hello\n"),
        ("c:/etc/motd", "d", "d/motd", b"hello\n"),
        ("c:/etc/motd", "d/", "d/motd", b"hello\n"),
        ("c:/etc/motd", "to-d", "d/motd", b"hello\n"),
        ("c:/etc/motd", ".", "motd", b"hello\n"),
        ("c:/etc/motd", "new/", None, NOT_THERE),
        ("c:/etc/motd", "f/", None, NOT_A_FOLDER),
        ("c:/etc/motd", "no/new", None, NO_PARENT),
        ("c:/etc/motd/", "new", None, NO_DIRECTORY),
        ("c:/etc/motd/x", "new", None, NO_DIRECTORY),
        ("c:/nothing", "new", None, MISSING),
        ("c:/loop/x", "new", None, "too many levels"),
        ("c:/to-file", "new", "new", "etc/motd"),
        ("c:/up/motd", "new", "new", b"hello\n"),
        ("c:/../../etc/motd", "new", "new", b"hello\n"),
        ("c:/dir", "new", "new", ["a", "link", "sub"]),
        ("c:/dir/", "new/", "new", ["a", "link", "sub"]),
        ("c:/dir/.", "new", "new", ["a", "link", "sub"]),
        ("c:/dir", "no/new", None, NO_PARENT),
        ("c:/dir", "d", "d", ["dir", "one", "sub"]),
        ("c:/dir/", "d", "d/dir", ["a", "link", "sub"]),
        ("c:/dir/.", "d", "d", ["a", "link", "one", "sub"]),
        ("c:/dir/.", "d", "d/sub", ["b", "c", "two"]),
        ("c:/dir/.", "to-d", "d", ["a", "link", "one", "sub"]),
        ("c:/dir", "f", None, TO_A_FILE),
        ("c:/dir/.", "f", None, TO_A_FILE),
        ("c:/to-dir", "new", "new", "/dir"),
        ("c:/to-dir/", "new", "new", ["a", "link", "sub"]),
        ("c:/to-dir/", "d", "d/to-dir", ["a", "link", "sub"]),
        ("c:/to-dir/.", "new", "new", ["a", "link", "sub"]),
        ("f", "c:/new", "new", b"file"),
        ("f", "c:/etc/motd", "etc/motd", b"file"),
        ("f", "c:/to-file", "etc/motd", b"file"),
        ("f", "c:/dangling", "etc/new", b"file"),
        ("f", "c:/dir", "dir/f", b"file"),
        ("f", "c:/", "f", b"file"),
        ("f", "c:/to-dir", "dir/f", b"file"),
        ("f", "c:/up", "etc/f", b"file"),
        ("f", "c:/new/", None, NOT_THERE),
        ("f", "c:/etc/motd/", None, NOT_A_FOLDER),
        ("f", "c:/etc/motd/x", None, NO_DIRECTORY),
        ("f", "c:/no/new", None, NO_PARENT),
        ("f", "c:/loop", None, "too many levels"),
        ("f/", "c:/new", None, NO_DIRECTORY),
        ("nothing", "c:/new", None, MISSING),
        ("to-f", "c:/new", "new", "f"),
        ("d", "c:/new", "new", ["one", "sub"]),
        ("d", "c:/dir", "dir/d", ["one", "sub"]),
        ("d/.", "c:/dir", "dir", ["a", "link", "one", "sub"]),
        ("d/.", "c:/dir", "dir/sub", ["b", "c", "two"]),
        ("d", "c:/etc/motd", None, TO_A_FILE),
        ("to-d", "c:/new", "new", "{here}/d"),
        ("to-d/", "c:/new", "new", ["one", "sub"]),
        (".", "c:/dir", "dir/f", b"file"),
    ],
)
def test_rules(cp, here, inside, source, target, path, wanted):
    """SE-56: what comes of a copy is what docker's documentation says, in both directions."""
    if path is None:
        with pytest.raises(LayerkitError, match=wanted) as raised:
            cp(source, target)
        assert raised.value.exit_code == 1
        assert str(raised.value).startswith(f"cannot copy {source} to {target}: ")
        return
    cp(source, target)

    got = inside(path) if ":" in target else seen(here / path)
    assert got == (wanted.format(here=here) if isinstance(wanted, str) else wanted)


@pytest.mark.parametrize(
    ("source", "target", "path", "wanted"),
    [
        ("c:/to-file", "new", "new", b"hello\n"),
        ("c:/to-file", "d", "d/to-file", b"hello\n"),
        ("c:/to-dir", "new", "new", ["a", "link", "sub"]),
        ("c:/to-dir", "d", "d/to-dir", ["a", "link", "sub"]),
        ("to-f", "c:/new", "new", b"file"),
        ("to-d", "c:/dir", "dir/to-d", ["one", "sub"]),
    ],
)
def test_the_source_is_followed_where_that_is_asked_for(
    cp, here, inside, source, target, path, wanted
):
    """-L follows what the source itself is, and keeps its name; links below stay links."""
    cp(source, target, follow=True)

    assert (inside(path) if ":" in target else seen(here / path)) == wanted


@pytest.mark.parametrize(
    ("made", "source", "target", "wanted"),
    [
        ("d/a/", "c:/dir/.", "d", "cannot overwrite directory"),
        ("d/motd/", "c:/etc/motd", "d", "cannot overwrite directory"),
        ("d/dir", "c:/dir", "d", "cannot overwrite non-directory"),
        ("dir/", "dir", "c:/dir/a", TO_A_FILE),
        ("sub", "sub", "c:/dir", "cannot overwrite directory"),
    ],
)
def test_files_and_directories_do_not_replace_each_other(cp, here, made, source, target, wanted):
    """What would take the place of the other kind is refused."""
    if made.endswith("/"):
        (here / made).mkdir()
    else:
        (here / made).touch()

    with pytest.raises(LayerkitError, match=wanted):
        cp(source, target)


@pytest.mark.parametrize(
    ("source", "target"), [("a", "b"), ("c:/a", "c:/b"), ("c:/a", "d:/b"), ("-", "-")]
)
def test_one_side_is_a_container(cp, source, target):
    """Neither none nor two of them."""
    with pytest.raises(UsageError, match="one container"):
        cp(source, target)


def test_an_unknown_container_is_told(cp):
    """It is that which is missing, not the path."""
    with pytest.raises(NotFoundError, match="no such container: x"):
        cp("x:/etc", "new")


# -- attributes -----------------------------------------------------------------------------------


@pytest.fixture
def rich(here):
    """A tree with all kinds of files; where it is, and what is in it."""
    top = here / "rich"
    top.mkdir(mode=0o751)
    (top / "file").write_bytes(b"content")
    os.link(top / "file", top / "second")
    (top / "link").symlink_to("/etc/shadow")
    os.mkfifo(top / "pipe")
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (top / "setuid").write_bytes(b"#!")
    (top / "setuid").chmod(0o4755)
    with (top / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    os.setxattr(top / "file", "user.k", b"v")
    for path in (top, *top.iterdir()):
        os.chown(path, 12, 34, follow_symlinks=False)
        if not path.is_symlink() and path.name == "setuid":
            path.chmod(0o4755)
    for path in (*top.iterdir(), top):
        os.utime(path, ns=(TIME, TIME + 5), follow_symlinks=False)
    return top


def test_an_archive_keeps_all(cp, rich, here):
    """With -a a tree that goes in and out again is the same, to the last attribute."""
    before = scan(rich)

    cp("rich", "c:/rich", archive=True)
    cp("c:/rich", "back", archive=True)

    assert differences(before, scan(here / "back")) == []
    assert (here / "back/sparse").stat().st_blocks < 64
    assert cp.told == []


def test_a_container_gets_files_of_its_root(cp, rich, here):
    """Without -a owners are root, xattrs go, and all else is as it was."""
    cp("rich", "c:/rich")
    cp("c:/rich", "back", archive=True)

    back = scan(here / "back")
    assert {(each.uid, each.gid) for each in back.values()} == {(0, 0)}
    assert back[b"setuid"].mode == 0o4755
    assert back[b"file"].xattrs == ()
    assert back[b""].mtime == TIME + 5
    assert len(back[b"file"].links) == 2


def test_this_machine_gets_nothing_that_gives_rights(cp, rich, here):
    """Without -a no device and no setuid bit comes out of a container."""
    cp("rich", "c:/rich", archive=True)
    cp("c:/rich", "back")

    back = scan(here / "back")
    assert {(each.uid, each.gid) for each in back.values()} == {(os.geteuid(), os.getegid())}
    assert back[b"setuid"].mode == 0o755
    assert b"null" not in back
    assert back[b"pipe"].kind == "fifo"
    assert [each.text for each in cp.told] == [
        "left out 'null': a device, which only -a copies to this machine"
    ]


def test_a_socket_is_left_out(cp, here, inside):
    """There is no way to copy one, and a warning says so."""
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(here / "d")
        made.bind("socket")
    os.chdir("/")

    cp("d", "c:/new")

    assert inside("new") == ["one", "sub"]
    assert [each.text for each in cp.told] == ["left out 'socket': a socket"]


def test_the_destination_keeps_its_own_attributes(cp, here):
    """Content put into a directory changes that directory's neither owner nor rights."""
    (here / "d").chmod(0o700)

    cp("c:/dir/.", "d")

    assert stat.S_IMODE((here / "d").stat().st_mode) == 0o700
    cp("c:/dir", "new")
    assert stat.S_IMODE((here / "new").stat().st_mode) == 0o711


def test_many_files(cp, here, inside):
    """A large tree comes whole, and the bytes of its files are counted."""
    for number in range(100):
        (here / f"many/{number}").mkdir(parents=True)
        for each in range(30):
            (here / f"many/{number}/{each}").write_bytes(b"xy")

    assert cp("many", "c:/many") == 6000
    assert cp("c:/many", "back") == 6000
    assert scan(here / "back").keys() == scan(here / "many").keys()


# -- tars -----------------------------------------------------------------------------------------


def tar_of(home, source, **options):
    """The tar of a container's path."""
    return b"".join(copy_tar_out(home, place(source), CopyOptions(**options)))


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("c:/etc/motd", ["motd"]),
        ("c:/dir", ["dir", "dir/a", "dir/link", "dir/sub", "dir/sub/b", "dir/sub/c"]),
        ("c:/dir/.", [".", "a", "link", "sub", "sub/b", "sub/c"]),
        ("c:/to-dir", ["to-dir"]),
        ("c:/to-dir/", ["to-dir", "to-dir/a"]),
    ],
)
def test_a_tar_has_the_names_below_the_source(home, container, source, wanted):
    """Names begin with that of the source, or with nothing for its content."""
    with tarfile.open(fileobj=io.BytesIO(tar_of(home, source))) as tar:
        names = sorted(tar.getnames())
        motd = tar.getmembers()[0]

    assert names[: len(wanted)] == wanted
    if source == "c:/etc/motd":
        assert (motd.uid, motd.gid, motd.mode, motd.mtime) == (5, 6, 0o640, 88)


def put(home, tar, target, **options):
    """Put a tar into a container."""
    reading, writing = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(writing, tar), os.close(writing)))
    thread.start()
    try:
        return copy_tar_in(home, reading, place(target), CopyOptions(**options))
    finally:
        os.close(reading)
        thread.join()


def test_a_tar_is_put_into_a_directory(home, container, inside):
    """Owners and rights are the tar's, missing parents are made, symlinks lead inside the root."""
    tar = tars.archive(
        tars.directory("./", 0o700),
        tars.file("lib/so", b"library", uid=9),
        tars.file("new/deep/f", b"f"),
        tars.hardlink("new/g", "new/deep/f"),
        tars.symlink("etc/motd", "issue"),
        tars.gnu_sparse("sparse", [(0, 512), (4096, 512)], 8192, b"x" * 1024),
    )

    put(home, tar, "c:/")

    assert inside("usr/lib/so") == b"library"
    assert inside("new/g") == inside("new/deep/f") == b"f"
    assert inside("etc/motd") == "issue"
    assert inside("sparse") == b"x" * 512 + bytes(3584) + b"x" * 512 + bytes(3584)
    assert inside("lib") == "usr/lib"


@pytest.mark.parametrize("target", ["c:/etc/motd", "c:/nothing", "c:/etc/motd/x"])
def test_a_tar_wants_a_directory(home, container, target):
    """A file or nothing is no place for a tar."""
    with pytest.raises(LayerkitError, match="must be a directory"):
        put(home, tars.archive(tars.file("f")), target)


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ([tars.file("../f", "x")], "unsafe name"),
        ([tars.file("a/../../f", "x")], "unsafe name"),
        ([tars.hardlink("f", "../../etc/motd")], "unsafe name"),
        ([tars.hardlink("f", "nothing")], "no such file"),
        ([tars.file("f", "x", size=99999)], "cut off"),
    ],
    ids=["SE-56-up", "SE-56-up-inside", "SE-56-link-up", "link-to-nothing", "cut"],
)
def test_a_hostile_tar_is_refused(home, container, entries, wanted):
    """What leads elsewhere, or is not whole, is an error."""
    with pytest.raises(LayerkitError, match=wanted):
        put(home, b"".join(entries), "c:/dir")


def test_a_tar_with_symlinks_stays_in_the_root(home, container, here, inside):
    """SE-56: a symlink of the tar that leads out of the root leads nowhere else than inside."""
    tar = tars.archive(
        tars.symlink("out", str(here)),
        tars.symlink("up", "../../../../.."),
        tars.file("up/f", b"x"),
    )

    put(home, tar, "c:/dir")

    assert inside("f") == b"x"
    with pytest.raises(LayerkitError, match=NO_DIRECTORY):
        put(home, tars.archive(tars.file("to-file/f", b"x")), "c:/")
    assert sorted(os.listdir(here)) == ["d", "dangling", "f", "to-d", "to-f"]


# -- containers -----------------------------------------------------------------------------------


def test_nothing_is_mounted_for_others_to_see(home, container):
    """What is mounted for a copy shows nowhere on this machine, not even meanwhile."""
    with container_root(home, container, "copy") as root:
        assert os.listdir(f"/proc/self/fd/{root.descriptor}")
        assert leaks.mounts(home.store.root) == []


def test_a_stopped_container_is_not_started_meanwhile(home, container):
    """Whoever works in its root holds the container's lock."""
    with container_root(home, container, "copy"):
        lock = Lock(containers.folder_of(home, container) / "lock")
        assert not lock.try_acquire()


def test_a_mounted_container_is_used_where_it_is(home, container, cp):
    """What a copy writes shows at once where the user has mounted the container."""
    path = mounts.mount(home, "c")
    try:
        cp("f", "c:/new")
        assert (path / "new").read_bytes() == b"file"
    finally:
        mounts.unmount(home, "c")
