"""Version: the facts are those of this machine, and a missing driver has its reason."""

import json
import os

import pytest

from layerkit.ops import version
from layerkit.snapshot import kernel

KERNEL = os.uname().release


@pytest.fixture
def machine(tmp_path):
    """Makes a /proc and a /lib/modules; gives what the driver says there."""

    def look(filesystems="nodev\toverlay\n", modules="", capabilities="000001ffffffffff"):
        proc, release = tmp_path / "proc", tmp_path / "modules" / KERNEL
        (proc / "self").mkdir(parents=True)
        release.mkdir(parents=True)
        (proc / "filesystems").write_text(filesystems)
        (proc / "self/status").write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
        (release / "modules.dep").write_text(modules)
        return kernel.obstacle("overlay", proc, tmp_path / "modules")

    return look


@pytest.mark.parametrize(
    ("facts", "obstacle"),
    [
        ({}, ""),
        ({"filesystems": "nodev\tproc\n", "modules": "kernel/fs/overlayfs/overlay.ko:\n"}, ""),
        ({"filesystems": "nodev\tproc\n"}, "the kernel has no overlay file system"),
        ({"capabilities": "0"}, "mounting needs root (CAP_SYS_ADMIN)"),
        ({"capabilities": "00000000a80425fb"}, "mounting needs root (CAP_SYS_ADMIN)"),
    ],
    ids=["there", "a module", "missing", "a user", "root of a container"],
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
