"""What a container shows is what podman, docker and layerkit show of the image that was pushed of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support import homes, images
from support.debian_registry import PROGRAM, debian_registry
from support.tars import archive, directory, file, hardlink, symlink
from support.trees import differences, scan

from layerkit import digest as digests
from layerkit.ops.home import Home

pytestmark = [pytest.mark.root, pytest.mark.debian(PROGRAM, "setfattr")]

BASE = archive(
    directory("d/"),
    file("d/kept", "kept"),
    file("d/gone", "gone"),
    directory("gone/"),
    file("gone/f"),
    directory("replaced/", 0o700, uid=5),
    file("replaced/old"),
    directory("replaced/deep/"),
    file("replaced/deep/f"),
    file("file"),
    directory("folder/"),
    file("folder/f"),
    symlink("way", "d"),
    file("one", "two names"),
    hardlink("two", "one"),
    file("lonely", "one name"),
)
WORK = """\
set -e
rm d/gone
rm -r gone replaced folder
mkdir -m 2750 replaced; echo new > replaced/new; mkdir replaced/deep
rm file; mkdir file; echo in > file/in
echo no folder > folder
rm way; mkdir way; echo in > way/in
echo more >> one
ln lonely d/company
echo both > made; ln made d/made
chown 5:6 d/kept; chmod 4755 d/kept
setfattr -n user.comment -v hello d/made
cp /bin/true capable
setfattr -n security.capability -v 0sAQAAAgAgAAAAAAAAAAAAAAAAAAA= capable
truncate -s 8M sparse; echo end >> sparse
mkfifo -m 640 pipe
mknod null c 1 3
ln -s /etc/passwd absolute
ln -s nowhere dangling
touch -d @1234567890.123456789 d/kept
touch -h -d @7 dangling
touch "$(printf 'caf\\351')" "$(printf '%0255d' 0)"
mkdir -m 1777 empty
"""
TOOLS = ("chown", "mkfifo", "mknod", "setfattr", "truncate")
RUN = ("run", "--name", "box", "app:1", "sh", "-c", WORK)
MOUNTED = {b"dev", b"proc", b"sys", b"etc/hosts", b"etc/hostname", b"etc/resolv.conf"}
"""What layerkit makes in each container to mount over."""


@pytest.fixture(params=["erofs", "copy"])
def pushed(request, cli, state_root, tmp_path):
    """The name of an image made of a container that did `WORK`, and a scan of the container.

    Of a file with two names that changes, an overlay changes one and a copy both: see `one`.
    """
    with debian_registry(tmp_path / "registry") as registry:
        layers = [images.sample_layer(TOOLS), BASE]
        with Home(state_root) as home:
            homes.load_layers(home, tmp_path / "layout", layers)
        assert cli("--driver", request.param, *RUN) == (0, "", "")
        place = cli("mount", "box").out.strip()
        shown = comparable(scan(place))
        assert cli("umount", "box").code == 0
        name = f"{registry.host}/made:1"
        assert cli("commit", "box", name).code == 0
        assert cli("push", "-q", name).code == 0
        yield name, shown


def comparable(found):
    """A scan without the times of folders: to put something into one changes its time, and podman
    and docker do so after they have set it.
    """
    return {
        path: replace(each, mtime=0) if each.kind == "directory" else each
        for path, each in found.items()
        if path not in MOUNTED
    }


def test_the_container_has_what_was_done(pushed):
    """The scan that all are compared with has the rarer things in it, or nothing is shown by that."""
    _, shown = pushed

    assert b"gone" not in shown
    assert shown[b"replaced"].mode == 0o2750
    assert shown[b"d/kept"].mode == 0o4755
    assert shown[b"d/made"].links == {b"d/made", b"made"}
    assert dict(shown[b"d/made"].xattrs) == {"user.comment": b"hello"}
    assert dict(shown[b"capable"].xattrs).keys() == {"security.capability"}
    assert shown[b"sparse"].size == (8 << 20) + 4
    assert b"caf\xe9" in shown


def test_podman_and_docker_show_the_same(pushed, engine, tmp_path):
    """Pulled into a fresh place, each path has the same content, owner, mode, time, xattrs, links."""
    name, shown = pushed

    engine.pull(name)

    assert differences(shown, comparable(scan(root_of(engine, name, tmp_path / "podman")))) == []


def root_of(engine, name, podman):
    """The directory with the image's root; both use a driver that has it as one."""
    if engine.command[0] != "docker":
        return podman / engine.run("image", "mount", name)
    root = Path(engine.run("info", "--format", "{{.DockerRootDir}}"))
    layers = json.loads(engine.run("image", "inspect", "--format", "{{json .RootFS.Layers}}", name))
    chain = digests.chain_ids(map(digests.parse, layers))[-1]
    layer = root / "image/vfs/layerdb/sha256" / chain.hex
    return root / "vfs/dir" / (layer / "cache-id").read_text()


def test_layerkit_shows_the_same(pushed, cli, tmp_path):
    """Pulled into a fresh state directory and unpacked, it is the same."""
    name, shown = pushed
    second = ("--root", tmp_path / "second")

    assert cli(*second, "pull", "-q", name).code == 0
    assert cli(*second, "unpack", name, tmp_path / "unpacked") == (0, "", "")

    assert differences(shown, comparable(scan(tmp_path / "unpacked"))) == []
