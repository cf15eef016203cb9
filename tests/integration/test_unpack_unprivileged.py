"""A user without privileges unpacks all of an image that can be kept, and is told of the rest."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest
from support.listing import merged, scan_of
from support.processes import outcome
from support.tars import (
    archive,
    block,
    character,
    directory,
    fifo,
    file,
    hardlink,
    oci_layout,
    symlink,
)
from support.trees import differences, scan
from support.users import COUNT, FIRST, HOME, USER, as_user, layerkit

from layerkit import linux

pytestmark = pytest.mark.root

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep
XATTR = "user.rootlesscontainers"
NOT_KEPT = "not kept, for lack of rights or of support in the file system"


def image():
    """A layer of what is hard to keep without privileges."""
    return archive(
        directory("./", 0o711),
        file("of-root", "x" * 10_000, mode=0o4755),
        file("of-7", "x", uid=7, mode=0o4711),
        file("of-group-8", "x", gid=8),
        file("closed", "x", uid=300, gid=400, mode=0),
        hardlink("again", "closed", uid=300, gid=400, mode=0),
        directory("d/", 0o500, uid=5),
        file("d/a", "x", mode=0o400),
        directory("d/e/", 0o000),
        file("d/e/f", "x"),
        directory("sticky/", 0o1777, pax={"SCHILY.xattr.user.k": "v"}),
        symlink("s", "/nowhere"),
        fifo("p"),
        file("u", "x", mode=0o400, pax={"SCHILY.xattr.user.k": "v"}),
    )


LOST = (
    character("null", 1, 3),
    block("disk", 8, 0),
    file("trusted", "x", pax={"SCHILY.xattr.trusted.k": "v"}),
)
"""What only root can make; nobody else sees it."""


@pytest.fixture
def home(tmp_path):
    """The folder of the user."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def unpacked(home, *layers, subordinate=False):
    """What the user was told at the end, and what is in the directory that was written."""
    oci_layout(home / "layout", layers)
    loaded = layerkit(home, "load", "-q", "-i", str(HOME / "layout"))
    assert loaded.code == 0, loaded.err
    ran = layerkit(home, "unpack", "layout:test", str(HOME / "rootfs"), subordinate=subordinate)
    assert (ran.code, ran.out) == (0, ""), ran.err
    return ran.err, scan(home / "rootfs")


def owned(wanted, owner):
    """A scan in which each entry has the owner and the further xattrs that `owner` gives it."""
    found = {}
    for path, each in wanted.items():
        uid, gid, xattrs = owner(each)
        both = tuple(sorted((*each.xattrs, *xattrs)))
        found[path] = replace(each, uid=uid, gid=gid, xattrs=both)
    return found


def recorded(each):
    """The user as owner; another one than root in the xattr, where the file can have one."""
    owner = {
        (7, 0): "080710ffffffff0f",
        (0, 8): "08ffffffff0f1008",
        (300, 400): "08ac02109003",
        (5, 0): "080510ffffffff0f",
    }.get((each.uid, each.gid))
    return USER, USER, [(XATTR, bytes.fromhex(owner))] if owner else []


def mapped(each):
    """The user for root, the subordinate ids for others."""
    return *(FIRST + number - 1 if number else USER for number in (each.uid, each.gid)), []


def test_owners_are_recorded(home):
    """MD-24, MD-10: modes, times, xattrs and closed folders are as in the image; owners are in an xattr."""
    told, found = unpacked(home, image())

    assert told == "note: 4 owners only recorded, in user.rootlesscontainers\n"
    assert differences(owned(scan_of(merged([image()]), [image()]), recorded), found) == []


def test_what_cannot_be_kept_is_told_in_one_line(home):
    """MD-24, DV-02, XA-06: devices and privileged xattrs are left out, each kind counted once for all files."""
    lost = archive(*LOST, *(fifo(f"p{number}", uid=7) for number in range(5)))

    told, found = unpacked(home, lost)

    lost = "5 owners, 2 device files, 1 extended attribute (first: device 'null')"
    assert told == f"note: {NOT_KEPT}: {lost}\n"
    assert set(found) == {b"", b"trusted", *(b"p%d" % number for number in range(5))}


def test_what_needs_no_privilege_is_told_nothing_about(home):
    """Where all of an image is root's, which the user stands for, there is no note."""
    told, _ = unpacked(home, archive(directory("d/"), file("d/f"), symlink("s", "d"), fifo("p")))

    assert told == ""


