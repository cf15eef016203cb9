"""What files carry and how deep they lie: the same in a directory and in a container's view."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support import images, overlays
from support.homes import layered
from support.listing import merged, scan_of
from support.lookers import make_container
from support.processes import outcome
from support.tars import archive, directory, file, hardlink, oci_layout, pax, symlink
from support.trees import differences, scan

from layerkit import linux
from layerkit.ops.home import Home
from layerkit.ops.images import find_image
from layerkit.store.files import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

NOT_KEPT = "note: not kept, for lack of rights or of support in the file system: "
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def acl(*entries):
    """The value of an ACL's xattr: (tag, permissions, id) each (linux/posix_acl_xattr.h)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
USER, NAMED, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
READERS = acl(
    (USER, 6, NOBODY), (NAMED, 4, 4321), (GROUP, 4, NOBODY), (MASK, 4, NOBODY), (OTHER, 0, NOBODY)
)
"""`u::rw-,u:4321:r--,g::r--,m::r--,o::---`: the mode that goes with it is 0640."""


def xattrs(values, **records):
    """The pax records of these xattrs, and more."""
    return {f"SCHILY.xattr.{name}": value for name, value in values.items()} | records


@pytest.fixture
def load(cli, tmp_path):
    """Loads an image of these layers."""

    def run(*layers):
        oci_layout(tmp_path / "layout", layers)
        loaded = cli("load", "-q", "-i", tmp_path / "layout")
        assert loaded.code == 0, loaded.err

    return run


@pytest.fixture
def unpack(cli, load, tmp_path):
    """Loads and unpacks an image; gives what was told at the end."""

    def run(*layers):
        load(*layers)
        unpacked = cli("unpack", "layout:test", tmp_path / "rootfs")
        assert (unpacked.code, unpacked.out) == (0, ""), unpacked.err
        return unpacked.err

    return run


@contextmanager
def view(state_root, tmp_path) -> Iterator[Path]:
    """The image as a container of it sees it, without layerkit's own layer."""
    with Home(state_root) as home:
        lowers = layered(home, find_image(home, "layout:test")).lowers
    with overlays.mounted(lowers[1:], tmp_path / "view") as mounted:
        yield mounted


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param(
            [file("f", mode=0o640, uid=7, pax=xattrs({ACCESS: READERS}))], id="acl-of-a-file"
        ),
        pytest.param(
            [
                directory("d", 0o750, pax=xattrs({DEFAULT: READERS})),
                file("d/f", mode=0o666),
                directory("d/e", 0o777),
            ],
            id="default-acl-is-not-inherited",
        ),
        pytest.param(
            [file("f", mode=0o640, pax={"SCHILY.acl.access": "user::rw-,user:4321:rwx"})],
            id="acl-as-text-is-left-alone",
        ),
        pytest.param(
            [
                file(
                    "f",
                    mode=0o6755,
                    uid=7,
                    gid=8,
                    pax=xattrs({"security.capability": CAPABILITY, "user.k": "v"}),
                ),
                hardlink("d/h", "f", mode=0o6755, uid=7, gid=8),
            ],
            id="capabilities-and-setuid-of-another-user",
        ),
        pytest.param(
            [file("f", pax=xattrs({f"user.{'n' * 250}": "v", "user.v": "v" * 2000}))],
            id="largest-xattrs",
        ),
        pytest.param(
            [
                file("f", pax=xattrs({"user.empty": "", "trusted.empty": ""})),
                directory("d", pax=xattrs({"user.empty": ""})),
            ],
            id="XA-04-empty-xattrs",
        ),
        pytest.param([directory("d", 0o2775, gid=8), file("d/f")], id="setgid-is-not-inherited"),
    ],
)
def test_attributes_are_kept(unpack, state_root, tmp_path, entries):
    """Each attribute is there in both, and nothing is told."""
    tar = archive(*entries)
    wanted = scan_of(merged([tar]), [tar])

    assert unpack(tar) == ""

    assert differences(wanted, scan(tmp_path / "rootfs")) == []
    with view(state_root, tmp_path) as mounted:
        assert differences(wanted, scan(mounted)) == []


@pytest.mark.debian("getfacl")
def test_an_acl_reads_as_it_was_written(unpack, tmp_path):
    """getfacl shows the users that the archive names, and their rights."""
    unpack(archive(file("f", mode=0o640, pax=xattrs({ACCESS: READERS}))))

    shown = subprocess.run(
        ["getfacl", "-c", "-n", "--absolute-names", tmp_path / "rootfs/f"],
        check=True,
        capture_output=True,
        text=True,
    )

    lines = ["user::rw-", "user:4321:r--", "group::r--", "mask::r--", "other::---"]
    assert shown.stdout.split() == lines


