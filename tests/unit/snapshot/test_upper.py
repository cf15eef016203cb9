"""What a container does to its root is read back from the upper directory, entry by entry."""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import contextmanager

import pytest
from support.overlays import mounted
from support.processes import child

from layerkit.errors import StoreError
from layerkit.layer import merge
from layerkit.snapshot import upper
from layerkit.store.files import remove_tree
from layerkit.tree import Kind, empty, find, walk

pytestmark = pytest.mark.root

TIME = 1_000_000_000


@pytest.fixture
def box(tmp_path):
    """Base tree B3 and an empty upper: `box()` mounts them, `box.entries()` reads the upper."""
    return Box(tmp_path)


class Box:
    """A lower directory with B3, and a container's upper and work beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.lower, self.upper = folder / "lower", folder / "upper"
        for path in (self.lower, self.upper, folder / "work"):
            path.mkdir()
        (self.lower / "d/e").mkdir(parents=True)
        for name, text in [("d/a", "A"), ("d/b", "B"), ("d/e/f", ""), ("top", "T")]:
            (self.lower / name).write_text(text)
        (self.lower / "sl").symlink_to("top")
        for path in sorted(self.lower.rglob("*"), reverse=True):
            os.utime(path, (TIME, TIME), follow_symlinks=False)

    @contextmanager
    def __call__(self):
        """The mounted root."""
        with mounted([self.lower], self.folder / "mounted", self.folder) as place:
            yield place

    def entries(self):
        """Kind and path of what is in the upper, in the order read."""
        _, *found = upper.read(self.upper)
        return [(entry.kind.name, entry.path.decode()) for entry in found]

    def entry(self, path):
        """The one entry of a path that is no whiteout."""
        (found,) = [
            entry
            for entry in upper.read(self.upper)
            if entry.path == path.encode() and entry.kind is not Kind.WHITEOUT
        ]
        return found


def replace_folder(root):
    """Remove a folder and make it again with something else in it."""
    shutil.rmtree(root / "d")
    (root / "d").mkdir()
    (root / "d/n").touch()


def folder_for_symlink(root):
    """Put a folder where a symlink was."""
    (root / "sl").unlink()
    (root / "sl").mkdir()


def link(root):
    """Give a file of the image a second name."""
    os.link(root / "d/a", root / "h")


def append_by_one_name(root):
    """Change a new file that has three names."""
    (root / "n").touch()
    os.link(root / "n", root / "d/n")
    os.link(root / "n", root / "o")
    (root / "o").write_text("x")


ROWS = {
    "nothing": (lambda root: None, []),
    "reading": (lambda root: (root / "d/a").read_text(), []),
    "create": (lambda root: (root / "n").touch(), [("FILE", "n")]),
    "create-deep": (
        lambda root: (root / "d/e/n").touch(),
        [("DIRECTORY", "d"), ("DIRECTORY", "d/e"), ("FILE", "d/e/n")],
    ),
    "folders": (
        lambda root: (root / "x/y").mkdir(parents=True),
        [("DIRECTORY", "x"), ("DIRECTORY", "x/y")],
    ),
    "OV-01-delete": (
        lambda root: (root / "d/a").unlink(),
        [("DIRECTORY", "d"), ("WHITEOUT", "d/a")],
    ),
    "OV-01-delete-new": (lambda root: ((root / "n").touch(), (root / "n").unlink()), []),
    "delete-folder": (lambda root: shutil.rmtree(root / "d"), [("WHITEOUT", "d")]),
    "OV-02-replace-folder": (
        replace_folder,
        [("WHITEOUT", "d"), ("DIRECTORY", "d"), ("FILE", "d/n")],
    ),
    "OV-03-file-to-folder": (
        lambda root: ((root / "top").unlink(), (root / "top").mkdir()),
        [("WHITEOUT", "top"), ("DIRECTORY", "top")],
    ),
    "OV-03-symlink-to-folder": (folder_for_symlink, [("WHITEOUT", "sl"), ("DIRECTORY", "sl")]),
    "OV-03-folder-to-file": (
        lambda root: (shutil.rmtree(root / "d"), (root / "d").touch()),
        [("FILE", "d")],
    ),
    "folder-to-symlink": (
        lambda root: (shutil.rmtree(root / "d"), (root / "d").symlink_to("top")),
        [("SYMLINK", "d")],
    ),
    "OV-04-chmod": (
        lambda root: (root / "d/a").chmod(0o600),
        [("DIRECTORY", "d"), ("FILE", "d/a")],
    ),
    "chmod-folder": (lambda root: (root / "d").chmod(0o700), [("DIRECTORY", "d")]),
    "OV-14-rename-file": (
        lambda root: (root / "d/a").rename(root / "z"),
        [("DIRECTORY", "d"), ("FILE", "z"), ("WHITEOUT", "d/a")],
    ),
    "link-to-a-lower-file": (
        link,
        [("DIRECTORY", "d"), ("FILE", "h"), ("HARDLINK", "d/a")],
    ),
    "OV-34-link-group": (
        append_by_one_name,
        [("DIRECTORY", "d"), ("FILE", "n"), ("HARDLINK", "o"), ("HARDLINK", "d/n")],
    ),
    "OV-35-mkdir-rmdir": (lambda root: ((root / "x").mkdir(), (root / "x").rmdir()), []),
    "OV-35-create-delete-below": (
        lambda root: ((root / "d/n").touch(), (root / "d/n").unlink()),
        [("DIRECTORY", "d")],
    ),
    "fifo": (lambda root: os.mkfifo(root / "p"), [("FIFO", "p")]),
    "device": (
        lambda root: os.mknod(root / "c", 0o20666, os.makedev(1, 3)),
        [("CHARACTER", "c")],
    ),
}


@pytest.mark.parametrize(("act", "entries"), ROWS.values(), ids=ROWS)
def test_what_was_done_is_what_is_read(box, act, entries):
    """Entries are those of the changes, parents first, with a whiteout for what is hidden."""
    with box() as root:
        act(root)

    assert box.entries() == entries


def test_an_entry_has_all_attributes(box):
    """Mode, owner, time, size and xattrs are the file's; what overlayfs notes is left out."""
    with box() as root:
        (root / "d/a").write_text("longer")
        os.chown(root / "d/a", 7, 8)
        (root / "d/a").chmod(0o4751)
        os.setxattr(root / "d/a", "user.k", b"v")
        os.utime(root / "d/a", ns=(0, 5_000_000_007))
    raw = {name for name in os.listxattr(box.upper / "d/a") if name.startswith("trusted.")}
    assert raw, "overlayfs notes something"

    entry = box.entry("d/a")

    assert (entry.mode, entry.uid, entry.gid, entry.size) == (0o4751, 7, 8, 6)
    assert (entry.seconds, entry.nanos) == (5, 7)
    assert entry.xattrs == {"user.k": b"v"}
    assert box.entry("d").xattrs == {}


