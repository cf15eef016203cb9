"""Trees are walked in order, and found by exact path."""

from __future__ import annotations

import pytest

from layerkit.tree import Change, Entry, Kind, Node, empty, find, inside, join, walk


def folder(**children):
    """A directory node with these children."""
    held = {name.encode(): node for name, node in children.items()}
    return Node(Entry(b"", Kind.DIRECTORY, 0o755), 0, held)


def leaf(kind=Kind.FILE, **fields):
    """A node without children."""
    return Node(Entry(b"x", kind, **fields), 0)


TREE = folder(d=folder(e=folder(f=leaf()), a=leaf()), c=leaf(), link=leaf(Kind.SYMLINK, link=b"d"))


def test_a_walk_gives_parents_first_in_byte_order():
    """Every path below the root comes once, a folder before what is in it, names sorted."""
    assert [path for path, _ in walk(TREE)] == [b"c", b"d", b"d/a", b"d/e", b"d/e/f", b"link"]


def test_a_walk_of_a_subtree_has_its_paths_in_front():
    """The paths begin with the place that the caller says."""
    assert [path for path, _ in walk(inside(TREE)[b"d"], b"d")] == [b"d/a", b"d/e", b"d/e/f"]


def test_deep_trees_need_no_deep_stack():
    """A tree deeper than Python's recursion limit is walked and searched."""
    tree = leaf()
    for _ in range(3000):
        tree = folder(n=tree)

    assert sum(1 for _ in walk(tree)) == 3000
    assert find(tree, b"/".join([b"n"] * 3000)).kind is Kind.FILE


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"", Kind.DIRECTORY),
        (b"c", Kind.FILE),
        (b"d/e", Kind.DIRECTORY),
        (b"d//e/f/", Kind.FILE),
        (b"link", Kind.SYMLINK),
        (b"nope", None),
        (b"d/nope/x", None),
        (b"c/x", None),
        (b"link/a", None),
    ],
)
def test_a_node_is_found_by_its_exact_path(path, kind):
    """No link is followed, and nothing is found below what is no folder."""
    found = find(TREE, path)

    assert (found.kind if found else None) == kind


def test_an_empty_tree_is_a_folder_of_root():
    """The tree of no layers has nothing in it, and is dated 1970."""
    root = empty()

    assert (root.kind, root.entry.mode, root.entry.mtime, root.children) == (
        *(Kind.DIRECTORY, 0o755, 0),
        {},
    )


@pytest.mark.parametrize(
    ("seconds", "nanos", "mtime"),
    [(1, 5, 10**9 + 5), (-1, 999_999_999, -1), (2**62, 0, 2**62 * 10**9)],
)
def test_the_time_is_one_number_of_nanoseconds(seconds, nanos, mtime):
    """Seconds and nanoseconds add up, before 1970 and far away too."""
    assert Entry(b"f", Kind.FILE, seconds=seconds, nanos=nanos).mtime == mtime


def test_paths_join_without_a_leading_slash():
    """A name in the root is its own path."""
    assert (join(b"", b"a"), join(b"a", b"b")) == (b"a", b"a/b")


@pytest.mark.parametrize(
    ("before", "after", "letter"), [(None, TREE, "A"), (TREE, TREE, "C"), (TREE, None, "D")]
)
def test_a_change_has_dockers_letter(before, after, letter):
    """Added, changed, deleted."""
    assert Change(b"p", before, after).letter == letter


def test_a_node_shows_what_it_is():
    """A failing test or a debugger shows kind, layer and number of children."""
    assert (repr(TREE), repr(leaf())) == (
        "Node(DIRECTORY of layer 0, 3 inside)",
        "Node(FILE of layer 0)",
    )
