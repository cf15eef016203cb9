"""Containers of a user without privileges, with subordinate ids and with a single one.

Each command is a process of its own of that user, as in `support.users`.
"""

from __future__ import annotations

import subprocess

import pytest
from support import boxes, tars
from support.users import HOME, as_user, layerkit

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]


def base() -> bytes:
    """A layer with busybox under all of its names, and users."""
    names = subprocess.run([boxes.BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    links = [
        tars.symlink(f"bin/{name}", "busybox") for name in names.stdout.split() if name != "busybox"
    ]
    return tars.archive(
        tars.file("bin/busybox", boxes.BUSYBOX.read_bytes(), mode=0o755),
        *links,
        tars.file("etc/passwd", boxes.PASSWD),
        tars.file("etc/group", boxes.GROUP),
        tars.directory("tmp", 0o1777),
    )


TOP = tars.archive(
    tars.directory("srv/", 0o700, uid=1000, gid=1000),
    tars.file("srv/secret", "secret\n", mode=0o600, uid=1000, gid=1000),
    tars.file("etc/motd", "hello\n"),
)


class User:
    """The commands of one user, whose folder is `home`."""

    def __init__(self, home, *, ranges):
        self.home = home
        self.ranges = ranges

    def __call__(self, *arguments):
        return layerkit(self.home, *arguments, subordinate=self.ranges)

    def run(self, *arguments):
        """What a new container without a network wrote, which must end well."""
        ran = self("run", "--rm", "--network", "none", *arguments)
        assert ran.code == 0, ran
        return ran.out

    def left(self):
        """The containers' folders."""
        return list((self.home / "state/containers").iterdir())


@pytest.fixture(
    params=[
        pytest.param(True, marks=pytest.mark.debian("newuidmap", "newgidmap"), id="ranges"),
        pytest.param(False, id="one-id"),
    ]
)
def user(request, tmp_path):
    """A user with an image of two layers, `box:1`."""
    home = tmp_path / "home"
    home.mkdir()
    tars.oci_layout(home / "layout", [base(), TOP], name="box:1")
    made = User(home, ranges=request.param)
    assert made("load", "-q", "-i", str(HOME / "layout")).code == 0
    return made


def test_a_container_runs(user):
    """As root of its user namespace."""
    assert user.run("box:1", "id", "-u") == "0\n"
    assert user.left() == []
