"""What is done in a container's root is what `diff` tells, through a real overlay mount."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess

import pytest
from support import homes, tars
from support.processes import child
from support.tars import archive, file, gnu_sparse, opaque, whiteout

from layerkit.errors import NotFoundError
from layerkit.ops import containers
from layerkit.ops.diff import diff_container
from layerkit.ops.home import Home
from layerkit.snapshot import upper
from layerkit.snapshot.erofs import reader

pytestmark = pytest.mark.root

TIME = tars.MTIME
NANOS = {"mtime": f"{TIME}.000000005"}
LAYERS = (
    archive(
        *homes.BOTTOM,
        file("nanos", "N", pax=NANOS),
        gnu_sparse("holes", [(1 << 20, 3)], 2 << 20, b"end"),
        gnu_sparse("hole", [(2 << 20, 0)], 2 << 20, b""),
        file("data", bytes(range(256)) * 8192),
    ),
    archive(
        whiteout("d/gone"),
        *homes.TOP,
        opaque("d/e"),
    ),
)


@pytest.fixture
def home(tmp_path):
    """A new state directory."""
    with Home(tmp_path / "state") as home:
        yield home


@pytest.fixture
def image(home, tmp_path):
    """B3 and more, in two layers with whiteouts between them."""
    return homes.load_layers(home, tmp_path / "layout", LAYERS)


@pytest.fixture
def container(home, image):
    """A new container of the image."""
    return homes.create(home, image, name="box")


@pytest.fixture
def change(home, image, container, tmp_path):
    """Do something in the container's root, and give the lines of `diff`."""

    def change(act):
        with homes.root_of(home, image, container, tmp_path / "root") as root:
            act(root)
        return lines(home)

    return change


def lines(home):
    """As docker prints them."""
    return [f"{each.letter} /{each.path.decode()}" for each in diff_container(home, "box")]


def replace_folder(root):
    """Remove a folder and make it again with something else in it."""
    shutil.rmtree(root / "d")
    (root / "d").mkdir()
    (root / "d/n").touch()


def away_and_back(root):
    """Rename a file twice."""
    (root / "d/a").rename(root / "d/z")
    (root / "d/z").rename(root / "d/a")


def rewrite(name, data, *, seconds=TIME):
    """Write a file's content, and set its time."""

    def act(root):
        (root / name).write_bytes(data)
        os.utime(root / name, (seconds, seconds))

    return act


def open_for_writing(root):
    """Open without writing."""
    os.close(os.open(root / "d/a", os.O_RDWR))