@pytest.mark.debian("umoci")
def test_recorded_owners_are_what_umoci_writes(home):
    """Names, modes, times and the owners in xattrs are umoci's; those it cannot write are added."""
    tar = archive(
        directory("d/", uid=7, gid=8),
        *(file(f"d/{uid}-{gid}", uid=uid, gid=gid) for uid in (0, 7, USER) for gid in (0, 8, USER)),
        symlink("s", "d", uid=7),
        fifo("p", uid=7),
    )
    _, found = unpacked(home, tar)
    umoci = ["umoci", "unpack", "--rootless", "--image", "layout:test", "bundle"]

    def work():
        subprocess.run(umoci, check=True, capture_output=True, env={**os.environ, "HOME": "/mnt"})

    assert as_user(home, work) == 0
    assert differences(scan(home / "bundle/rootfs"), found) == []
    assert dict(found[b"d/7-8"].xattrs) == {XATTR: b"\x08\x07\x10\x08"}


def test_a_file_system_without_xattrs_keeps_the_rest(home):
    """Where nothing can be recorded, the owners are counted as lost."""
    oci_layout(home / "layout", [image()])
    (home / "rootfs").mkdir()

    def work():
        ran = layerkit(home, "load", "-q", "-i", str(HOME / "layout"))
        assert ran.code == 0, ran.err
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        linux.mount("none", str(home / "rootfs"), "ramfs", 0, "mode=0777")
        os.chown(home / "rootfs", USER, USER)
        ran = layerkit(home, "unpack", "layout:test", str(HOME / "rootfs"))
        lost = "4 owners, 2 extended attributes (first: owner 7:0 of 'of-7')"
        assert ran == (0, "", f"note: {NOT_KEPT}: {lost}\n")
        wanted = owned(scan_of(merged([image()]), [image()]), lambda _: (USER, USER, []))
        wanted = {path: replace(each, xattrs=()) for path, each in wanted.items()}
        assert differences(wanted, scan(home / "rootfs")) == []

    assert outcome(work) == 0


@pytest.mark.debian("newuidmap", "newgidmap")
class TestSubordinateIds:
    """With subordinate ids, owners are real."""

    def test_owners_are_mapped(self, home):
        """MD-25: the user has root's files, and a subordinate id each other owner's."""
        told, found = unpacked(home, image(), subordinate=True)

        assert told == ""
        assert differences(owned(scan_of(merged([image()]), [image()]), mapped), found) == []

    def test_setuid_and_capabilities_are_kept(self, home):
        """A program keeps its capabilities, for the root of the namespace alone."""
        xattr = {"SCHILY.xattr.security.capability": CAPABILITY}
        tar = archive(file("f", mode=0o6755, uid=7, gid=8, pax=xattr))

        told, found = unpacked(home, tar, subordinate=True)

        assert told == ""
        assert found[b"f"].mode == 0o6755
        (name, value), *more = found[b"f"].xattrs
        assert (name, more) == ("security.capability", [])
        assert value[4:20] == CAPABILITY[4:]
        assert int.from_bytes(value[20:], "little") == USER

    def test_an_owner_without_a_subordinate_id_is_recorded(self, home):
        """MD-25: ids beyond the last one that is mapped are written down."""
        tar = archive(file("last", uid=COUNT, gid=COUNT), file("next", uid=COUNT + 1))

        told, found = unpacked(home, tar, subordinate=True)

        assert told == "note: 1 owner only recorded, in user.rootlesscontainers\n"
        assert (found[b"last"].uid, found[b"last"].gid) == (FIRST + COUNT - 1,) * 2
        assert (found[b"next"].uid, found[b"next"].gid) == (USER, USER)
        assert dict(found[b"next"].xattrs) == {XATTR: bytes.fromhex("0881800410ffffffff0f")}

    def test_ids_that_cannot_be_mapped_are_an_error(self, home):
        """SN-18: a range that is listed twice is named, instead of owners that are lost silently."""
        unpacked(home, archive(file("f")))

        ran = layerkit(home, "unpack", "layout:test", str(HOME / "other"), subordinate=2)

        assert ran.code == 2
        assert f"cannot map user ids: {FIRST} is in two ranges\nhint: see /etc/subuid" in ran.err
        assert not any((home / "other").iterdir())

    def test_devices_are_left_out(self, home):
        """DV-02: root of a namespace makes no devices, and is told so."""
        told, found = unpacked(home, archive(*LOST), subordinate=True)

        lost = "2 device files, 1 extended attribute (first: device 'null')"
        assert told == f"note: {NOT_KEPT}: {lost}\n"
        assert set(found) == {b"", b"trusted"}

    def test_an_error_comes_out_of_the_namespace(self, home):
        """A layer whose tar was cut short is the same error as for root."""
        tar = archive(file("f", "x" * 100_000))
        unpacked(home, tar, subordinate=True)
        (stored,) = (home / "state/layers").glob("*/tar")
        os.truncate(stored, 1000)

        ran = layerkit(home, "unpack", "layout:test", str(HOME / "other"), subordinate=True)

        assert ran.code == 4
        assert "shorter than its index says" in ran.err
