"""Where control groups are found, from the kernel's two texts."""

from __future__ import annotations

import pytest

from layerkit.sandbox.cgroups.hierarchies import (
    Hierarchy,
    discover,
    folder,
    home_of,
    in_use,
    parse,
)

MERGED = """\
25 30 0:23 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
26 25 0:24 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
27 25 0:25 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
28 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 master:3 - cgroup cgroup rw,cpu,cpuacct
29 25 0:30 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
"""
MERGED_OWN = """\
9:memory:/user.slice/user-0.slice/session-1.scope
4:cpu,cpuacct:/user.slice
1:name=systemd:/user.slice/user-0.slice/session-1.scope
0::/user.slice/user-0.slice/session-1.scope
"""
V2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec - cgroup2 cgroup2 rw,nsdelegate\n"
NESTED = """\
700 690 0:29 /docker/0abc /sys/fs/cgroup/memory ro,nosuid master:15 - cgroup cgroup rw,memory
701 690 0:30 /docker/0abc /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids
"""


@pytest.mark.parametrize(
    ("mountinfo", "membership", "wanted"),
    [
        pytest.param(
            MERGED,
            MERGED_OWN,
            (
                Hierarchy(1, ("memory",), "/sys/fs/cgroup/memory"),
                Hierarchy(1, ("cpu", "cpuacct"), "/sys/fs/cgroup/cpu,cpuacct"),
                Hierarchy(1, ("name=systemd",), "/sys/fs/cgroup/systemd"),
                Hierarchy(2, (), "/sys/fs/cgroup/unified"),
            ),
            id="hybrid-with-merged-controllers",
        ),
        pytest.param(V2, "0::/init.scope\n", (Hierarchy(2, (), "/sys/fs/cgroup"),), id="version-2"),
        pytest.param(V2, "0::/\n", (Hierarchy(2, (), "/sys/fs/cgroup"),), id="own-namespace"),
        pytest.param(
            V2.replace(" / /sys", " /../.. /sys"),
            "0::/x\n",
            (Hierarchy(2, (), "/sys/fs/cgroup"),),
            id="mounted-outside-of-the-namespace",
        ),
        pytest.param(
            NESTED,
            "5:pids:/docker/0abc\n4:memory:/docker/0abc/below\n0::/docker/0abc\n",
            (
                Hierarchy(1, ("pids",), "/sys/fs/cgroup/pids"),
                Hierarchy(1, ("memory",), "/sys/fs/cgroup/memory"),
            ),
            id="in-a-container-of-docker",
        ),
        pytest.param(
            NESTED, "5:pids:/docker/0abcdef\n4:memory:/\n", (), id="mounts-of-somebody-elses-groups"
        ),
        pytest.param(
            "9 8 0:30 /a /own rw - cgroup none rw,pids\n9 8 0:30 / /all rw - cgroup none rw,pids\n",
            "5:pids:/a/b\n",
            (Hierarchy(1, ("pids",), "/all"),),
            id="mounted-twice-the-larger-part",
        ),
        pytest.param(
            "9 8 0:30 / /my\\040groups\\134x rw - cgroup none rw,pids\n",
            "5:pids:/:with:colons (deleted)\n",
            (Hierarchy(1, ("pids",), "/my groups\\x"),),
            id="escapes-and-colons",
        ),
        pytest.param(
            "9 8 0:30 / /x rw - fuse.cgroup cgroup rw,pids\n"
            "9 8 0:30 / /cgroup\\040-\\040cgroup rw - tmpfs cgroup rw,pids\n",
            "5:pids:/\n0::/\n",
            (),
            id="names-that-look-like-control-groups",
        ),
        pytest.param(
            "\n- cgroup\n9 8 - cgroup cgroup rw,pids\n9 8 0:30 / /x rw - cgroup\n",
            "5:pids:/\n",
            (),
            id="broken-mountinfo",
        ),
        pytest.param(MERGED, "\n:\n::\nmemory\n7\n7::/x\n:memory\n", (), id="broken-membership"),
        pytest.param("", "", (), id="nothing"),
    ],
)
def test_every_tree_is_found_where_it_is(mountinfo, membership, wanted):
    """A tree is where the kernel says, by its controllers, if our own group is in that mount."""
    assert parse(mountinfo, membership) == wanted


def test_what_this_machine_has_is_readable():
    """Each tree found is a folder of groups, and no controller is in two of them."""
    found = discover()
    controllers = [name for tree in found for name in tree.controllers]

    assert len(controllers) == len(set(controllers))
    assert all(home_of(name, found) for name in controllers)


V1_PIDS = Hierarchy(1, ("pids",), "/c/pids")


@pytest.mark.parametrize(
    ("trees", "wanted"),
    [
        ((V1_PIDS, Hierarchy(2, ("hugetlb",), "/u")), (1,)),
        ((V1_PIDS, Hierarchy(2, ("io",), "/u")), (1, 2)),
        ((Hierarchy(2, (), "/u"),), (2,)),
        ((), ()),
    ],
    ids=["beside-without-use", "beside-with-a-controller", "alone", "none"],
)
def test_version_2_is_used_where_it_is_of_use(trees, wanted):
    """Beside version 1, a tree of version 2 is joined only for a controller that limits."""
    assert tuple(tree.version for tree in in_use(trees)) == wanted


def test_a_group_lies_below_the_mount():
    """The folder of a group is its name below the tree's mount."""
    assert folder(V1_PIDS, "layerkit/a") == "/c/pids/layerkit/a"
    assert home_of("memory", [V1_PIDS]) is None