def read_everything(root):
    """Read each file and folder."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            path.read_bytes()
        else:
            os.lstat(path)


def make_link(root, target):
    """Give a symlink another target, and the time it had."""
    (root / "sl").unlink()
    (root / "sl").symlink_to(target)
    os.utime(root / "sl", (TIME, TIME), follow_symlinks=False)


def bind_socket(root):
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))


def do(*steps):
    """Several steps after each other."""

    def act(root):
        for step in steps:
            step(root)

    return act


def write_to(name, text):
    """Write a file."""
    return lambda root: (root / name).write_text(text)


def remove(name):
    """Remove a file or a folder with all in it."""
    return lambda root: (
        (root / name).unlink() if not (root / name).is_dir() else shutil.rmtree(root / name)
    )


def make(name):
    """Make a folder."""
    return lambda root: (root / name).mkdir(parents=True)


ROWS = {
    "DF-24-nothing": (lambda root: None, []),
    "DF-24-reading": (read_everything, []),
    "DF-01-chmod": (lambda root: (root / "d/a").chmod(0o600), ["C /d", "C /d/a"]),
    "DF-03-new-folder": (do(make("n"), write_to("n/x", "")), ["A /n", "A /n/x"]),
    "DF-05-remove": (remove("d/a"), ["C /d", "D /d/a"]),
    "remove-folder": (remove("d"), ["D /d"]),
    "DF-06-replace-folder": (
        replace_folder,
        ["C /d", "D /d/a", "D /d/b", "D /d/e", "A /d/n"],
    ),
    "a-folder-that-the-image-deleted-comes-back": (
        do(make("d/gone"), write_to("d/gone/g", "")),
        ["C /d", "A /d/gone", "A /d/gone/g"],
    ),
    "file-to-folder": (
        do(remove("top"), make("top"), write_to("top/x", "")),
        ["C /top", "A /top/x"],
    ),
    "folder-to-file": (do(remove("d"), write_to("d", "x")), ["C /d"]),
    "symlink-to-folder": (do(remove("sl"), make("sl/n")), ["C /sl", "A /sl/n"]),
    "folder-to-symlink": (do(remove("d"), lambda root: (root / "d").symlink_to("top")), ["C /d"]),
    "DF-10-symlink": (lambda root: make_link(root, "other"), ["C /sl"]),
    "DF-10-symlink-same-length": (lambda root: make_link(root, "pot"), ["C /sl"]),
    "symlink-made-again": (lambda root: make_link(root, "top"), []),
    "DF-12-rename-file": (
        lambda root: (root / "d/a").rename(root / "z"),
        ["C /d", "D /d/a", "A /z"],
    ),
    "DF-12-rename-new-folder": (
        do(make("x/y"), lambda root: (root / "x").rename(root / "z")),
        ["A /z", "A /z/y"],
    ),
    "DF-13-renamed-and-back": (away_and_back, []),
    "DF-14-same-bytes-and-time": (rewrite("d/a", b"A"), []),
    "same-bytes-other-time": (rewrite("d/a", b"A", seconds=7), ["C /d", "C /d/a"]),
    "DF-16-other-bytes-same-size-and-time": (rewrite("d/a", b"X"), ["C /d", "C /d/a"]),
    "DF-16-other-bytes-in-a-large-file": (
        rewrite("data", bytes(range(256)) * 8191 + bytes(256)),
        ["C /data"],
    ),
    "same-bytes-in-a-large-file": (rewrite("data", bytes(range(256)) * 8192), []),
    "DF-17-other-size-same-time": (rewrite("d/a", b"AA"), ["C /d", "C /d/a"]),
    "emptied": (rewrite("top", b""), ["C /top"]),
    "filled": (rewrite("d/e/f", b"now something"), ["C /d", "C /d/e", "C /d/e/f"]),
    "DF-18-nanoseconds-cut-off": (rewrite("nanos", b"N"), []),
    "DF-19-chown": (lambda root: os.chown(root / "d/a", 5, 5), ["C /d", "C /d/a"]),
    "DF-19-chown-folder": (lambda root: os.chown(root / "d", 5, 5), ["C /d"]),
    "DF-20-xattr": (
        lambda root: os.setxattr(root / "d/a", "user.x", b"v"),
        ["C /d", "C /d/a"],
    ),
    "DF-22-time-of-a-folder": (lambda root: os.utime(root / "d", (5, 5)), []),
    "DF-23-mode-of-a-folder": (lambda root: (root / "d").chmod(0o700), ["C /d"]),
    "DF-25-same-mode": (lambda root: (root / "d/a").chmod(0o644), []),
    "DF-25-same-owner": (lambda root: os.chown(root / "d/a", 0, 0), []),
    "DF-25-opened-for-writing": (open_for_writing, []),
    "DF-26-created-and-deleted": (do(write_to("d/n", ""), remove("d/n")), []),
    "OV-35-made-and-removed": (do(make("d/n"), remove("d/n")), []),
    "DF-35-deep": (
        do(make("d/e/dir2/dir3"), write_to("d/e/dir2/dir3/file1", "")),
        ["C /d", "C /d/e", "A /d/e/dir2", "A /d/e/dir2/dir3", "A /d/e/dir2/dir3/file1"],
    ),
    "DF-36-fifo": (lambda root: os.mkfifo(root / "p"), ["A /p"]),
    "DF-36-device": (
        lambda root: os.mknod(root / "c", 0o600 | stat.S_IFCHR, os.makedev(1, 3)),
        ["A /c"],
    ),
    "DF-37-socket": (bind_socket, ["A /socket"]),
    "one-of-two-names-is-copied-up": (lambda root: (root / "top").chmod(0o644), []),
    "OV-18-one-of-two-names-changes": (write_to("top", "x"), ["C /top"]),
    "a-second-name": (lambda root: os.link(root / "d/a", root / "h"), ["A /h"]),
    "a-name-goes": (remove("twin"), ["D /twin"]),
    "OV-37-holes-copied-up": (lambda root: (root / "holes").chmod(0o644), []),
    "only-a-hole-copied-up": (lambda root: (root / "hole").chmod(0o644), []),
    "a-hole-is-written-to": (
        rewrite("hole", bytes(1 << 20) + b"x" + bytes((1 << 20) - 1)),
        ["C /hole"],
    ),
    "the-root-itself": (lambda root: root.chmod(0o700), []),
    "order": (
        do(*(write_to(name, "") for name in ("d/n", "d-x", "d.x", "d0"))),
        ["A /d-x", "A /d.x", "A /d/n", "A /d0"],
    ),
    "DF-30-a-file-of-the-user-in-etc": (write_to("etc/foo", "x"), ["C /etc", "A /etc/foo"]),
    "DF-30-below-a-mount-point": (
        write_to("dev/x", ""),
        ["C /dev", "A /dev/x"],
    ),
}
ROWS["order"] = (ROWS["order"][0], ["C /d", *ROWS["order"][1]])


@pytest.mark.parametrize(("act", "wanted"), ROWS.values(), ids=ROWS)
def test_what_was_done_is_what_is_told(change, act, wanted):
    """The lines are docker's for the same steps."""
    assert change(act) == wanted


def test_a_container_that_never_ran_has_no_changes(home, container):
    """DF-24: nothing was done, nothing is told."""
    assert lines(home) == []


