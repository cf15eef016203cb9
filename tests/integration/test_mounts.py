"""Images and containers are mounted on the host, and unmounted only when nobody uses them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from support import homes, overlays
from support.tars import archive, directory, file, oci_layout, symlink
from support.users import layerkit as layerkit_as_user

from layerkit import linux
from layerkit.errors import StoreError
from layerkit.ops import mountpoints, states
from layerkit.ops.containers import find_container
from layerkit.ops.home import Home
from layerkit.ops.images import find_image

pytestmark = pytest.mark.root

DRIVERS = ("erofs", "overlay", "copy")
LAYERS = (
    archive(directory("d"), file("d/below", b"below"), file("gone", b"x"), symlink("s", "d")),
    archive(file(".wh.gone"), file("d/above", b"above", uid=7, gid=8, mode=0o640)),
)


@pytest.fixture(params=DRIVERS)
def driver(request):
    """Every driver."""
    return request.param


@pytest.fixture
def layerkit(cli, driver, tmp_path):
    """Runs commands with the driver, on an image `layout:test`; all is unmounted in the end."""

    def run(*arguments):
        return cli("--driver", driver, *arguments)

    oci_layout(tmp_path / "layout", LAYERS)
    assert run("load", "-q", "-i", tmp_path / "layout").code == 0
    yield run
    assert run("umount", "--all").code == 0


def only_line(outcome):
    """The one line of a command that went well."""
    assert outcome.code == 0, outcome.err
    (line,) = outcome.out.splitlines()
    return line


def test_an_image_is_mounted_as_it_is(layerkit):
    """All layers merged, with owners and modes, without layerkit's own files, read-only."""
    path = Path(only_line(layerkit("mount", "layout:test")))

    assert sorted(os.listdir(path)) == ["d", "s"]
    assert (path / "d/above").read_bytes() == b"above"
    assert (path / "s/below").read_bytes() == b"below"
    status = (path / "d/above").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (7, 8, 0o640)
    with pytest.raises(OSError, match="Read-only") as caught:
        (path / "new").write_text("x")
    assert caught.value.errno == errno.EROFS


def test_mounting_twice_is_one_mount(layerkit):
    """The same path comes again, and one umount ends it."""
    path = only_line(layerkit("mount", "layout:test"))

    assert only_line(layerkit("mount", "layout:test")) == path
    assert only_line(layerkit("mount")).endswith(f" {path}")
    assert only_line(layerkit("umount", "layout:test")) == "layout:test"
    assert not Path(path).exists()
    assert layerkit("mount").out == ""


def test_what_is_not_mounted_cannot_be_unmounted(layerkit):
    """So says the message."""
    refused = layerkit("umount", "layout:test")

    assert (refused.code, refused.err) == (3, "layerkit: layout:test is not mounted\n")


def test_a_mount_in_use_stays(layerkit):
    """SN-15: it is not pulled away from who looks at it; later it can be unmounted."""
    path = Path(only_line(layerkit("mount", "layout:test")))
    with (path / "d/below").open("rb") as used:
        refused = layerkit("umount", "layout:test")
        assert refused.code != 0
        assert refused.err.startswith(f"layerkit: cannot unmount layout:test: {path} is in use\n")
        assert used.read() == b"below"

    assert layerkit("umount", "layout:test").code == 0


def test_a_mounted_image_cannot_be_removed(layerkit):
    """Its layers are below the mount."""
    only_line(layerkit("mount", "layout:test"))

    refused = layerkit("rmi", "layout:test")

    assert "it is mounted on" in refused.err
    assert layerkit("umount", "-a").code == 0
    assert layerkit("rmi", "layout:test").code == 0


def test_changes_in_a_mounted_container_are_its_own(layerkit, state_root, driver):
    """What is written there is what `diff` tells, and neither the image nor others see it."""
    make(state_root, driver, "one")
    make(state_root, driver, "two")
    path = Path(only_line(layerkit("mount", "one")))
    (path / "d/new").write_text("new")
    (path / "d/below").unlink()

    assert layerkit("umount", "one").code == 0

    assert layerkit("diff", "one").out == "C /d\nD /d/below\nA /d/new\n"
    assert layerkit("diff", "two").out == ""
    assert layerkit("cat", "layout:test:/d/below").out == "below"
    other = Path(only_line(layerkit("mount", "two")))
    assert (other / "d/below").read_bytes() == b"below"
    assert (other / "dev").is_dir()


def make(root, driver, name):
    """A container that never ran."""
    with Home(root, driver=driver) as home:
        homes.create(home, find_image(home, "layout:test"), name=name, driver=driver)


def test_what_is_mounted_is_not_moved_away(layerkit, state_root, driver):
    """A snapshot would take the folder that the mount writes to."""
    make(state_root, driver, "box")
    only_line(layerkit("mount", "box"))

    refused = layerkit("snapshot", "create", "box", "s")

    assert refused.err.startswith("layerkit: cannot make a snapshot of box: it is mounted\n")
    assert layerkit("umount", "box").code == 0
    assert layerkit("snapshot", "create", "box", "s").code == 0


def test_a_container_that_runs_is_not_mounted(layerkit, state_root, driver):
    """OV-20: two mounts of one upper would be undefined (overlayfs.rst)."""
    make(state_root, driver, "box")
    with Home(state_root) as home:
        container = find_container(home, "box")
        states.write(home, container, states.Run(1.0, pid=os.getpid()))
        lock = home.containers / container.id / "lock"
    script = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        owner.stdout.readline()

        refused = layerkit("mount", "box")

        owner.stdin.close()
    assert refused.err.startswith("layerkit: cannot mount box: it is running\n")


def test_a_state_directory_where_overlayfs_cannot_write(cli, layerkit, driver, tmp_path):
    """OV-24, OV-26: the kernel's reason is told, nothing stays mounted, and a copy works there."""
    for name in ("lower", "box/upper", "box/work"):
        (tmp_path / name).mkdir(parents=True)
    with overlays.mounted([tmp_path / "lower"], tmp_path / "merged", tmp_path / "box") as place:
        root = place / "state"
        there = partial(cli, f"--root={root}", f"--driver={driver}")
        assert there("load", "-q", "-i", tmp_path / "layout").code == 0
        if driver == "overlay":  # nor can there be a whiteout (OV-13)
            with pytest.raises(StoreError, match="cannot write 'gone': operation not permitted"):
                make(root, driver, "box")
            return
        make(root, driver, "box")

        outcome = there("mount", "box")

        if driver == "copy":
            assert (Path(only_line(outcome)) / "d/below").read_bytes() == b"below"
            assert there("umount", "box").code == 0
        else:
            assert outcome.code == 6
            assert "not supported as upperdir" in outcome.err
            assert there("mount").out == ""


def test_what_somebody_killed_left_below_an_overlay_is_cleared(layerkit, state_root, driver):
    """Only a whole stack counts as mounted."""
    if driver == "copy":
        pytest.skip("nothing is stacked by the copy driver")
    make(state_root, driver, "box")
    with Home(state_root) as home:
        place = mountpoints.place(home, find_container(home, "box").id)
    place.mkdir(parents=True)
    linux.mount("tmpfs", str(place), "tmpfs", 0)

    path = Path(only_line(layerkit("mount", "box")))

    assert (path / "d/below").read_bytes() == b"below"
    assert mountpoints.types(place)[-1] == "overlay"


def test_who_may_not_mount_is_told_so(tmp_path):
    """Without root there is a clear error."""
    tmp_path.chmod(0o777)

    refused = layerkit_as_user(tmp_path, "mount", "x")

    assert "cannot mount: that needs root" in refused.err
