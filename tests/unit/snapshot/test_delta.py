"""A delta has what the tree adds to the one below, and no more; the stack of them is the tree."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from support import layer_cases, stacks
from support.listing import entries_of, merged
from support.tars import archive, directory, file, hardlink, opaque, symlink, whiteout

from layerkit.layer import merge
from layerkit.snapshot import delta
from layerkit.tree import Entry, Kind, empty, find, inside, walk

BASE = archive(
    directory("d/"),
    file("d/a"),
    directory("d/s/"),
    file("d/s/f"),
    file("top"),
    symlink("sl", "d"),
    hardlink("twin", "top"),
)


def on_base(*entries):
    """The delta of one layer of `entries` on `BASE`, as three lists of paths."""
    lower = merged([BASE])
    return lists(delta.between(lower, merge.apply(lower, entries_of(archive(*entries)), 1)))


def lists(change):
    """Directories without the root, others, whiteouts; each sorted."""
    directories = sorted(path.decode() for path in change.directories if path)
    others = sorted(path.decode() for path in change.others)
    return directories, others, sorted(path.decode() for path in change.whiteouts)


ROWS = {
    "nothing": ([], [], [], []),
    "new-file": ([file("n")], [], ["n"], []),
    "new-file-deep": ([file("d/s/n")], ["d", "d/s"], ["d/s/n"], []),
    "new-folders": ([directory("x/"), directory("x/y/")], ["x", "x/y"], [], []),
    "implied-folders": ([file("x/y/z")], ["x", "x/y"], ["x/y/z"], []),
    "changed-file": ([file("d/a", "b")], ["d"], ["d/a"], []),
    "metadata-of-a-folder": ([directory("d/", 0o700)], ["d"], [], []),
    "deleted-file": ([whiteout("d/a")], ["d"], [], ["d/a"]),
    "deleted-folder": ([whiteout("d")], [], [], ["d"]),
    "deleted-what-is-not-there": ([whiteout("d/nope"), whiteout("x/y")], [], [], []),
    "deleted-and-made-again": ([whiteout("d/a"), file("d/a")], ["d"], ["d/a"], []),
    "opaque": ([opaque("d"), file("d/n")], ["d"], ["d/n"], ["d/a", "d/s"]),
    "opaque-root": ([opaque(""), file("n")], [], ["n"], ["d", "sl", "top", "twin"]),
    "folder-made-again": ([whiteout("d"), directory("d/"), file("d/a")], ["d"], ["d/a"], ["d/s"]),
    "file-becomes-folder": ([directory("top/"), file("top/x")], ["top"], ["top/x"], []),
    "folder-becomes-file": ([file("d")], [], ["d"], []),
    "folder-becomes-symlink": ([symlink("d", "x")], [], ["d"], []),
    "symlink-becomes-folder": ([directory("sl/"), file("sl/x")], ["sl"], ["sl/x"], []),
    "below-a-symlink": ([file("sl/n")], ["d"], ["d/n"], []),
    "link-to-a-lower-file": ([hardlink("h", "d/a")], ["d"], ["d/a", "h"], []),
    "link-to-a-lower-group": ([hardlink("h", "top")], [], ["h", "top", "twin"], []),
    "link-in-the-layer": ([file("n"), hardlink("h", "n")], [], ["h", "n"], []),
    "link-deep": ([hardlink("x/h", "d/s/f")], ["d", "d/s", "x"], ["d/s/f", "x/h"], []),
    "one-of-a-group-goes": ([whiteout("twin")], [], [], ["twin"]),
    "one-of-a-group-changes": ([file("twin", "y")], [], ["twin"], []),
}


@pytest.mark.parametrize(("entries", "directories", "others", "whiteouts"), ROWS.values(), ids=ROWS)
def test_a_delta_has_what_one_layer_changes(entries, directories, others, whiteouts):
    """Changed nodes with the folders on their way, and a whiteout only for a name below."""
    assert on_base(*entries) == (directories, others, whiteouts)


def test_the_root_is_always_in_it():
    """Its mode and owner are those of the top layer's directory."""
    tree = merged([archive(directory("./", 0o711))])

    assert delta.between(empty(), tree).directories[b""].entry.mode == 0o711
    assert delta.between(tree, tree).directories[b""] is tree


