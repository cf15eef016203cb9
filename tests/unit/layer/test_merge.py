"""Indexes of layers become the tree of an image."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import layer_cases, stacks
from support.listing import entries_of, merged, scan_of, wanted
from support.model import Model, Refused
from support.tars import archive, directory, file, opaque, symlink, whiteout
from support.trees import differences

from layerkit.errors import ArchiveError
from layerkit.layer import merge
from layerkit.tree import Entry, Kind, empty, find, inside, walk

LONG = pytest.mark.timeout(1800)

BASE = archive(
    directory("a/"),
    file("a/1"),
    directory("a/deep/"),
    file("a/deep/2"),
    directory("b/"),
    file("b/3"),
    symlink("s", "a"),
    file("top"),
)


def on_base(*entries):
    """The tree of `BASE` and the tree with one layer of `entries` on it."""
    lower = merged([BASE])
    return lower, merge.apply(lower, entries_of(archive(*entries)), 1)


@pytest.mark.parametrize("case", layer_cases.params(layer_cases.TREES))
def test_layers_show_their_tree(case):
    """Applied one after another, the layers give exactly the names and attributes wanted."""
    got = scan_of(merged(case.layers), case.layers)

    assert differences(wanted(case.tree), got) == []


@pytest.mark.parametrize("case", layer_cases.params(layer_cases.REFUSED))
def test_impossible_layers_are_refused(case):
    """A layer that no tree can be made of is an error that says what is wrong with it."""
    with pytest.raises(ArchiveError) as caught:
        merged(case.layers)

    assert case.error in str(caught.value)


@LONG
@settings(max_examples=2 * settings().max_examples)
@given(stacks.stacks())
def test_random_stacks_show_what_the_model_shows(layers):
    """Whatever the layers, the tree is the one of the plain model, or both refuse them."""
    model = Model()
    try:
        for layer in layers:
            model.apply(layer)
    except Refused:
        with pytest.raises(ArchiveError):
            merge.merge(layers)
    else:
        got = scan_of(merge.merge(layers), [stacks.CONTENT] * len(layers))
        assert differences(model.scan([stacks.CONTENT] * len(layers)), got) == []


@LONG
@given(stacks.stacks(refused=False), st.randoms(use_true_random=False))
def test_the_place_of_marks_does_not_matter(layers, random):
    """Whiteouts and opaque marks hide the same wherever they stand in their archive."""
    tars = [stacks.CONTENT] * len(layers)
    shuffled = [_with_marks_elsewhere(layer, random) for layer in layers]

    one, other = merge.merge(layers), merge.merge(shuffled)

    assert differences(scan_of(one, tars), scan_of(other, tars)) == []


def _with_marks_elsewhere(layer, random):
    marks = [entry for entry in layer if entry.kind in {Kind.WHITEOUT, Kind.OPAQUE}]
    moved = [entry for entry in layer if entry not in marks]
    for mark in marks:
        moved.insert(random.randint(0, len(moved)), mark)
    return moved


@LONG
@given(stacks.stacks(refused=False))
def test_lower_trees_stay_as_they_are(layers):
    """Applying a layer changes neither the tree below nor any node of it."""
    tars = [stacks.CONTENT] * len(layers)
    tree = empty()
    for number, layer in enumerate(layers):
        before = scan_of(tree, tars)
        nodes = {id(node): (node.entry, node.layer) for _, node in walk(tree)}

        upper = merge.apply(tree, layer, number)

        assert scan_of(tree, tars) == before
        assert all(nodes[id(node)] == (node.entry, node.layer) for _, node in walk(tree))
        tree = upper


@LONG
@given(stacks.stacks(refused=False))
def test_what_a_layer_does_not_name_is_shared(layers):
    """Without symlinks, a name at the root that the layer does not name is the same node."""
    layers = stacks.without_refused(
        [[entry for entry in layer if entry.kind is not Kind.SYMLINK] for layer in layers]
    )
    lower = merge.merge(layers[:-1])

    upper = merge.apply(lower, layers[-1], len(layers) - 1)

    named = {entry.path.partition(b"/")[0] for entry in layers[-1]}
    if not any(entry.kind is Kind.OPAQUE and not entry.path for entry in layers[-1]):
        for name in inside(lower).keys() - named:
            assert inside(upper)[name] is inside(lower)[name]


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        (file("a/new"), ["a/1", "a/deep", "b", "s", "top"]),
        (file("a/deep/new"), ["a/1", "a/deep/2", "b", "s", "top"]),
        (file("s/new"), ["a/1", "a/deep", "b", "s", "top"]),
        (file("new"), ["a", "b", "s", "top"]),
        (whiteout("a/1"), ["a/deep", "b", "s", "top"]),
        (opaque("a"), ["b", "s", "top"]),
        (directory("a/", 0o700), ["a/1", "a/deep", "b", "s", "top"]),
        (whiteout("a/no"), ["a", "b", "s", "top"]),
        (whiteout("no/such"), ["a", "b", "s", "top"]),
        (opaque("no"), ["a", "b", "s", "top"]),
    ],
    ids=[
        "file in a folder",
        "file two folders down",
        "file by way of a symlink",
        "file at the root",
        "whiteout",
        "opaque mark",
        "metadata of a folder",
        "whiteout of nothing",
        "whiteout in no folder",
        "opaque mark on nothing",
    ],
)
def test_only_the_way_to_a_change_is_copied(entry, kept):
    """Beside the folders on the way to what changes, the trees share their nodes."""
    lower, upper = on_base(entry)

    assert [name for name in kept if find(upper, name.encode()) is find(lower, name.encode())] == (
        kept
    )


def test_a_node_knows_the_layer_of_its_content():
    """Each file's node has the number of the layer whose archive holds its bytes."""
    _, upper = on_base(file("a/new"), file("top", "2"), directory("b/", 0o700))

    layers = {path: node.layer for path, node in walk(upper) if node.kind is Kind.FILE}
    assert layers == {b"a/1": 0, b"a/deep/2": 0, b"a/new": 1, b"b/3": 0, b"top": 1}