def test_an_acl_goes_through_export_and_import(load, cli, state_root, tmp_path):
    """XA-17: the binary ACL is an xattr of the export, and the image made of it has it again."""
    entries = [
        file("f", mode=0o640, pax=xattrs({ACCESS: READERS})),
        directory("d", 0o750, pax=xattrs({DEFAULT: READERS})),
    ]
    load(archive(*entries))
    make_container(state_root, "layout:test", "try")

    assert cli("export", "-o", tmp_path / "export.tar", "try").code == 0
    assert cli("import", tmp_path / "export.tar", "again:1").code == 0
    assert cli("unpack", "again:1", tmp_path / "rootfs") == (0, "", "")

    assert os.getxattr(tmp_path / "rootfs/f", ACCESS) == READERS
    assert os.getxattr(tmp_path / "rootfs/d", DEFAULT) == READERS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(f"user.{'n' * 251}", "v", id="name-of-256-bytes"),
        pytest.param("user.k", "v" * 65_537, id="value-of-more-than-64-KiB"),
        pytest.param("user.k", "v" * 60_000, id="value-beyond-a-block-of-ext4"),
        pytest.param("nowhere.k", "v", id="unknown-namespace"),
        pytest.param("k", "v", id="no-namespace"),
        pytest.param("", "v", id="no-name"),
        pytest.param(ACCESS, "nonsense", id="acl-that-is-none"),
        pytest.param(ACCESS, acl((USER, 6, NOBODY)), id="acl-without-all-parts"),
        pytest.param(DEFAULT, READERS, id="default-acl-of-a-file"),
        pytest.param("security.capability", "nonsense", id="capabilities-that-are-none"),
    ],
)
def test_an_xattr_that_cannot_be_is_left_out(unpack, state_root, tmp_path, name, value):
    """XA-14: it is counted, its file and the other xattrs are written."""
    tar = archive(file("f", pax=xattrs({name: value, "user.z": "kept"})), file("g"))

    told = unpack(tar)

    if name != "user.k" or len(value) > 65_536 or _is_ext4(tmp_path):
        assert told == f"{NOT_KEPT}1 extended attribute (first: {name[:100]} of 'f')\n"
        kept = archive(file("f", pax=xattrs({"user.z": "kept"})), file("g"))
        wanted = scan_of(merged([kept]), [kept])
        assert differences(wanted, scan(tmp_path / "rootfs")) == []
        with view(state_root, tmp_path) as mounted:
            assert differences(wanted, scan(mounted)) == []


def _is_ext4(folder):
    kind = ["stat", "--file-system", "--format=%T", folder]
    return subprocess.run(kind, check=True, capture_output=True).stdout == b"ext2/ext3\n"


def test_a_strange_name_is_told_as_escapes(unpack):
    """What a terminal must not get is not in the example."""
    told = unpack(archive(file(b"\x1b[31m\xff", pax=xattrs({"nowhere.\x07": "v"}))))

    assert told == f"{NOT_KEPT}1 extended attribute (first: nowhere.\\x07 of '\\x1b[31m\\xff')\n"


def test_an_xattr_of_a_symlink_that_cannot_be_is_left_out(unpack, tmp_path):
    """XA-12: only files and folders can have user xattrs."""
    tar = archive(symlink("s", "x", pax=xattrs({"user.k": "v", "trusted.k": "v"})))

    assert unpack(tar) == f"{NOT_KEPT}1 extended attribute (first: user.k of 's')\n"
    assert scan(tmp_path / "rootfs")[b"s"].xattrs == (("trusted.k", b"v"),)


def test_a_view_that_cannot_keep_all_tells_it_once(load, cli):
    """What a container will miss is one warning for all layers, when the view is written."""
    lost = [archive(file(name, pax=xattrs({"nowhere.k": "v"}))) for name in ("f", "g")]
    load(images.sample_layer(), *lost)

    first, second = (cli("run", "--rm", "layout:test", "/bin/true") for _ in range(2))

    told = NOT_KEPT.replace("note: not kept", "warning: not kept in the image's view")
    assert first == (0, "", f"{told}2 extended attributes (first: nowhere.k of 'f')\n")
    assert second == (0, "", "")


def test_labels_are_the_hosts(unpack, tmp_path):
    """XA-11: what a security policy of the image's host said of a file is not taken over."""
    labels = {"security.selinux": "system_u:object_r:bin_t:s0\0", "security.ima": "x"}

    assert unpack(archive(file("f", pax=xattrs(labels)))) == ""
    assert scan(tmp_path / "rootfs")[b"f"].xattrs == ()


