"""What layerkit unpacks is what umoci unpacks, of an image with everything in it."""

import re
import subprocess

import pytest
from support import images
from support.debian_registry import PROGRAM, debian_registry
from support.trees import differences, scan

pytestmark = [
    pytest.mark.root,
    pytest.mark.debian(PROGRAM, "skopeo", *images.FIVE_LAYERS_PROGRAMS),
    pytest.mark.timeout(600),  # the first one builds the image
]


@pytest.fixture(scope="module")
def layout():
    """The image of five layers as an OCI layout."""
    return images.five_layers()


@pytest.fixture(scope="module")
def by_umoci(layout, tmp_path_factory):
    """The scan of the image as umoci unpacks it."""
    bundle = tmp_path_factory.mktemp("umoci") / "bundle"
    subprocess.run(
        ["umoci", "unpack", "--image", f"{layout}:test", bundle], check=True, capture_output=True
    )
    return scan(bundle / "rootfs")


def unpacked(cli, name, folder):
    """The scan of an image as layerkit unpacks it."""
    outcome = cli("unpack", name, folder)
    assert (outcome.code, outcome.err) == (0, "")
    return scan(folder)


def test_the_image_has_every_kind_of_entry(by_umoci):
    """The comparison below means something: what is easy to lose is in the image."""
    kinds = {each.kind for each in by_umoci.values()}
    xattrs = {name for each in by_umoci.values() for name, _ in each.xattrs}

    assert {"fifo", "character device", "block device", "symlink"} < kinds
    assert {"security.capability", "user.comment"} <= xattrs
    assert by_umoci[b"odd/setuid"].mode == 0o4755
    assert by_umoci[b"odd/attributed"].mtime == 1_234_567_890_123_456_789
    assert by_umoci[b"etc/passwd"].links == {b"etc/passwd", b"etc/passwd.copy"}
    assert by_umoci[b"opt/app/node_modules/package-5"].kind == "file"
    assert b"odd/latin-\xe9" in by_umoci
    assert max(map(len, by_umoci)) > 255
    assert b"usr/share/perl5" not in by_umoci
    assert b"opt/app/node_modules/package-3/package.json" not in by_umoci


def test_a_loaded_layout_unpacks_as_umoci_does(layout, by_umoci, cli, tmp_path):
    """Names, types, bytes, modes, owners, times, targets, xattrs and hard links are the same."""
    loaded = cli("load", "-i", layout)
    assert loaded.code == 0, loaded.err
    name = re.search(r"^Loaded image(?: ID)?: (\S+)$", loaded.out, re.MULTILINE)[1]

    assert differences(by_umoci, unpacked(cli, name, tmp_path / "rootfs")) == []


def test_a_pulled_image_unpacks_as_umoci_does(layout, by_umoci, cli, tmp_path):
    """The way through a registry changes nothing."""
    with debian_registry(tmp_path / "registry") as registry:
        name = registry.push(f"{layout}:test", "five:test")
        pulled = cli("pull", name)
    assert pulled.code == 0, pulled.err

    assert differences(by_umoci, unpacked(cli, name, tmp_path / "rootfs")) == []
