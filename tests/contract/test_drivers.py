"""What every snapshot driver promises: the tree of the layers below, changes kept to their container."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import layer_cases, overlays, random_stacks
from support.listing import merged, scan_of, wanted
from support.stacks import CONTENT
from support.tars import archive, character, directory, file, hardlink, symlink, whiteout
from support.trees import differences, scan

from layerkit import digest as digests
from layerkit.errors import IntegrityError
from layerkit.events import Notice
from layerkit.ops.drivers import Drivers

pytestmark = pytest.mark.root

STACKS = 100
STACKS_LONG = 5_000

BASE = archive(
    directory("./", mode=0o711, uid=5, gid=6, pax={"SCHILY.xattr.user.root": "x"}),
    directory("d"),
    file("d/a", b"a" * 700),
    file("d/b", b"b"),
    hardlink("d/c", "d/b"),
    symlink("s", "d"),
    file("owned", b"o", uid=7, gid=8, mode=0o4750, mtime=5),
)
ABOVE = archive(whiteout("d/a"), file("d/new", b"n" * 5000), directory("e", mode=0o700))
BOTH = scan_of(merged([BASE, ABOVE]), [BASE, ABOVE])


@pytest.mark.parametrize(
    "case", layer_cases.params([case for case in layer_cases.TREES if case.layers])
)
def test_the_tree_of_the_layers_is_shown(bench, case):
    """INV-1, SN-17: down to the last attribute, for every rule of layers."""
    with bench.shown(bench.view(*case.layers).look()) as place:
        assert differences(bench.kept(wanted(case.tree)), scan(place)) == []


def test_random_stacks_are_shown_as_the_merge_has_them(bench, request):
    """INV-1: whatever the layers hold."""
    count = STACKS_LONG if request.config.getoption("--long") else STACKS
    content = bench.root / "tars/content"
    content.write_bytes(CONTENT)
    for number in range(count):
        layers = random_stacks.stack(number)
        stack = sound(bench, number, layers, content)
        if stack is None:
            continue
        tree = stack.trees()[-1]
        view = bench.driver.prepare(stack, lambda _event: None)
        with bench.shown(view.look()) as place:
            shown = bench.kept(scan_of(tree, [CONTENT] * len(layers)))
            found = differences(shown, scan(place))
            assert found == [], f"stack {number}"
        for chain in stack.chains:
            bench.driver.remove(chain)


def sound(bench, number, layers, content):
    """The stack of random layers, None of some that no image can have."""
    diff_ids = [digests.of_bytes(b"%d %d" % (number, layer)) for layer in range(len(layers))]
    stack = bench.stack_of(layers, [content] * len(layers), diff_ids)
    try:
        stack.trees()
    except IntegrityError:
        return None
    return stack


def test_what_shows_an_image_cannot_be_written_to(bench):
    """OV-22: not even where it is a plain folder."""
    view = bench.view(BASE)
    with (
        overlays.shown(view.look(), bench.folder / "shown", readonly=True) as place,
        pytest.raises(OSError, match="Read-only") as caught,
    ):
        (place / "new").write_text("x")
    assert caught.value.errno == errno.EROFS


def test_a_new_container_shows_the_view(bench):
    """SN-01, SN-14: with owner, mode, times and xattrs of its root, too."""
    view = bench.view(BASE, ABOVE)
    layer = bench.container(view)

    with bench.shown(view.root(layer)) as place:
        assert differences(bench.kept(BOTH), scan(place)) == []


def change(place, bench):
    """All kinds of changes."""
    other = 9 if bench.ids != 1 else 0
    (place / "d/b").write_bytes(b"changed")
    (place / "d/new").unlink()
    os.chmod(place / "owned", 0o600)
    os.chown(place / "s", other, other, follow_symlinks=False)
    (place / "e/deep").mkdir()
    (place / "e/deep/file").write_bytes(b"deep")
    os.setxattr(place / "d", "user.k", b"v")
    os.rename(place / "owned", place / "e/moved")
    # A user's overlay has no file handles: names of one file from below have one inode only later.
    os.link(place / ("e/moved" if bench.ids is None else "e/deep/file"), place / "linked")
    os.mkfifo(place / "pipe")
    (place / "link").symlink_to("e")


def test_changes_are_the_containers_own(bench):
    """SN-01: neither the view nor another container sees them, and a new mount of it does."""
    view = bench.view(BASE, ABOVE)
    untouched = bench.kept(BOTH)
    layer, other = bench.container(view), bench.container(view, "other")

    with bench.shown(view.root(layer)) as place:
        change(place, bench)
        changed = scan(place)

    for root in (view.look(), view.root(other)):
        with bench.shown(root) as place:
            assert differences(untouched, scan(place)) == []
    with bench.shown(view.root(layer)) as place:
        assert differences(changed, scan(place)) == []


def test_changes_are_read_back_as_they_were_shown(bench):
    """SN-06: the tree that is read from the folder is the one that was seen through the mount."""
    view = bench.view(BASE, ABOVE)
    layer = bench.container(view)
    with bench.shown(view.root(layer)) as place:
        change(place, bench)
        names = sorted(os.fspath(path.relative_to(place)) for path in place.rglob("*"))

    tree = bench.tree(layer, [BASE, ABOVE])

    assert sorted(path.decode() for path, _ in paths(tree)) == names


def test_a_folder_in_place_of_another_is_read_as_such(bench):
    """OV-02, OV-38: with what overlayfs marks it, which is another xattr in a user namespace."""
    view = bench.view(BASE, ABOVE)
    layer = bench.container(view)
    with bench.shown(view.root(layer)) as place:
        shutil.rmtree(place / "d")
        (place / "d/below").mkdir(parents=True)

    tree = bench.tree(layer, [BASE, ABOVE])

    assert [path for path, _ in paths(tree) if path.startswith(b"d")] == [b"d", b"d/below"]


@pytest.mark.parametrize("mark", ["trusted.overlay.opaque", "user.overlay.opaque"])
def test_who_writes_a_mark_hides_nothing(bench, mark):
    """OV-11, XA-09: what a container writes itself means nothing, neither mounted nor read."""
    view = bench.view(BASE)
    layer = bench.container(view)
    with bench.shown(view.root(layer)) as place:
        with contextlib.suppress(PermissionError):
            os.setxattr(place / "d", mark, b"y")
        names = sorted(os.listdir(place / "d"))

    tree = bench.tree(layer, [BASE])
    with bench.shown(view.root(layer)) as place:
        assert sorted(os.listdir(place / "d")) == names == ["a", "b", "c"]
    assert [path for path, _ in paths(tree) if path.startswith(b"d/")] == [b"d/a", b"d/b", b"d/c"]


def test_a_frozen_layer_with_marks_of_its_own(bench):
    """EX-25, XA-09: a container goes on from what another left, also from a device 0:0 and marks."""
    view = bench.view(BASE)
    first = bench.container(view)
    with bench.shown(view.root(first)) as place:
        for mark in ("trusted.overlay.opaque", "user.overlay.opaque"):
            with contextlib.suppress(PermissionError):
                os.setxattr(place / "d", mark, b"y")
        with contextlib.suppress(PermissionError):
            os.mknod(place / "device", stat.S_IFCHR, 0)

    second = bench.root / "containers/second"
    second.mkdir()
    view.begin(second, first)

    with bench.shown(view.root(second, [first])) as place:
        assert sorted(os.listdir(place)) == ["d", "owned", "s"]
        assert sorted(os.listdir(place / "d")) == ["a", "b", "c"]


def paths(tree):
    """All paths with their nodes."""
    from layerkit.tree import walk  # noqa: PLC0415

    return list(walk(tree))


def test_a_view_is_made_once(bench):
    """OV-01: nothing is read of the layers when it is here, also after the driver was made anew."""
    bench.view(BASE, ABOVE)
    asked = bench.asked
    again = Drivers(bench.root)[bench.driver.name]

    stack = bench.stack((BASE, ABOVE))
    again.prepare(stack, lambda _event: None)

    assert bench.asked == asked


def test_what_is_removed_is_made_again(bench):
    """Nothing of it stays; removing what is not there is no error."""
    stack = bench.stack((BASE, ABOVE))
    bench.driver.prepare(stack, lambda _event: None)
    for chain in (*stack.chains, *stack.chains):
        bench.driver.remove(chain)
    assert list((bench.root / "trees").iterdir()) == []
    assert list((bench.root / "views").iterdir()) == []

    with bench.shown(bench.driver.prepare(stack, lambda _event: None).look()) as place:
        assert differences(bench.kept(BOTH), scan(place)) == []


def test_several_make_a_view_at_once(bench):
    """SN-13: all get it, and nothing is left over."""
    count = 4
    together = threading.Barrier(count)
    stack = bench.stack((BASE, ABOVE))

    def prepare(_number):
        together.wait(30)
        return bench.driver.prepare(stack, lambda _event: None)

    with ThreadPoolExecutor(count) as pool:
        views = list(pool.map(prepare, range(count)))

    assert list((bench.root / "ingest").iterdir()) == []
    with bench.shown(views[0].look()) as place:
        assert differences(bench.kept(BOTH), scan(place)) == []


@pytest.mark.parametrize("space", ["a b", "a:b", "a,b", "a\\b", "é" * 100, "x" * 255])
def test_a_state_directory_may_have_any_name(bench, space):
    """SN-19, OV-31: nothing in a path means something to the kernel's options."""
    other = bench.beside(space)
    view = other.view(BASE, ABOVE)
    layer = other.container(view)

    with other.shown(view.root(layer)) as place:
        (place / "new").write_text("x")
        assert (place / "owned").read_bytes() == b"o"


