"""Version: the facts are those of this machine, and a missing driver has its reason."""

import json
import os

import pytest

from layerkit.ops import version
from layerkit.snapshot import kernel

KERNEL = os.uname().release
NEEDS_ROOT = "mounting needs root (CAP_SYS_ADMIN)"


@pytest.fixture
def machine(tmp_path):
    """Makes a /proc and a /lib/modules; gives what the driver says there."""

    def look(
        filesystems="nodev\toverlay\n\terofs\n",
        modules="",
        capabilities="000001ffffffffff",
        ids="         0          0 4294967295\n",
        uid="0",
        sysctls=(),
        fstype="overlay",
    ):
        proc, release = tmp_path / "proc", tmp_path / "modules" / KERNEL
        (proc / "self").mkdir(parents=True)
        release.mkdir(parents=True)
        (proc / "filesystems").write_text(filesystems)
        (proc / "self/status").write_text(
            f"Name:\tx\nUid:\t{uid}\t{uid}\nCapEff:\t{capabilities}\n"
        )
        (proc / "self/uid_map").write_text(ids)
        for name, value in dict(sysctls).items():
            (proc / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
            (proc / "sys" / name).write_text(f"{value}\n")
        (release / "modules.dep").write_text(modules)
        return kernel.obstacle(fstype, proc, tmp_path / "modules")

    return look


USER = {"capabilities": "0", "uid": "1000"}
INSIDE = {"ids": "0 1000 1\n1 100000 65536\n"}
ONLY_ROOT = "mounting erofs needs root outside of user namespaces (CAP_SYS_ADMIN)"


def forbidden(why):
    """What a user is told who may have no user namespaces."""
    return f"mounting needs root, or user namespaces, which users may not have ({why})"


@pytest.mark.parametrize(
    ("facts", "obstacle"),
    [
        pytest.param(USER, "", id="OV-38-user"),
        pytest.param(INSIDE, "", id="OV-38-in-a-namespace"),
        pytest.param({**INSIDE, "capabilities": "0"}, NEEDS_ROOT, id="no-right-in-a-namespace"),
        pytest.param(USER | {"fstype": "erofs"}, ONLY_ROOT, id="erofs-user"),
        pytest.param(INSIDE | {"fstype": "erofs"}, ONLY_ROOT, id="erofs-in-a-namespace"),
        pytest.param({"fstype": "erofs"}, "", id="erofs-root"),
        pytest.param(
            USER | {"sysctls": {"user/max_user_namespaces": 0}},
            forbidden("user.max_user_namespaces is 0"),
            id="no-namespaces",
        ),
        pytest.param(
            USER | {"sysctls": {"kernel/unprivileged_userns_clone": 0}},
            forbidden("kernel.unprivileged_userns_clone is 0"),
            id="debian",
        ),
        pytest.param(
            USER | {"sysctls": {"kernel/apparmor_restrict_unprivileged_userns": 1}},
            forbidden("kernel.apparmor_restrict_unprivileged_userns is 1"),
            id="apparmor",
        ),
        pytest.param(
            USER
            | {
                "sysctls": {
                    "user/max_user_namespaces": 9,
                    "kernel/unprivileged_userns_clone": 1,
                    "kernel/apparmor_restrict_unprivileged_userns": 0,
                }
            },
            "",
            id="allowed",
        ),
    ],
)
def test_who_may_mount_in_a_user_namespace(machine, facts, obstacle):
    """A user can have the overlay driver, unless a setting says no, and never that for erofs."""
    assert machine(**facts) == obstacle


@pytest.mark.parametrize(
    ("facts", "obstacle"),
    [
        ({}, ""),
        ({"filesystems": "nodev\tproc\n", "modules": "kernel/fs/overlayfs/overlay.ko:\n"}, ""),
        ({"filesystems": "nodev\tproc\n"}, "the kernel has no overlay file system"),
        ({"capabilities": "0"}, NEEDS_ROOT),
        ({"capabilities": "00000000a80425fb"}, NEEDS_ROOT),
    ],
    ids=["there", "a module", "missing", "root without rights", "root of a container"],
)
def test_overlay_says_why_it_does_not_work(machine, facts, obstacle):
    """The driver works with the file system and the right to mount it, else the reason is given."""
    assert machine(**facts) == obstacle


def test_nothing_to_read_is_no_crash(tmp_path):
    """Without /proc nothing works, and nothing breaks."""
    assert kernel.obstacle("overlay", tmp_path, tmp_path) == "the kernel has no overlay file system"


def test_the_facts_are_json():
    """All facts of this machine can be printed as JSON."""
    facts = version.version()

    assert json.loads(json.dumps(facts)) == facts
    assert facts["KernelVersion"] == KERNEL