def test_a_flat_delta_is_the_whole_tree():
    """Nothing is below it, so every node is written and none hidden."""
    tree = merged([BASE, archive(whiteout("d/a"), file("n"))])

    change = delta.flat(tree)

    assert {**change.directories, **change.others} == {b"": tree, **dict(walk(tree))}
    assert change.whiteouts == []


def shown(changes):
    """What overlayfs makes of a stack of deltas: path -> node (kernel overlayfs.rst)."""
    found = {}
    for change in changes:
        for path in change.whiteouts:
            assert path in found, "a whiteout of nothing"
            _hide(found, path)
        for path, node in change.directories.items():
            if path in found and found[path].kind is not Kind.DIRECTORY:
                _hide(found, path)
            found[path] = node
        for path, node in change.others.items():
            _hide(found, path)
            found[path] = node
    return found


def _hide(found, path):
    for each in [each for each in found if each == path or each.startswith(path + b"/")]:
        del found[each]


def stack_of(layers):
    """The deltas of layers, and the tree on top."""
    trees = [empty()]
    for number, entries in enumerate(layers):
        trees.append(merge.apply(trees[-1], entries, number))
    return [delta.between(*pair) for pair in itertools.pairwise(trees)], trees[-1]


def assert_shows(layers):
    """The stack of deltas shows the tree, each file of a link group written side by side."""
    changes, tree = stack_of(layers)
    wanted = {b"": tree, **dict(walk(tree))}
    got = {b"": tree, **shown(changes)}
    assert got.keys() == wanted.keys()
    assert {path: node.entry for path, node in got.items()} == {
        path: node.entry for path, node in wanted.items()
    }
    for path, node in wanted.items():
        if node.children is None:
            assert _written_in(changes, path) == _written_in(changes, first_name(tree, node))


def first_name(tree, node):
    """The first path of an inode."""
    return next(path for path, each in walk(tree) if each is node)


def _written_in(changes, path):
    """The number of the layer whose directory has the file that is seen at `path`."""
    return max(number for number, change in enumerate(changes) if path in change.others)


@given(stacks.stacks(refused=False))
def test_the_stack_of_deltas_shows_the_tree(layers):
    """INV-1: for any layers, what overlayfs makes of the directories is the flat tree."""
    assert_shows(layers)


@pytest.mark.parametrize("case", layer_cases.params(layer_cases.TREES))
def test_known_stacks_show_their_tree(case):
    """INV-1 for the layers that other tools get wrong."""
    assert_shows([entries_of(tar) for tar in case.layers])


@given(stacks.stacks(refused=False))
def test_parents_come_first(layers):
    """Whoever writes a delta in its order finds each directory made."""
    changes, tree = stack_of(layers)
    for change in [*changes, delta.flat(tree)]:
        made = {b""}
        for path in change.directories:
            assert path.rpartition(b"/")[0] in made
            made.add(path)
        for path in [*change.others, *change.whiteouts]:
            assert path.rpartition(b"/")[0] in made


def test_a_deep_tree_needs_no_deep_stack():
    """1,500 levels are as good as one."""
    path = b"/".join([b"n"] * 1500)
    tree = merge.apply(empty(), [Entry(path + b"/f", Kind.FILE)], 0)

    change = delta.flat(tree)

    assert (len(change.directories), list(change.others)) == (1501, [path + b"/f"])
    assert find(tree, path) is change.directories[path]


def test_what_both_trees_share_costs_nothing():
    """A folder that the layer does not touch is not looked into."""
    lower = merged([BASE])

    class Untouched(dict):
        def items(self):
            pytest.fail("looked into")

        __iter__ = keys = items

    inside(lower)[b"d"].children = Untouched(inside(lower)[b"d"].children)
    tree = merge.apply(lower, [Entry(b"n", Kind.FILE)], 1)

    assert lists(delta.between(lower, tree)) == ([], ["n"], [])
