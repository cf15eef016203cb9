"""An export is exactly what the container shows, as a well-formed tar, whatever happens meanwhile."""

import os
import random
import shutil
import socket
import subprocess
from dataclasses import replace

import pytest
from support import homes, tars
from support.listing import content, entries_of
from support.trees import differences, scan

from layerkit.errors import IntegrityError, NotFoundError
from layerkit.events import Notice
from layerkit.ops.containers import upper_of
from layerkit.ops.export import export
from layerkit.ops.inside import LocalContainer
from layerkit.tree import Kind

NOISE = random.Random(1).randbytes(3 << 20)
BASE = tars.archive(
    tars.directory("./", 0o711, uid=5, mtime=77),
    tars.directory("etc"),
    tars.file("etc/motd", b"hello\n", mode=0o640, uid=1, gid=2),
    tars.file(
        "z",
        b"many names",
        pax={"mtime": "5.25", "SCHILY.xattr.user.k": "v", "SCHILY.xattr.user.no": ""},
    ),
    tars.hardlink("a", "z", pax={"mtime": "5.25"}),
    tars.hardlink("etc/b", "z", pax={"mtime": "5.25"}),
    tars.symlink("link", "etc/motd"),
    tars.fifo("pipe"),
    tars.character("null", 1, 3, mode=0o666),
    tars.gnu_sparse("sparse", [(0, 512), (4096, 512)], 8192, b"x" * 1024),
)
TOP = tars.archive(
    tars.whiteout("etc/motd"), tars.file("etc/issue", b"new"), tars.file("caf\udce9")
)
INIT = {"dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf"}


@pytest.fixture
def container(home, tmp_path):
    """A container that has changed nothing, called c."""
    image = homes.load_layers(home, tmp_path / "layout", [BASE, TOP])
    return homes.create(home, image, name="c")


@pytest.fixture
def upper(home, container):
    """Where the container keeps its changes."""
    return upper_of(home, container)


def exported(home, observe=lambda _: None):
    """The archive as bytes."""
    return b"".join(export(home, "c", observe))


def listed(tar):
    """Path, kind and link target of each entry."""
    return [
        (os.fsdecode(each.path), each.kind.name, os.fsdecode(each.link)) for each in entries_of(tar)
    ]


def files(tar):
    """The content of every regular file."""
    return {
        os.fsdecode(each.path): content(tar, each)
        for each in entries_of(tar)
        if each.kind is Kind.FILE
    }


def test_an_unchanged_container_is_its_image_and_the_empty_files(home, container):
    """Parents come first, the first name of a file has its content, whiteouts are applied."""
    tar = exported(home)

    assert listed(tar) == [
        ("", "DIRECTORY", ""),
        ("a", "FILE", ""),
        ("caf\udce9", "FILE", ""),
        ("dev", "DIRECTORY", ""),
        ("etc", "DIRECTORY", ""),
        ("etc/b", "HARDLINK", "a"),
        ("etc/hostname", "FILE", ""),
        ("etc/hosts", "FILE", ""),
        ("etc/issue", "FILE", ""),
        ("etc/resolv.conf", "FILE", ""),
        ("link", "SYMLINK", "etc/motd"),
        ("null", "CHARACTER", ""),
        ("pipe", "FIFO", ""),
        ("proc", "DIRECTORY", ""),
        ("sparse", "FILE", ""),
        ("sys", "DIRECTORY", ""),
        ("z", "HARDLINK", "a"),
    ]
    assert files(tar) == {
        "a": b"many names",
        "caf\udce9": b"x",
        "etc/hostname": b"",
        "etc/hosts": b"",
        "etc/issue": b"new",
        "etc/resolv.conf": b"",
        "sparse": b"x" * 512 + bytes(3584) + b"x" * 512 + bytes(3584),
    }


def test_metadata_is_that_of_the_tree(home, container):
    """Owner, mode, time with its fraction and xattrs are in the tar, the root's, too."""
    found = {each.path: each for each in entries_of(exported(home))}

    root = found[b""]
    assert (root.mode, root.uid, root.seconds) == (0o711, 5, 77)
    assert (found[b"a"].seconds, found[b"a"].nanos) == (5, 250_000_000)
    assert found[b"a"].xattrs == {"user.k": b"v", "user.no": b""}
    assert found[b"null"].device == (1, 3)


def test_a_plain_root_is_not_in_it(home, tmp_path):
    """A root as every tree has it says nothing, as with docker."""
    homes.create(home, homes.load_layers(home, tmp_path / "layout", [TOP]), name="c")

    assert b"" not in {each.path for each in entries_of(exported(home))}


def test_the_same_tree_gives_the_same_bytes(home, container):
    """CZ-22: two exports are equal."""
    assert exported(home) == exported(home)


def test_changes_of_the_container_are_in_it(home, container, upper):
    """What was written in the container shows, with its links and its folders."""
    (upper / "new").mkdir(mode=0o750)
    (upper / "new/big").write_bytes(NOISE)
    os.link(upper / "new/big", upper / "0")
    (upper / "new/.wh.odd").write_text("no whiteout, just called so")
    (upper / "etc").mkdir()
    (upper / "etc/issue").write_text("changed")

    tar = exported(home)

    assert files(tar)["etc/issue"] == b"changed"
    assert files(tar)["0"] == NOISE
    assert ("new/big", "HARDLINK", "0") in listed(tar)
    assert tar.endswith(bytes(1024))
    assert b"no whiteout" in tar


