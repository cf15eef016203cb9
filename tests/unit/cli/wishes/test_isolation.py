"""Security options, devices and sysctls are understood or refused, never ignored."""

from pathlib import Path

import pytest

from layerkit.cli.wishes.isolation import device, isolation, security_options, sysctls
from layerkit.errors import UsageError
from layerkit.ops.wishes import Isolation
from layerkit.resources import Device


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ([], (None, False)),
        (["seccomp=unconfined"], ("unconfined", False)),
        (["seccomp:unconfined"], ("unconfined", False)),
        (["seccomp=builtin"], (None, False)),
        (["seccomp=/p/./x=y.json"], ("/p/x=y.json", False)),
        (["no-new-privileges"], (None, True)),
        (["no-new-privileges=true"], (None, True)),
        (["no-new-privileges:true"], (None, True)),
        (["no-new-privileges", "no-new-privileges:false"], (None, False)),
        (["apparmor=unconfined", "label=disable", "label:disable"], (None, False)),
    ],
    ids=str,
)
def test_security_options(texts, wanted):
    """RT-P14, RT-P16: what turns something off or on that there is; the last one counts."""
    assert security_options(texts) == wanted


def test_a_profile_beside_us(monkeypatch, tmp_path):
    """The path of a profile is absolute from here on."""
    monkeypatch.chdir(tmp_path)

    assert security_options(["seccomp=x.json"]) == (f"{tmp_path}/x.json", False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "seccomp",
        "seccomp=",
        "no-new-privileges=maybe",
        "apparmor=docker-default",
        "apparmor",
        "label=type:x",
        "label=user:x",
        "systempaths=unconfined",
        "writable-cgroups=true",
        "x=y",
    ],
)
def test_a_bad_security_option(text):
    """What would need AppArmor or SELinux, or is not known, is refused with what there is."""
    with pytest.raises(UsageError, match=r"^unsupported --security-opt .*: wanted seccomp=FILE"):
        security_options([text])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/dev/fuse", Device(Path("/dev/fuse"), "/dev/fuse")),
        ("/dev/a:/dev/b", Device(Path("/dev/a"), "/dev/b")),
        ("/dev/a:/dev/b:r", Device(Path("/dev/a"), "/dev/b", "r")),
        ("/dev/a:rw", Device(Path("/dev/a"), "/dev/a", "rw")),
        ("/dev/a:/dev/b:mwr", Device(Path("/dev/a"), "/dev/b", "mwr")),
        ("/dev/./a:/dev/x/../b", Device(Path("/dev/a"), "/dev/b")),
    ],
)
def test_a_device(text, wanted):
    """RT-R08: a source, the same or another target, and what may be done with it."""
    assert device(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "fuse",
        "/dev/a:b",
        "a:/dev/b",
        "/dev/a:/dev/b:x",
        "/dev/a:/dev/b:rr",
        "/dev/a:",
        "/dev/a:/dev/b:",
        "/dev/a:/dev/b:rw:m",
        "/dev/a:RW",
        "vendor.com/class=name",
    ],
)
def test_a_bad_device(text):
    """Relative paths and other letters than rwm are refused."""
    with pytest.raises(UsageError, match=r"^invalid --device '"):
        device(text)


def test_sysctls():
    """The last value of a name counts; a value may hold anything."""
    texts = ["net.core.somaxconn=1", "kernel.sem=1 2 3 4", "net.core.somaxconn=2=3"]

    assert sysctls(texts, "bridge") == (
        ("net.core.somaxconn", "2=3"),
        ("kernel.sem", "1 2 3 4"),
    )


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("", "bridge"),
        ("net.core.somaxconn", "bridge"),
        ("=1", "bridge"),
        ("kernel.panic=1", "bridge"),
        ("vm.overcommit_memory=1", "bridge"),
        ("net.=1", "bridge"),
        ("net./../kernel.panic=1", "bridge"),
        ("net...kernel=1", "bridge"),
        ("net.core\n.x=1", "bridge"),
        ("net.core.somaxconn=1", "host"),
    ],
    ids=str,
)
def test_a_bad_sysctl(text, network):
    """What belongs to the host is refused, and names that would lead to it."""
    with pytest.raises(UsageError, match=r"^sysctl .* is not allowed"):
        sysctls([text], network)


def test_isolation_is_put_together():
    """Each option has its place."""
    values = {
        "cap_add": ("SYS_TIME",),
        "cap_drop": ("ALL",),
        "privileged": True,
        "security_opt": ("seccomp=unconfined", "no-new-privileges"),
        "read_only": True,
    }

    assert isolation(values) == Isolation(
        ("SYS_TIME",), ("ALL",), True, "unconfined", no_new_privileges=True, readonly=True
    )
