"""File systems in memory."""

from __future__ import annotations

import pytest

from layerkit.errors import UsageError
from layerkit.mount import TmpfsMount
from layerkit.sandbox.tmpfs import step


@pytest.mark.parametrize(
    ("mount", "line"),
    [
        (TmpfsMount("/t"), "mount tmpfs on /t (nosuid,nodev,noexec,mode=1777)"),
        (
            TmpfsMount("//a/./b/", 1 << 20, 0o755),
            "mount tmpfs on /a/b (nosuid,nodev,noexec,mode=755,size=1048576)",
        ),
        (TmpfsMount("/t", flags=("exec",)), "mount tmpfs on /t (nosuid,nodev,mode=1777)"),
        (TmpfsMount("/t", flags=("suid", "dev", "exec")), "mount tmpfs on /t (mode=1777)"),
        (
            TmpfsMount("/t", flags=("exec", "noexec", "ro", "noatime")),
            "mount tmpfs on /t (nosuid,nodev,noexec,ro,noatime,mode=1777)",
        ),
        (TmpfsMount("/t", flags=("ro", "rw")), "mount tmpfs on /t (nosuid,nodev,noexec,mode=1777)"),
    ],
)
def test_it_is_safe_unless_told_otherwise(mount, line):
    """RT-F14: nosuid, nodev and noexec hold unless a flag is against them; the last of two counts."""
    assert str(step(mount)) == line


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        (TmpfsMount("/"), "invalid tmpfs target '/'"),
        (TmpfsMount("/a/.."), "invalid tmpfs target"),
        (TmpfsMount("t"), "wanted an absolute path"),
        (TmpfsMount(""), "wanted an absolute path"),
        (TmpfsMount("/t", flags=("bind",)), "invalid flag 'bind' of the tmpfs at /t"),
        (TmpfsMount("/t", flags=("size=5",)), "invalid flag 'size=5'"),
    ],
)
def test_what_makes_no_sense_is_refused(mount, message):
    """The target is a folder in the container, the flags are those that a tmpfs has."""
    with pytest.raises(UsageError, match=message):
        step(mount)