def test_more_layers_than_the_kernel_stacks(bench):
    """The limit that is promised is 500 layers, beside layerkit's own and snapshots."""
    tars = [archive(file(f"f{number}", b"%d" % number)) for number in range(501)]
    view = bench.view(*tars)
    layer = bench.container(view)

    with bench.shown(view.root(layer)) as place:
        assert len(os.listdir(place)) == len(tars)
        assert (place / "f0").read_bytes() == b"0"
        (place / "f500").unlink()
        assert len(os.listdir(place)) == len(tars) - 1


def test_devices_are_inert(bench):
    """SE-55: a device of an image cannot be opened; what a user makes does not have it."""
    error = PermissionError if bench.ids is None else FileNotFoundError
    view = bench.view(archive(character("disk", 1, 3)))
    with bench.shown(view.root(bench.container(view))) as place, pytest.raises(error):
        (place / "disk").open("rb")


def test_a_device_hides_what_it_replaces(bench):
    """DV-02: also where it is left out."""
    layers = [archive(file("x"), file("d/y")), archive(character("x", 1, 3), character("d", 1, 3))]
    wanted_names = ["d", "x"] if bench.ids is None else []
    with bench.shown(bench.view(*layers).look()) as place:
        assert sorted(os.listdir(place)) == wanted_names


def test_what_cannot_be_kept_is_told(bench):
    """DV-02, MD-24: in one warning; root keeps all."""
    events = []
    stack = bench.stack([archive(character("disk", 1, 3), file("far", uid=2**31))])

    bench.driver.prepare(stack, events.append)

    lost = "1 device file (first: device 'disk')"
    lack = "for lack of rights or of support in the file system"
    told = (
        "1 owner only recorded, in user.rootlesscontainers; "
        f"not kept in the image's view, {lack}: {lost}"
    )
    assert events == ([] if bench.ids is None else [Notice("warning", told)])
