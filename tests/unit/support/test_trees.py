"""Scans see every attribute, and differences name each one that is not the same."""

import os
import socket

import pytest
import xattr
from support.trees import differences, scan


def make(folder):
    """A small tree with one of each thing that needs no privilege."""
    (folder / "d").mkdir(parents=True)
    (folder / "d/f").write_bytes(b"abc")
    (folder / "d/f").chmod(0o640)
    os.link(folder / "d/f", folder / "h")
    (folder / "s").symlink_to("nowhere")
    os.mkfifo(folder / "p")
    (folder / os.fsdecode(b"\xff")).touch()
    for path in (*folder.rglob("*"), folder):
        os.utime(path, ns=(0, 1_000_000_001), follow_symlinks=False)
    return folder


def test_a_scan_holds_every_path_with_its_attributes(tmp_path):
    """A scan has the root, every name as bytes, types, targets, times and hard-link groups."""
    found = scan(make(tmp_path / "tree"))

    assert set(found) == {b"", b"d", b"d/f", b"h", b"s", b"p", b"\xff"}
    assert (found[b"d/f"].kind, found[b"d/f"].mode, found[b"d/f"].size) == ("file", 0o640, 3)
    assert found[b"h"].links == found[b"d/f"].links == {b"h", b"d/f"}
    assert (found[b"s"].kind, found[b"s"].target) == ("symlink", b"nowhere")
    assert found[b"p"].kind == "fifo"
    assert {each.mtime for each in found.values()} == {1_000_000_001}


def test_equal_trees_have_no_differences(tmp_path):
    """Two trees made the same way do not differ."""
    assert differences(scan(make(tmp_path / "a")), scan(make(tmp_path / "b"))) == []


def replace_by_folder(path):
    """Put a folder where a file was."""
    path.unlink()
    path.mkdir()
    os.utime(path, ns=(0, 1_000_000_001))


def unlink_twin(path):
    """Give a hard link an inode of its own with the same bytes."""
    content, mode = path.read_bytes(), path.stat().st_mode
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, ns=(0, 1_000_000_001))


def retarget(path):
    """Point a symlink elsewhere."""
    path.unlink()
    path.symlink_to("elsewhere")
    os.utime(path, ns=(0, 1_000_000_001), follow_symlinks=False)


def add_socket(path):
    """Leave a socket's name behind."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        ("h", lambda path: path.chmod(0o600), "h: mode is 0600, wanted 0640"),
        ("h", lambda path: os.utime(path, ns=(0, 7)), "h: mtime is 7, wanted 1000000001"),
        (
            "h",
            lambda path: xattr.setxattr(path, "user.x", b"1"),
            "h: xattrs is (('user.x', b'1'),)",
        ),
        ("s", retarget, "s: target is b'elsewhere', wanted b'nowhere'"),
        ("s", os.unlink, "s: missing (symlink)"),
        ("p", replace_by_folder, "p: kind is 'directory', wanted 'fifo'"),
        ("h", unlink_twin, "h: links is [], wanted [b'd/f', b'h']"),
        ("d/f", lambda path: path.write_bytes(b"abd"), "d/f: sha256 is"),
        ("d/f", lambda path: path.write_bytes(b"ab"), "d/f: size is 2, wanted 3"),
        ("new", add_socket, "new: not wanted (socket)"),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" in value else "",
)
def test_each_difference_is_named(tmp_path, name, change, line):
    """A difference in any attribute gives a line with path, attribute, got and wanted."""
    wanted = scan(make(tmp_path / "a"))
    other = make(tmp_path / "b")

    change(other / name)

    assert [each for each in differences(wanted, scan(other)) if each.startswith(line)] != []


def test_a_link_to_a_folder_is_not_followed(tmp_path):
    """A symlink to a directory is one entry, its target's content is not part of the tree."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to("../outside")

    assert set(scan(tmp_path / "tree")) == {b"", b"link"}


@pytest.mark.root
def test_owners_and_devices_are_seen(tmp_path):
    """Owner, group, device numbers and privileged attributes belong to a scan."""
    os.mknod(tmp_path / "null", 0o20666, os.makedev(1, 3))
    os.chown(tmp_path / "null", 7, 8)
    xattr.setxattr(tmp_path / "null", "trusted.x", b"1")

    found = scan(tmp_path)[b"null"]

    assert (found.kind, found.device, found.uid, found.gid) == ("character device", (1, 3), 7, 8)
    assert found.xattrs == (("trusted.x", b"1"),)
