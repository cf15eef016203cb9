"""A file has the same bytes, whether its image is here, in a registry, or below a container."""

from __future__ import annotations

import os
import stat

import pytest
from support import tars
from support.lookers import bring, looker, make_container
from support.registry import TestRegistry

from layerkit.errors import NotFoundError, StoreError, UsageError
from layerkit.ops.cat import cat

BINARY = bytes(range(256)) * 5000
BASE = (
    tars.directory("usr"),
    tars.directory("usr/lib"),
    tars.file("usr/lib/os-release", "ID=base\n"),
    tars.directory("etc"),
    tars.symlink("etc/os-release", "../usr/lib/os-release"),
    tars.file("etc/motd", "old\n"),
    tars.file("etc/gone", "gone\n"),
    tars.symlink("lib", "usr/lib"),
    tars.file("binary", BINARY),
    tars.file("empty", b""),
    tars.gnu_sparse("sparse", [(5, 3), (2_000_000, 2)], 3_000_000, b"abcde"),
    tars.gnu_sparse("hole", [], 1000, b""),
    tars.file("first", "linked\n"),
    tars.hardlink("second", "first"),
    tars.directory("dev"),
    tars.character("dev/null", 1, 3),
    tars.block("dev/disk", 8, 0),
    tars.fifo("dev/pipe"),
)
TOP = (
    tars.directory("etc"),
    tars.file("etc/motd", "new\n"),
    tars.whiteout("etc/gone"),
    tars.file("lib/added", "through a symlink\n"),
    tars.symlink("absolute", "/etc/os-release"),
    tars.symlink("above", "../../../etc/motd"),
    tars.symlink("etc/loop", "loop"),
    tars.symlink("dangling", "nowhere"),
    tars.hardlink("third", "first"),
)


@pytest.fixture(scope="module")
def registry():
    """A registry with an image of two layers, `app:1`."""
    with TestRegistry() as running:
        running.add_image("app", "1", [tars.archive(*BASE), tars.archive(*TOP)])
        yield running


@pytest.fixture
def name(registry):
    """The name of the image."""
    return f"{registry.host}/app:1"


@pytest.fixture(params=["here", "remote"])
def image(request, name, state_root):
    """The name of the image, which is in the store or only in the registry."""
    return bring(state_root, name) if request.param == "here" else name


def read(root, name, path):
    """The bytes of one file."""
    with looker(root) as found:
        return b"".join(cat(found.find(name), path.encode()))


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/usr/lib/os-release", b"ID=base\n"),
        ("/etc/os-release", b"ID=base\n"),
        ("/etc/motd", b"new\n"),
        ("/binary", BINARY),
        ("/empty", b""),
        ("/sparse", bytes(5) + b"abc" + bytes(1_999_992) + b"de" + bytes(999_998)),
        ("/hole", bytes(1000)),
        ("/second", b"linked\n"),
        ("/third", b"linked\n"),
        ("/lib/os-release", b"ID=base\n"),
        ("/usr/lib/added", b"through a symlink\n"),
        ("/lib/added", b"through a symlink\n"),
        ("/absolute", b"ID=base\n"),
        ("/above", b"new\n"),
        ("/lib/../../etc/./motd", b"new\n"),
        ("//etc//motd", b"new\n"),
    ],
)
def test_a_file_has_the_bytes_that_the_layers_show(image, state_root, path, wanted):
    """Upper layers win, links are followed inside the root, and holes are zeros."""
    assert read(state_root, image, path) == wanted


NO_FILES = [
    ("/nope", NotFoundError, "no such file or directory"),
    ("/etc/gone", NotFoundError, "no such file or directory"),
    ("/etc/motd/x", NotFoundError, "no such file or directory"),
    ("/etc/loop", NotFoundError, "no such file or directory"),
    ("/dangling", NotFoundError, "no such file or directory"),
    ("/", UsageError, "it is a directory"),
    ("/etc", UsageError, "it is a directory"),
    ("/lib", UsageError, "it is a directory"),
    ("/etc/motd/", UsageError, "it is not a directory"),
    ("/dev/null", UsageError, "it is a character device"),
    ("/dev/disk", UsageError, "it is a block device"),
    ("/dev/pipe", UsageError, "it is a fifo"),
]


@pytest.mark.parametrize(("path", "kind", "why"), NO_FILES)
def test_what_is_no_file_is_refused(image, state_root, path, kind, why):
    """The error says what there is instead, as cat does."""
    with pytest.raises(kind) as caught:
        read(state_root, image, path)

    assert caught.value.message == f"cannot read {path} of {image}: {why}"


@pytest.fixture
def upper(name, state_root):
    """The upper directory of a container `try` of the image."""
    return make_container(state_root, bring(state_root, name), "try")


def test_a_container_shows_its_own_files_over_the_image(upper, state_root):
    """Changed and new files come from the upper, the others from the image."""
    (upper / "etc").mkdir()
    (upper / "etc/motd").write_bytes(b"mine\n")
    (upper / "new").write_bytes(BINARY)
    os.link(upper / "new", upper / "linked")
    (upper / "link").symlink_to("/etc/motd")
    (upper / "hole").write_bytes(b"")
    os.truncate(upper / "hole", 3_000_000)

    wanted = {
        "/etc/motd": b"mine\n",
        "/etc/os-release": b"ID=base\n",
        "/new": BINARY,
        "/linked": BINARY,
        "/link": b"mine\n",
        "/hole": bytes(3_000_000),
        "/binary": BINARY,
        "/etc/hosts": b"",
    }
    assert {path: read(state_root, "try", path) for path in wanted} == wanted


@pytest.mark.root
def test_a_container_does_not_show_what_it_deleted(upper, state_root):
    """A whiteout of overlayfs hides the image's file."""
    os.mknod(upper / "binary", stat.S_IFCHR, os.makedev(0, 0))

    with pytest.raises(NotFoundError, match="cannot read /binary of try: no such file"):
        read(state_root, "try", "/binary")


@pytest.mark.parametrize("what", ["nothing", "fifo", "symlink", "symlink above"])
def test_what_a_container_swaps_meanwhile_is_not_followed(upper, state_root, tmp_path, what):
    """Between the look at the tree and the read a file may become anything; only a file is read."""
    (tmp_path / "secret").write_bytes(b"of the host")
    (upper / "d").mkdir()
    (upper / "d/secret").write_bytes(b"mine")
    with looker(state_root) as found:
        content = cat(found.find("try"), b"/d/secret")
        (upper / "d/secret").unlink()
        match what:
            case "fifo":
                os.mkfifo(upper / "d/secret")
            case "symlink":
                (upper / "d/secret").symlink_to(tmp_path / "secret")
            case "symlink above":
                (upper / "d").rmdir()
                (upper / "d").symlink_to(tmp_path)
        with pytest.raises(NotFoundError, match="try has no file /d/secret any more"):
            list(content)


def test_a_layer_that_cannot_be_read_is_an_error_of_the_store(name, state_root):
    """A tar that is gone from the store is told as such."""
    bring(state_root, name)
    for tar in (state_root / "layers").glob("*/tar"):
        tar.unlink()

    with pytest.raises(StoreError, match="cannot read layer"):
        read(state_root, name, "/binary")
