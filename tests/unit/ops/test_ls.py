"""A listing shows the names of a directory as the merged tree has them."""

from __future__ import annotations

import pytest
from support import tars
from support.lookers import bring, looker, make_container
from support.registry import TestRegistry

from layerkit.errors import IntegrityError, NotFoundError, UsageError
from layerkit.ops.ls import ls

BASE = tars.archive(
    tars.directory("etc"),
    tars.file("etc/motd", "old\n"),
    tars.file("etc/gone"),
    tars.directory("etc/deep"),
    tars.directory("etc/deep/er"),
    tars.file("etc/deep/er/z"),
    tars.symlink("link", "etc"),
    tars.symlink("file", "etc/motd"),
    tars.symlink("dangling", "nowhere"),
    tars.hardlink("etc/same", "etc/motd"),
)
TOP = tars.archive(
    tars.directory("etc"),
    tars.whiteout("etc/gone"),
    tars.file("etc/B"),
    tars.file(b"etc/\xff"),
    tars.hardlink("third", "etc/motd"),
)


@pytest.fixture(scope="module")
def registry():
    """A registry with an image of two layers, `app:1`."""
    with TestRegistry() as running:
        running.add_image("app", "1", [BASE, TOP])
        yield running


@pytest.fixture
def name(registry):
    """The name of the image."""
    return f"{registry.host}/app:1"


@pytest.fixture(params=["here", "remote"])
def image(request, name, state_root):
    """The name of the image, which is in the store or only in the registry."""
    return bring(state_root, name) if request.param == "here" else name


def listed(root, name, path, **options):
    """The listings as a dict from folder to names."""
    with looker(root) as found:
        listings = ls(found.find(name), path.encode(), **options)
        return {listing.path: [row.name for row in listing.rows] for listing in listings}


ETC = [b"B", b"deep", b"motd", b"same", b"\xff"]
ROOT = [b"dangling", b"etc", b"file", b"link", b"third"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/", {b"/": ROOT}),
        ("/etc", {b"/etc": ETC}),
        ("/etc/", {b"/etc": ETC}),
        ("/link", {b"/link": ETC}),
        ("/link/deep", {b"/link/deep": [b"er"]}),
        ("/etc/..", {b"/etc/..": ROOT}),
        ("/etc/motd", {None: [b"/etc/motd"]}),
        ("/file", {None: [b"/file"]}),
        ("/dangling", {None: [b"/dangling"]}),
    ],
)
def test_a_directory_has_the_names_of_all_layers(image, state_root, path, wanted):
    """Names are in byte order, hidden ones missing; a file is listed as itself."""
    assert listed(state_root, image, path) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("/link", {None: [b"/link"]}), ("/link/", {b"/link": ETC}), ("/etc", {b"/etc": ETC})],
)
def test_with_links_a_symlink_is_listed_itself(image, state_root, path, wanted):
    """As with `ls -l`, a symlink at the end is followed only if a slash stands behind it."""
    assert listed(state_root, image, path, links=True) == wanted


def test_recursion_goes_down_in_order(image, state_root):
    """Each directory comes before those below it, and no symlink is followed."""
    wanted = {b"/": ROOT, b"/etc": ETC, b"/etc/deep": [b"er"], b"/etc/deep/er": [b"z"]}

    found = listed(state_root, image, "/", recursive=True)

    assert found == wanted
    assert list(found) == list(wanted)


def test_links_count_names(image, state_root):
    """A file has as many links as names in the whole tree, a directory two and its folders."""
    with looker(state_root) as found:
        subject = found.find(image)
        (root,) = ls(subject, b"/", links=True)
        (etc,) = ls(subject, b"/etc", links=True)
        (motd,) = ls(subject, b"/etc/motd", links=True)

    assert {row.name: row.links for row in root.rows} == {
        b"dangling": 1,
        b"etc": 3,
        b"file": 1,
        b"link": 1,
        b"third": 3,
    }
    assert {row.name: row.links for row in etc.rows}[b"same"] == 3
    assert motd.rows[0].links == 3


@pytest.mark.parametrize(
    ("path", "kind", "why"),
    [
        ("/nope", NotFoundError, "no such file or directory"),
        ("/etc/gone", NotFoundError, "no such file or directory"),
        ("/dangling/", NotFoundError, "no such file or directory"),
        ("/etc/motd/", UsageError, "it is not a directory"),
        ("/file/", UsageError, "it is not a directory"),
    ],
)
def test_what_is_not_there_is_an_error(image, state_root, path, kind, why):
    """The error names path and image."""
    with pytest.raises(kind) as caught:
        listed(state_root, image, path)

    assert caught.value.message == f"cannot list {path} of {image}: {why}"


def test_a_container_shows_its_changes(name, state_root):
    """What is in the upper is listed with what the image has, and with layerkit's own folders."""
    upper = make_container(state_root, bring(state_root, name), "try")
    (upper / "new").mkdir()
    (upper / "new/file").write_bytes(b"x")

    assert listed(state_root, "try", "/new") == {b"/new": [b"file"]}
    assert listed(state_root, "try", "/")[b"/"] == sorted([*ROOT, b"dev", b"new", b"proc", b"sys"])


def test_a_remote_file_needs_no_layer_below(registry, name, state_root):
    """That a file is there is known when the top layer with it is read, whatever is below."""
    low = [tars.archive(tars.hardlink(f"h{number}", "nowhere")) for number in range(3)]
    registry.add_image("many", "1", [*low, tars.archive(tars.file("y"))])

    assert listed(state_root, f"{registry.host}/many:1", "/y") == {None: [b"/y"]}
    with pytest.raises(IntegrityError, match="nowhere"):
        listed(state_root, f"{registry.host}/many:1", "/")
