"""Where overlayfs has rules of its own, every driver shows and reads what the layers say."""

import os

import pytest
from support.tars import archive, directory, file, opaque, whiteout

from layerkit.errors import StoreError
from layerkit.tree import find

pytestmark = pytest.mark.root

BELOW = archive(directory("a/"), file("a/f"), file("x"))
BIG = b"content " * 2000


def overlay(**xattrs):
    """The xattrs of overlayfs in both of its spellings, as a hostile layer has them."""
    return {
        f"SCHILY.xattr.{space}.overlay.{name}": value
        for space in ("trusted", "user")
        for name, value in xattrs.items()
    }


STACKS = {
    "OV-06-opaque-root": ([BELOW, archive(opaque(""), file("only"))], ["only"]),
    "OV-07-on-a-whiteout": (
        [BELOW, archive(whiteout("a")), archive(file("a/g"))],
        ["a", "a/g", "x"],
    ),
    "OV-07-on-a-file": ([BELOW, archive(file("a")), archive(file("a/g"))], ["a", "a/g", "x"]),
    "OV-08-in-one-layer": ([BELOW, archive(whiteout("a"), file("a/g"))], ["a", "a/g", "x"]),
    "OV-09-xattr-whiteout": (
        [
            BELOW,
            archive(
                directory("a/", pax=overlay(opaque="x")),
                file("a/f", "", pax=overlay(whiteout="y")),
            ),
        ],
        ["a", "a/f", "x"],
    ),
}


@pytest.mark.parametrize(("layers", "names"), STACKS.values(), ids=STACKS)
def test_a_stack_shows_what_its_layers_say(bench, layers, names):
    """What a layer hides is hidden, however the kernel reads the marks, and nothing else is."""
    with bench.shown(bench.view(*layers).look()) as place:
        shown = sorted(os.fspath(path.relative_to(place)) for path in place.rglob("*"))

        assert shown == names
        assert all(path.lstat() for path in place.rglob("*"))  # a lookup says the same as a listing


def test_a_layer_points_nowhere_else(bench):
    """OV-16: a file that calls itself the metadata of another one holds what the layer says."""
    hostile = file("f", "mine", pax=overlay(metacopy="", redirect="/secret"))
    layers = [archive(file("secret", "theirs")), archive(hostile)]

    with bench.shown(bench.view(*layers).look()) as place:
        assert (place / "f").read_bytes() == b"mine"


def test_a_file_with_other_metadata_is_copied_whole(bench):
    """OV-17: what a container changed holds all bytes itself, so it can be read without a mount."""
    view = bench.view(archive(file("big", BIG)))
    layer = bench.container(view)
    with bench.shown(view.root(layer)) as place:
        (place / "big").chmod(0o600)

    assert (layer / bench.driver.directory / "big").read_bytes() == BIG
    found = find(bench.tree(layer, [archive(file("big", BIG))]), b"big")
    assert (found.entry.mode, found.entry.size) == (0o600, len(BIG))


def test_a_name_of_two_is_written_to(bench):
    """OV-18: what is read of a container is what it saw of both names of a file from below."""
    layers = [archive(file("a", "old"), file("b", "b"))]
    view = bench.view(*layers)
    layer = bench.container(view)
    with bench.shown(view.root(layer)) as place:
        os.link(place / "a", place / "twin")
        with (place / "a").open("a") as opened:
            opened.write("new")
        sizes = {name: (place / name).stat().st_size for name in ("a", "twin")}

    tree = bench.tree(layer, layers)

    assert {name: find(tree, name.encode()).entry.size for name in sizes} == sizes


def test_the_work_directory_need_not_be_empty(bench):
    """OV-21: what a mount that was killed left there is cleared by the next one."""
    view = bench.view(BELOW)
    layer = bench.container(view)
    with bench.shown(view.root(layer)) as place:
        (place / "new").touch()
    if bench.driver.is_layered:
        (layer / "work/work").mkdir(exist_ok=True)
        (layer / "work/work/left").write_text("x")

    with bench.shown(view.root(layer)) as place:
        assert sorted(os.listdir(place)) == ["a", "new", "x"]


def test_what_was_not_synced_is_not_mounted_again(bench):
    """OV-25, OV-36: of a container that was to go anyway, whoever was killed left what it wrote."""
    view = bench.view(BELOW)
    layer = bench.container(view)
    with bench.shown(view.root(layer, volatile=True)) as place:
        (place / "new").touch()

    if bench.driver.is_layered:
        with pytest.raises(StoreError, match=r"cannot mount what box wrote: .* may not be whole"):
            view.root(layer)
    else:
        assert os.listdir(layer / bench.driver.directory)
    assert find(bench.tree(layer, [BELOW]), b"new") is not None


def test_an_image_without_layers_is_written_to(bench):
    """SN-16: a container of it has a root of its own, with nothing in it but what is written."""
    view = bench.view(archive())
    layer = bench.container(view)

    with bench.shown(view.root(layer)) as place:
        assert os.listdir(place) == []
        (place / "new").touch()

    assert find(bench.tree(layer, [archive()]), b"new") is not None