@pytest.mark.root
@pytest.mark.debian("tar")
def test_extracted_it_is_the_containers_root(home, container, upper, tmp_path):
    """GNU tar makes of it what is mounted in the container."""
    shutil.copy("/bin/true", upper / "program")
    os.chmod(upper / "program", 0o4755)
    os.chown(upper / "program", 3_000_000, 7)
    (upper / "sparse").write_bytes(b"short")
    os.mknod(upper / "a", 0o600 | 0o020000, 0)  # a whiteout
    (tmp_path / "out").mkdir()
    os.chown(tmp_path / "out", 5, 0)
    path = tmp_path / "c.tar"
    path.write_bytes(exported(home))

    options = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", tmp_path / "out"]
    subprocess.run(["tar", "-x", "-f", path, *options], check=True)

    image = home.store.database.images()[0]
    with homes.root_of(home, image, container, tmp_path / "root") as root:
        wanted = scan(root)
    got = scan(tmp_path / "out")
    got[b""] = replace(got[b""], mtime=wanted[b""].mtime)  # of the upper itself, not in a tree
    assert differences(wanted, got) == []


class Meanwhile:
    """Does something as soon as a piece with some bytes was written."""

    def __init__(self, home, marker, act):
        self._pieces = export(home, "c", self._observe)
        self._marker = marker
        self._act = act
        self.warnings = []

    def _observe(self, event):
        assert isinstance(event, Notice)
        self.warnings.append(event.text)

    def tar(self):
        """The whole archive."""
        data = b""
        for piece in self._pieces:
            data += piece
            if self._act is not None and len(piece) < 4096 and self._marker in piece:
                self._act()
                self._act = None
        assert self._act is None
        return data


def test_a_file_that_shrinks_is_filled(home, container, upper):
    """The header's size holds: zeros stand for what went away, and this is told."""
    (upper / "log").write_bytes(NOISE)
    running = Meanwhile(home, b"log\0", lambda: os.truncate(upper / "log", (2 << 20) + 100))

    tar = running.tar()

    kept = (2 << 20) + 100
    assert files(tar)["log"] == NOISE[:kept] + bytes(len(NOISE) - kept)
    assert running.warnings == [f"filled 'log' with {len(NOISE) - kept} zeros: it shrank meanwhile"]
    assert listed(tar)[-1] == ("z", "HARDLINK", "a")


def test_a_file_that_grows_is_cut(home, container, upper):
    """What came later is left out, and this is told."""
    (upper / "log").write_bytes(NOISE)

    def grow():
        with (upper / "log").open("ab") as file:
            file.write(b"more")

    running = Meanwhile(home, b"log\0", grow)

    assert files(running.tar())["log"] == NOISE
    assert running.warnings == [f"cut 'log' after {len(NOISE)} bytes: it grew meanwhile"]


@pytest.mark.parametrize("becomes", ["nothing", "fifo", "directory", "symlink"])
def test_a_file_that_goes_is_left_out(home, container, upper, becomes):
    """It has no header; of its other names the next one gets the content."""
    (upper / "b1").write_bytes(b"twice")
    os.link(upper / "b1", upper / "b2")

    def change():
        (upper / "b1").unlink()
        if becomes == "fifo":
            os.mkfifo(upper / "b1")
        elif becomes == "directory":
            (upper / "b1").mkdir()
        elif becomes == "symlink":
            (upper / "b1").symlink_to("/etc/passwd")

    running = Meanwhile(home, b"a\0", change)

    found = files(running.tar())
    assert "b1" not in found
    assert found["b2"] == b"twice"
    assert running.warnings == ["left out 'b1': it was removed meanwhile"]


def test_sockets_are_left_out(home, container, upper, monkeypatch):
    """No tar holds one; its neighbours stay, and this is told."""
    monkeypatch.chdir(upper)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.sock")
    (upper / "t").touch()
    told = []

    tar = exported(home, told.append)

    assert told == [Notice("warning", "left out socket 's.sock': a tar holds none")]
    names = [name for name, _, _ in listed(tar)]
    assert "t" in names
    assert "s.sock" not in names


def test_nothing_stays_open(home, container, upper):
    """Also an export that is given up in the middle closes what it read."""
    (upper / "log").write_bytes(NOISE)
    before = os.listdir("/proc/self/fd")

    pieces = export(home, "c")
    for piece in pieces:
        if piece.startswith(b"log"):
            break
    pieces.close()

    assert os.listdir("/proc/self/fd") == before


def test_a_layer_that_rotted_is_told(home, container):
    """A tar that ends too early is no short file."""
    image = home.store.database.images()[0]
    tar = home.store.layers.tar(image.layers[0].diff_id)
    tar.chmod(0o600)
    os.truncate(tar, 1024)

    with pytest.raises(IntegrityError, match=r"cut off|shorter than"):
        exported(home)


def test_an_unknown_container_is_told_at_once(home):
    """Not only when somebody reads."""
    with pytest.raises(NotFoundError, match="no such container: x"):
        export(home, "x")


def test_the_tree_is_the_one_that_is_looked_into(home, container):
    """`ls`, `cat` and `export` read one tree."""
    inside = LocalContainer(home, container, "c")
    names = {os.fsdecode(path) for path in inside.tree().children}
    inside.close()

    assert {name for name, _, _ in listed(exported(home)) if name and "/" not in name} == names
    assert {name for name, _, _ in listed(exported(home))} >= INIT