def test_a_time_before_1970_is_kept(box):
    """Seconds and nanoseconds are split as the kernel has them."""
    with box() as root:
        os.utime(root / "top", ns=(0, -1))

    assert (box.entry("top").seconds, box.entry("top").nanos) == (-1, 999_999_999)


def test_links_and_devices_are_what_they_were(box):
    """A symlink has its target, a device its number, a socket is one."""
    with box() as root:
        (root / "s").symlink_to(b"/t\xff".decode("utf-8", "surrogateescape"))
        os.mknod(root / "b", 0o60600, os.makedev(300, 70_000))
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(root / "socket"))

    assert box.entry("s").link == b"/t\xff"
    assert (box.entry("b").kind, box.entry("b").device) == (Kind.BLOCK, (300, 70_000))
    assert box.entry("socket").kind is Kind.SOCKET


def test_names_of_any_bytes(box):
    """Names that are no UTF-8, and long ones, come as they are."""
    with box() as root:
        for name in (b"\xff\xfe", b"\n", b"n" * 255):
            os.mkdir(os.path.join(os.fsencode(root), name))

    found = {entry.path for entry in upper.read(box.upper)}
    assert found == {b"", b"\xff\xfe", b"\n", b"n" * 255}


def test_applied_to_the_lower_tree_it_is_the_mount(box):
    """The entries are a layer: merged onto the image's tree they show what the container saw."""
    with box() as root:
        append_by_one_name(root)
        (root / "d/e/f").unlink()
        folder_for_symlink(root)
        shutil.rmtree(root / "d/e")
        (root / "d/e").mkdir()
        (root / "d/e/new").touch()
        (root / "top").chmod(0o600)
        shown = {path.relative_to(root).as_posix().encode() for path in root.rglob("*")}
    base = merge.apply(empty(), upper.read(box.lower), 0)

    tree = merge.apply(base, upper.read(box.upper), 1)

    assert {path for path, _ in walk(tree)} == shown
    assert find(tree, b"o") is find(tree, b"n") is find(tree, b"d/n")
    assert find(tree, b"top").entry.mode == 0o600
    assert find(tree, b"sl").children == {}


