"""The layer between two trees says what the comparison tells, in order, and gives the second tree."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import stacks
from support.listing import content, entries_of, merged
from support.tars import (
    archive,
    directory,
    file,
    hardlink,
    opaque,
    symlink,
    whiteout,
)

from layerkit.diff.compare import compare
from layerkit.layer import changeset, merge
from layerkit.ops.tarring import Tarring
from layerkit.tree import Change, Entry, Kind, Node, empty, walk

NEW = 2_000_000_000
BASE = archive(
    directory("d1/"),
    file("d1/f1", "1"),
    directory("d2/", 0o770),
    file("d2/f", "old"),
    directory("deep/"),
    directory("deep/er/"),
    file("deep/er/x"),
    file("one", "same"),
    hardlink("two", "one"),
    symlink("link", "d1"),
)


def lines(*entries, base=BASE):
    """What a layer must say so that these entries come to the base, as text."""
    tars = [base, archive(*entries)]
    lower = merged(tars[:1])
    after = merge.apply(lower, entries_of(tars[1]), 1)
    return [
        f"{'D' if node is None else 'W'} {path.decode()}"
        for path, node in planned(lower, after, tars)
    ]


def planned(lower, after, tars):
    """The plan, where no name may be left out."""

    def same_content(_path, old, new):
        return content(tars[old.layer], old.entry) == content(tars[new.layer], new.entry)

    return changeset.plan(lower, after, compare(lower, after, same_content), pytest.fail)


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        pytest.param(
            [directory("d1/d/", 0o700), file("d2/f", "new")],
            ["W d1", "W d1/d", "W d2", "W d2/f"],
            id="EX-05-parents-are-included",
        ),
        pytest.param(
            [directory("d1/", 0o777), directory("d1/d/")],
            ["W d1", "W d1/d"],
            id="EX-06-a-changed-parent-comes-once",
        ),
        pytest.param(
            [whiteout("d1"), whiteout("d2"), directory("d3/")],
            ["D d1", "D d2", "W d3"],
            id="EX-10-nothing-inside-what-is-removed",
        ),
        pytest.param(
            [opaque("d2"), directory("d2/", 0o770), file("d2/a")],
            ["W d2", "D d2/f", "W d2/a"],
            id="EX-03-whiteouts-before-siblings",
        ),
        pytest.param(
            [file("a.b"), directory("a/"), file("a/x"), file("a-")],
            ["W a", "W a/x", "W a-", "W a.b"],
            id="EX-03-a-slash-is-lowest",
        ),
        pytest.param(
            [hardlink("d2/l1", "d1/f1")],
            ["W d1", "W d1/f1", "W d2", "W d2/l1"],
            id="EX-07-the-other-name-comes-too",
        ),
        pytest.param([file("one", "same")], [], id="EX-04-a-copy-is-no-change"),
        pytest.param([directory("d1/", mtime=NEW)], [], id="EX-04-a-folders-time-is-none"),
        pytest.param([file("one", "more")], ["W one"], id="a-link-is-broken"),
        pytest.param([file("link")], ["W link"], id="file-for-symlink"),
        pytest.param(
            [directory("link/"), file("link/x")], ["W link", "W link/x"], id="folder-for-symlink"
        ),
        pytest.param([file("deep")], ["W deep"], id="file-for-folder"),
        pytest.param(
            [whiteout("deep/er/x")],
            ["W deep", "W deep/er", "D deep/er/x"],
            id="parents-of-a-whiteout",
        ),
    ],
)
def test_a_layer_has_what_changed_and_the_way_there(entries, wanted):
    """Each change, its parents once and first, whiteouts before siblings, and nothing else."""
    assert lines(*entries) == wanted


def test_a_socket_in_the_place_of_a_file_hides_it():
    """EX-09: no tar holds a socket, but the old file must not come back."""
    lower = merged([BASE])
    socket = Node(Entry(b"one", Kind.SOCKET), 1)
    changes = [Change(b"one", lower.children[b"one"], socket)]

    assert changeset.plan(empty(), lower, changes, pytest.fail) == [
        (b"one", None),
        (b"one", socket),
    ]


def test_a_name_that_is_a_marker_is_left_out():
    """EX-12: a file called `.wh.one` would hide `one` of the layers below; it is told once."""
    folder = Node(Entry(b".wh.d", Kind.DIRECTORY), 1, {})
    folder.children[b"x"] = Node(Entry(b".wh.d/x", Kind.FILE), 1)
    after = Node(empty().entry, 1, {b".wh.d": folder})
    told = []

    plan = changeset.plan(empty(), after, compare(empty(), after, pytest.fail), told.append)

    assert plan == []
    assert told == ["left out '.wh.d': in a layer this name is that of a whiteout"]


def names_of_nodes(tree):
    """The names of each inode that is no directory."""
    names = defaultdict(set)
    for path, node in walk(tree):
        if node.children is None:
            names[id(node)].add(path)
    return names


@given(stacks.stacks(refused=False), st.integers(0, 3))
def test_any_tree_comes_back_from_its_layer(layers, kept):
    """Written as a tar and read again, the layer on its base is what the comparison saw."""
    trees = [empty()]
    for number, layer in enumerate(layers):
        trees.append(merge.apply(trees[-1], layer, number))
    base, after = trees[min(kept, len(layers))], trees[-1]
    tars = [stacks.CONTENT] * len(layers)

    def same_content(_path, old, new):
        return content(tars[old.layer], old.entry) == content(tars[new.layer], new.entry)

    plan = changeset.plan(base, after, compare(base, after, same_content), pytest.fail)
    writing = Tarring(lambda found: iter([content(stacks.CONTENT, found.node.entry)]), pytest.fail)
    tars.append(b"".join(writing.pieces(plan)))
    again = merge.apply(base, entries_of(tars[-1], pytest.fail), len(layers))

    assert compare(after, again, same_content) == []
    written = {path for path, node in plan if node is not None}
    groups = [names for names in names_of_nodes(after).values() if names & written]
    assert all(names in names_of_nodes(again).values() for names in groups)