def test_the_mount_points_of_every_container_do_not_show(home, image, container, change):
    """DF-30, DF-31: folders and files that are mounted over are in no image and in no diff."""
    found = []

    def look(root):
        found.extend(path.name for path in (root / "etc").iterdir())
        found.extend(path.name for path in root.iterdir())

    assert change(look) == []
    assert {"hosts", "hostname", "resolv.conf", "dev", "proc", "sys"} <= set(found)


def test_a_container_shows_the_root_of_its_image(home, image, container, tmp_path):
    """SN-14: mode, owner and time of the root are the image's."""
    with homes.root_of(home, image, container, tmp_path / "root") as root:
        status = root.stat()

    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime) == (0o711, 7, TIME)


def test_two_containers_do_not_see_each_other(home, image, tmp_path):
    """SN-01: what one changes is told of that one alone."""
    boxes = [homes.create(home, image, name=name) for name in ("one", "two")]
    for box, name in zip(boxes, ("1", "2"), strict=True):
        with homes.root_of(home, image, box, tmp_path / f"root{name}") as root:
            (root / name).touch()

    for box, name in zip(("one", "two"), ("1", "2"), strict=True):
        assert [change.path.decode() for change in diff_container(home, box)] == [name]


def test_a_container_that_is_not_there(home):
    """An unknown name is not found."""
    with pytest.raises(NotFoundError, match="no such container: nobody"):
        diff_container(home, "nobody")


def test_a_mounted_container_is_compared(home, image, container, tmp_path):
    """While a container runs, diff reads its upper, and leaves it alone."""
    with homes.root_of(home, image, container, tmp_path / "root") as root:
        (root / "n").touch()
        assert lines(home) == ["A /n"]
        remove("n")(root)
        assert lines(home) == []


@pytest.mark.parametrize("other", ["nothing", "folder", "symlink", "fifo"])
def test_a_file_that_becomes_something_else_meanwhile(
    home, image, container, tmp_path, monkeypatch, other
):
    """DF-42: between the look at the names and the look at the content it is changed, no error."""
    upper_file = containers.upper_of(home, container) / "d/a"
    with homes.root_of(home, image, container, tmp_path / "root") as root:
        rewrite("d/a", b"X")(root)
    read = upper.read

    def read_and_change(path, **options):
        entries = list(read(path, **options))
        upper_file.unlink()
        match other:
            case "folder":
                upper_file.mkdir()
            case "symlink":
                upper_file.symlink_to(upper_file.with_name("a2"))
                upper_file.with_name("a2").write_text("A")
            case "fifo":
                os.mkfifo(upper_file)
        return entries

    monkeypatch.setattr(upper, "read", read_and_change)

    assert lines(home) == ["C /d", "C /d/a"]


def test_a_busy_container_is_compared(home, image, container, tmp_path):
    """DF-42: files that come, go and become something else meanwhile are no error."""
    upper = containers.upper_of(home, container)

    def work():
        while True:
            shutil.copytree(LAYOUT, upper / "d", dirs_exist_ok=True)
            (upper / "top").write_text("t")
            os.utime(upper / "top", (TIME, TIME))
            shutil.rmtree(upper / "d")
            (upper / "d").symlink_to("/etc")
            (upper / "top").unlink()
            (upper / "top").mkdir()
            (upper / "top").rmdir()
            (upper / "d").unlink()

    LAYOUT = tmp_path / "copied"  # noqa: N806
    (LAYOUT / "e").mkdir(parents=True)
    for name in ("a", "b", "e/f"):
        (LAYOUT / name).write_text("A")
    with child(work):
        for _ in range(100):
            told = diff_container(home, "box")
            assert not [change for change in told if b"passwd" in change.path]


def test_a_diff_looks_only_where_something_changed(home, tmp_path, monkeypatch):
    """DF-41: what it reads of the image is what lies on the way to changes, however much there is."""
    names = [f"{number}/{each}" for number in range(50) for each in range(20)]
    layer = archive(*(file(f"all/{name}", name) for name in names))
    image = homes.load_layers(home, tmp_path / "layout", [layer])
    container = homes.create(home, image, name="box")
    with homes.root_of(home, image, container, tmp_path / "root") as root:
        (root / "all/7/7").write_text("new")
    assert lines(home) == ["C /all", "C /all/7", "C /all/7/7"]  # which makes the view
    read = []
    parse = reader._Image.read

    def counted(image, number, path):
        read.append(path)
        return parse(image, number, path)

    monkeypatch.setattr(reader._Image, "read", counted)

    assert lines(home) == ["C /all", "C /all/7", "C /all/7/7"]
    assert {path for path in read if path.startswith(b"all")} == {b"all", b"all/7", b"all/7/7"}


def test_a_thousand_changes_in_a_deep_tree(change):
    """Depth and number of changes are no limits."""

    def act(root):
        subprocess.run(
            ["sh", "-c", "for i in $(seq 1000); do mkdir n && cd n || exit 1; done; touch f"],
            cwd=root,
            check=True,
        )

    assert len(change(act)) == 1001
