"""The ids of a user namespace, and who can be had with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from layerkit.errors import SandboxError
from layerkit.mount import OverlayMount
from layerkit.sandbox import ids, rootless, users
from layerkit.sandbox.ids import Ids
from layerkit.sandbox.plan import plan
from layerkit.sandbox.spec import ProcessSpec, SandboxSpec
from layerkit.sandbox.users import Identity

RANGES = Ids(((0, 1), (1, 65536)), ((0, 1), (1, 65536)))
ALONE = Ids(((0, 1),), ((0, 1),), sets_groups=False)
SPEC = SandboxSpec(
    root=OverlayMount((Path("/s/view"),), Path("/c/upper"), Path("/c/work")),
    process=ProcessSpec(("true",), ()),
    hostname="box",
)


def process(folder, uids, gids, setgroups):
    """A folder like that of a process in /proc."""
    for name, text in (("uid_map", uids), ("gid_map", gids), ("setgroups", setgroups)):
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("uids", "setgroups", "found"),
    [
        ("0 0 4294967295\n", "allow\n", None),
        ("0 1000 1\n1 100000 65536\n", "allow\n", RANGES),
        ("0 1000 1\n", "deny\n", ALONE),
    ],
    ids=["all", "ranges", "one"],
)
def test_the_ids_are_read_from_the_maps(tmp_path, uids, setgroups, found):
    """All ids of the machine are told from those of a user namespace."""
    assert ids.of_this_process(process(tmp_path, uids, uids, setgroups)) == found


@pytest.mark.parametrize(
    ("identity", "wished", "known", "error"),
    [
        (Identity(1000, 1000, (1000, 10), "/"), (), RANGES, None),
        (Identity(70000, 0, (0,), "/"), (), RANGES, "cannot become user 70000"),
        (Identity(0, 0, (0, 70000), "/"), (), RANGES, "cannot become group 70000"),
        (Identity(0, 0, (0, 10), "/"), (), ALONE, None),
        (Identity(0, 10, (10,), "/"), (), ALONE, "cannot become group 10"),
        (Identity(0, 0, (0, 10), "/"), ("10",), ALONE, "cannot add groups"),
    ],
)
def test_who_is_not_mapped_is_refused_by_name(identity, wished, known, error):
    """Groups that nobody wished for are done without where none can be chosen."""
    if error is None:
        users.require_mapped(identity, known, wished)
        return
    with pytest.raises(SandboxError, match=error):
        users.require_mapped(identity, known, wished)


def test_a_user_namespace_takes_devices_from_the_host():
    """Nodes are bound, not made, and held before the host's paths are gone."""
    lines = [str(step) for step in plan(replace(SPEC, ids=ALONE))]

    assert not [line for line in lines if line.startswith("make device")]
    held = lines.index("hold /dev/null for /dev/null")
    assert held < lines.index("pivot to /c/upper") < lines.index("bind /dev/null")
    assert "sysctl net.ipv4.ping_group_range = 0 0" in lines
    assert not [line for line in lines if "devpts" in line and "gid=5" in line]


def test_the_hosts_network_comes_with_the_hosts_sys():
    """A sysfs belongs to a network; only who owns that may mount one."""
    lines = [str(step) for step in plan(replace(SPEC, ids=RANGES, network="host"))]

    assert "bind /sys read-only" in lines
    assert not [line for line in lines if line.startswith("mount sysfs")]
    assert rootless.binds(SPEC) == ()