def test_the_error_names_layer_and_entry():
    """What is refused in a stack is said with the layer's number, from 1, and the entry's name."""
    stack = [[], [Entry(b"a\x1b[31m", Kind.HARDLINK, link=b"no")]]

    with pytest.raises(ArchiveError) as caught:
        merge.merge(stack)

    assert str(caught.value) == (
        "hard link to 'no', which is not there (entry 'a\\x1b[31m' of layer 2)"
    )


def test_deep_folders_need_no_recursion():
    """NM-12: a tree as deep as a path can be is merged and walked."""
    path = b"/".join([b"a"] * 2048)

    tree = merge.merge([[Entry(path, Kind.FILE)], [Entry(path + b"x", Kind.FILE)]])

    assert len(list(walk(tree))) == 2049


def test_symlinks_cannot_ask_for_endless_ways():
    """A few symlinks that lead to each other make no path longer than Linux has, and no bomb."""
    steps = b"x/" * 2000
    links = [Entry(b"%d" % n, Kind.SYMLINK, link=b"%d/%s" % (n + 1, steps)) for n in range(39)]

    with pytest.raises(ArchiveError, match="too long a way behind its symlinks"):
        merge.merge([[*links, Entry(b"0/f", Kind.FILE)]])


@pytest.mark.parametrize("length", [3839, 3840])
def test_behind_symlinks_there_is_room_for_any_name(length):
    """A folder that symlinks lead to may have 3839 bytes, so that its files are in reach."""
    part = b"/" + b"n" * 239
    far = (part * 16)[1:][:length].ljust(length, b"n")
    stack = [[Entry(b"s", Kind.SYMLINK, link=far), Entry(b"s/" + b"f" * 255, Kind.FILE)]]

    if length == 3839:
        assert find(merge.merge(stack), far + b"/" + b"f" * 255)
    else:
        with pytest.raises(ArchiveError, match="too long a way"):
            merge.merge(stack)


def test_a_path_as_it_is_written_may_be_as_long_as_it_can():
    """Without symlinks the limit is that of names: 4095 bytes."""
    path = b"/".join([b"n" * 255] * 15 + [b"n" * 255])
    assert len(path) == 4095

    assert find(merge.merge([[Entry(path, Kind.FILE)]]), path)


def test_the_number_of_implied_folders_has_a_limit():
    """CZ-20: entries with long paths cannot make many more folders than a layer may have entries."""
    entries = [Entry(b"%d/a/b/f" % number, Kind.FILE) for number in range(4)]

    lower = merge.apply(empty(), entries[:3], 0, implied=10)
    assert len(list(walk(merge.apply(lower, entries[3:], 1, implied=10)))) == 16
    with pytest.raises(ArchiveError, match="more than 10 folders that only paths name") as caught:
        merge.apply(empty(), entries, 0, implied=10)
    assert "implied_folders in [limits]" in caught.value.hint


@LONG
@given(stacks.stacks())
def test_outlines_apply_where_the_entries_do(layers):
    """They make the same names of the same kinds, or are refused with the same words."""

    def shown(stack):
        try:
            return [(path, node.kind, node.layer) for path, node in walk(merge.merge(stack))]
        except ArchiveError as error:
            return str(error)

    assert shown(map(merge.outlines, map(list, layers))) == shown(layers)


def test_outlines_give_the_entries_away():
    """What was given out is held no longer."""
    entries = [Entry(b"a", Kind.FILE, size=3), Entry(b"b", Kind.SYMLINK, link=b"a")]
    given_out = merge.outlines(entries)

    assert next(given_out) == Entry(b"a", Kind.FILE)
    assert [entry.path for entry in entries] == [b"b"]
    assert list(given_out) == [Entry(b"b", Kind.SYMLINK, link=b"a")]


def test_many_whiteouts_in_one_folder_are_found_by_name():
    """Whiteouts of every file of a large folder leave it empty (and do not search it each time)."""
    names = [b"d/%d" % number for number in range(20_000)]

    tree = merge.merge(
        [[Entry(name, Kind.FILE) for name in names], [Entry(name, Kind.WHITEOUT) for name in names]]
    )

    assert [path for path, _ in walk(tree)] == [b"d"]