def deep(folder, name, levels):
    """Make one directory in the other, a path at a time."""
    below = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=below)
        above, below = below, os.open(name, os.O_RDONLY, dir_fd=below)
        os.close(above)
    os.close(below)


@pytest.mark.parametrize(
    ("name", "levels"), [("n", 1500), ("n" * 200, 30)], ids=["1,500-levels", "6,000-bytes"]
)
def test_a_deep_upper_is_read(box, name, levels):
    """A container can nest deeper than Python recurses, and than a path can say."""
    deep(box.upper, name, levels)

    assert len(box.entries()) == levels
    remove_tree(box.upper, box.folder)


def test_an_upper_that_is_no_directory_is_an_error(tmp_path):
    """A missing one, a file and a symlink are told, with the path."""
    (tmp_path / "file").touch()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    for name in ("nothing", "file", "link"):
        with pytest.raises(StoreError, match=f"cannot read {tmp_path / name}"):
            list(upper.read(tmp_path / name))


def test_an_error_while_reading_is_a_store_error(box, monkeypatch):
    """What the disk says is told, not thrown."""
    (box.upper / "f").touch()

    def fail(*_, **__):
        raise OSError(5, "text")

    monkeypatch.setattr(os, "stat", fail)

    with pytest.raises(StoreError, match="input/output error"):
        list(upper.read(box.upper))


@pytest.mark.parametrize("other", ["nothing", "file", "symlink", "folder"])
@pytest.mark.parametrize("name", ["d", "f", "s"])
def test_what_changes_while_it_is_read_is_left_out_or_taken(box, name, other):
    """DF-42: a name that vanishes or becomes something else is no error."""
    (box.upper / "d/x").mkdir(parents=True)
    (box.upper / "f").touch()
    (box.upper / "s").symlink_to("f")
    (box.upper / "z").touch()
    reading = upper.read(box.upper)
    next(reading)  # the root itself
    seen = [next(reading).path]  # the folder is listed now
    target = box.upper / name
    shutil.rmtree(target) if name == "d" else target.unlink()
    match other:
        case "file":
            target.touch()
        case "symlink":
            target.symlink_to("/etc")
        case "folder":
            target.mkdir()

    seen += [entry.path for entry in reading]

    assert seen[0] == b"d"
    assert seen[-1] in {b"z", b"d/x"}
    assert not any(path.startswith((b"s/", b"f/", b"d/ssl")) for path in seen)


def test_a_symlink_that_becomes_something_else_is_left_out(box, monkeypatch):
    """DF-42: between the look at its type and the look at its target it may be replaced."""
    (box.upper / "s").symlink_to("f")
    (box.upper / "z").touch()
    real = os.readlink

    def readlink(name, *, dir_fd):
        (box.upper / "s").unlink()
        (box.upper / "s").touch()
        return real(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "readlink", readlink)

    assert box.entries() == [("FILE", "z")]


def test_a_busy_container_is_read(box):
    """DF-42: whatever happens meanwhile, reading ends without an error."""

    def work():
        while True:
            for number in range(20):
                folder = box.upper / f"{number}"
                folder.mkdir()
                (folder / "f").touch()
                (folder / "s").symlink_to("f")
            for number in range(20):
                folder = box.upper / f"{number}"
                shutil.rmtree(folder)
                folder.symlink_to("/etc")
            for number in range(20):
                (box.upper / f"{number}").unlink()

    with child(work):
        for _ in range(300):
            found = [entry.path for entry in upper.read(box.upper)]
            assert not any(path.endswith(b"passwd") for path in found)


def test_a_reader_that_stops_leaves_no_open_file(box):
    """Whether all is read or not, every descriptor is closed."""
    (box.upper / "d/e").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    list(upper.read(box.upper))
    reading = upper.read(box.upper)
    next(reading)  # the root itself
    next(reading)
    reading.close()

    assert len(os.listdir("/proc/self/fd")) == before