def test_a_file_system_without_xattrs_keeps_the_rest(load, cli, tmp_path):
    """XA-13: what it cannot keep is counted; owners, devices and the rest are as in the image."""
    more = {"security.capability": CAPABILITY, "user.k": "v", "trusted.k": "v", ACCESS: READERS}
    load(
        archive(
            file("f", "text", mode=0o4755, uid=7, gid=8, pax=xattrs(more)),
            directory("d", 0o700, pax=xattrs({"user.k": "v"})),
            symlink("s", "f", uid=7, pax=xattrs({"trusted.k": "v"})),
        )
    )
    plain = archive(
        file("f", "text", mode=0o4755, uid=7, gid=8),
        directory("d", 0o700),
        symlink("s", "f", uid=7),
    )
    (tmp_path / "rootfs").mkdir()

    def work():
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        linux.mount("none", str(tmp_path / "rootfs"), "ramfs", 0)
        unpacked = cli("unpack", "layout:test", tmp_path / "rootfs")
        lost = "6 extended attributes (first: security.capability of 'f')"
        assert unpacked == (0, "", f"{NOT_KEPT}{lost}\n")
        wanted = scan_of(merged([plain]), [plain])
        assert differences(wanted, scan(tmp_path / "rootfs")) == []

    assert outcome(work) == 0


class TestDirectory:
    """The directory that is unpacked to."""

    @pytest.fixture
    def target(self, tmp_path):
        """Where `unpack` unpacks to, made before."""
        folder = tmp_path / "rootfs"
        folder.mkdir()
        return folder

    @pytest.mark.debian("setfacl")
    def test_its_acl_and_group_are_not_inherited(self, unpack, target):
        """What new files there would get is not in the image."""
        os.chown(target, 4321, 4321)
        target.chmod(0o2777)
        subprocess.run(["setfacl", "-d", "-m", "u:4321:rwx", target], check=True)
        tar = archive(file("f", mode=0o600), directory("d"), file("d/f"), symlink("s", "f"))

        assert unpack(tar) == ""
        assert differences(scan_of(merged([tar]), [tar]), scan(target)) == []

    def test_it_is_closed_to_others_until_all_is_written(self, load, cli, target):
        """SE-55: nobody runs a setuid program of a tree that is not complete."""
        os.chown(target, 4321, 4321)
        target.chmod(0o777)
        load(archive(directory("./", 0o755), file("f", "x" * 1000, mode=0o4755)))
        (stored,) = target.parent.glob("state/layers/*/tar")
        os.truncate(stored, 1024)

        assert cli("unpack", "layout:test", target).code == 4

        status = target.stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o700)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["a"] * 2048, id="4,095-bytes-of-2,048-short-names"),
        pytest.param(["n" * 255] * 15 + ["f" * 255], id="4,095-bytes-of-long-names"),
    ],
)
def test_the_deepest_trees_are_the_same_in_both(cli, unpack, state_root, tmp_path, names):
    """NM-10, NM-12: as deep as the longest path goes, they are written, mounted and removed."""
    path = "/".join(names)
    assert unpack(archive(pax({"path": path}) + file("x", "deep", uid=7, mode=0o640))) == ""

    assert at_the_end(tmp_path / "rootfs", names) == (b"deep", 7, 0o640)
    with view(state_root, tmp_path) as mounted:
        assert at_the_end(mounted, names) == (b"deep", 7, 0o640)
    assert cli("rmi", "layout:test").code == 0
    assert list((state_root / "trees").iterdir()) == []
    remove_tree(tmp_path / "rootfs", tmp_path)  # too deep for whoever cleans up after the test


def test_deeper_than_a_path_goes_is_an_error(cli, tmp_path):
    """A path of 4,096 bytes is refused when the image comes, before anything is written."""
    oci_layout(tmp_path / "layout", [archive(pax({"path": "abc/" * 1023 + "ffff"}) + file("x"))])

    loaded = cli("load", "-q", "-i", tmp_path / "layout")

    assert loaded.code == 4
    assert "name of 4096 bytes, at most 4095" in loaded.err


def at_the_end(root, names):
    """Content, owner and mode of the file at the end of a way too long for one call."""
    *folders, name = names
    below = os.open(root, os.O_PATH)
    for folder in folders:
        above, below = below, os.open(folder, os.O_PATH | os.O_DIRECTORY, dir_fd=below)
        os.close(above)
    with open(os.open(name, os.O_RDONLY, dir_fd=below), "rb") as found:
        status = os.fstat(found.fileno())
        os.close(below)
        return found.read(), status.st_uid, stat.S_IMODE(status.st_mode)
