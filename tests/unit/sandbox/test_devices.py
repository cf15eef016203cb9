"""Devices of the host, found."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from msgspec.structs import replace

from layerkit.errors import SandboxError, UsageError
from layerkit.resources import Device, DeviceRule
from layerkit.sandbox.devices import DeviceNode, find, of_host


@pytest.fixture
def folder(tmp_path):
    """A folder with devices in it, and with what is none."""
    for path, kind, numbers, mode in (
        ("one", stat.S_IFCHR, (1, 3), 0o640),
        ("sub/two", stat.S_IFBLK, (7, 9), 0o600),
        ("pts/0", stat.S_IFCHR, (136, 0), 0o620),
        ("ptmx", stat.S_IFCHR, (5, 2), 0o666),
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        os.mknod(tmp_path / path, kind, os.makedev(*numbers))
        (tmp_path / path).chmod(mode)
    os.chown(tmp_path / "one", 3, 4)
    (tmp_path / "plain").touch()
    (tmp_path / "link").symlink_to("one")
    (tmp_path / "round").symlink_to(".")
    return tmp_path


ONE = DeviceNode("/dev/x", "c", 1, 3, 0o640, 3, 4)


def anywhere(node):
    """The node, wherever on this host it comes from."""
    return replace(node, source=None)


@pytest.mark.root
def test_a_device_is_as_on_the_host(folder):
    """RT-R08: kind, numbers, mode and owner are the host's, path and access the user's."""
    (found,) = find([Device(folder / "one", "/dev/x", "r")])

    assert anywhere(found) == DeviceNode("/dev/x", "c", 1, 3, 0o640, 3, 4, "r")
    assert found.rule == DeviceRule("c", 1, 3, "r")


@pytest.mark.root
def test_a_link_is_the_device_behind_it(folder):
    """A source that is a link is followed, as for /dev/disk/by-id."""
    (found,) = find([Device(folder / "link", "/dev/x")])

    assert anywhere(found) == ONE


@pytest.mark.root
def test_a_folder_is_all_devices_below_it(folder):
    """Other files and links in the folder are left out."""
    found = find([Device(folder, "/dev/y")])

    assert [(node.path, node.kind, node.major) for node in found] == [
        ("/dev/y/one", "c", 1),
        ("/dev/y/ptmx", "c", 5),
        ("/dev/y/pts/0", "c", 136),
        ("/dev/y/sub/two", "b", 7),
    ]


@pytest.mark.root
def test_the_last_one_wins(folder):
    """Of two devices at one place the later is made."""
    found = find([Device(folder / "sub/two", "/dev/x"), Device(folder / "one", "/dev/./x")])

    assert [anywhere(each) for each in found] == [ONE]


@pytest.mark.root
def test_a_privileged_container_gets_all_but_its_own(folder):
    """Terminals and the like are each container's own, never the host's."""
    assert [node.path for node in of_host(folder)] == ["/dev/one", "/dev/sub/two"]


@pytest.mark.root
def test_a_privileged_container_can_have_more(folder):
    """What the user names comes beside the host's devices, or in the place of one."""
    wanted = [Device(folder / "one", "/dev/x"), Device(folder / "sub/two", "/dev/null")]
    found = {node.path: node for node in find(wanted, privileged=True)}

    assert {node.path for node in of_host()} <= set(found)
    assert (anywhere(found["/dev/x"]), found["/dev/null"].kind) == (ONE, "b")


@pytest.mark.root
@pytest.mark.parametrize(
    ("source", "target", "error", "message"),
    [
        ("nosuch", "/dev/x", SandboxError, "nosuch: No such file or directory"),
        ("plain", "/dev/x", SandboxError, "plain: not a device"),
        ("one/x", "/dev/x", SandboxError, "Not a directory"),
        ("one", "/x", UsageError, "invalid device target '/x'"),
        ("one", "/dev/../x", UsageError, "wanted a path below /dev"),
        ("one", "/dev", UsageError, "wanted a path below /dev"),
        ("one", "dev/x", UsageError, "wanted a path below /dev"),
    ],
)
def test_what_is_no_device_is_refused(folder, source, target, error, message):
    """The source has to be a device or a folder with some, the target a place in /dev."""
    with pytest.raises(error, match=message):
        find([Device(folder / source, target)])


def test_the_hosts_devices_are_found():
    """The real /dev has at least the null device, with the kernel's numbers."""
    numbers = {node.path: (node.kind, node.major, node.minor) for node in of_host(Path("/dev"))}

    assert numbers["/dev/null"] == ("c", 1, 3)
    assert "/dev/ptmx" not in numbers
