"""What goes into groups before the kernel sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerkit.errors import SandboxError
from layerkit.resources import Device, DeviceRule
from layerkit.sandbox.cgroups import making
from layerkit.sandbox.cgroups.settings import Lack


def test_a_device_of_the_host_is_a_rule():
    """The rule has the kind and numbers of the node, and the access that was asked for."""
    device = Device(Path("/dev/null"), "/dev/mine", "rw")

    assert making.rule_for(device) == DeviceRule("c", 1, 3, "rw")


@pytest.mark.parametrize(
    ("name", "message"), [("file", "it is not a device"), ("nosuch", "No such file or directory")]
)
def test_what_is_no_device_is_refused(tmp_path, name, message):
    """A path without a device is an error that names it."""
    (tmp_path / "file").touch()

    with pytest.raises(SandboxError, match=f"cannot use device {tmp_path}/{name}: {message}"):
        making.rule_for(Device(tmp_path / name, "/dev/x"))


@pytest.mark.parametrize(
    ("lacks", "line"),
    [
        ((), ""),
        ((Lack("pids", "no"),), "pids (no)"),
        (
            (Lack("memory", "a"), Lack("pids", "b"), Lack("memory_swap", "a"), Lack("memory", "a")),
            "memory, memory swap (a); pids (b)",
        ),
    ],
    ids=["none", "one", "by-reason-and-once"],
)
def test_lacks_are_one_line(lacks, line):
    """What is missing for one reason stands together, and each once."""
    assert making.explain(lacks) == line
