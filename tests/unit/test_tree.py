"""Trees are walked in order, and found by exact path."""

from __future__ import annotations

import pytest

from layerkit.tree import (
    Change,
    Entry,
    Kind,
    Node,
    empty,
    find,
    inside,
    join,
    look_up,
    real_way,
    walk,
)


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


ROOT = folder(
    usr=folder(lib=folder(x=leaf(), up=leaf(Kind.SYMLINK, link=b"../bin"))),
    bin=folder(sh=leaf()),
    lib=leaf(Kind.SYMLINK, link=b"usr/lib"),
    absolute=leaf(Kind.SYMLINK, link=b"/lib/x"),
    above=leaf(Kind.SYMLINK, link=b"../../../lib"),
    one=leaf(Kind.SYMLINK, link=b"two"),
    two=leaf(Kind.SYMLINK, link=b"one"),
    dangling=leaf(Kind.SYMLINK, link=b"no/where"),
    file=leaf(),
)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (b"", b""),
        (b"/", b""),
        (b"usr/lib/x", b"usr/lib/x"),
        (b"/lib/x", b"usr/lib/x"),
        (b"./lib//x/", b"usr/lib/x"),
        (b"absolute", b"usr/lib/x"),
        (b"above/x", b"usr/lib/x"),
        (b"lib/..", b"usr"),
        (b"../../file", b"file"),
        (b"lib/up/sh", b"usr/bin/sh"),
        (b"lib/up", b"usr/bin"),
        (b"dangling", b"no/where"),
        (b"file/x", b"file/x"),
        (b"nope/lib", b"nope/lib"),
    ],
)
def test_a_way_has_no_symlinks(path, wanted):
    """Links are followed inside the root; `..` is the real parent; what is missing stays."""
    assert real_way(ROOT, path) == [name for name in wanted.split(b"/") if name]


def test_a_way_in_circles_ends():
    """Symlinks without end have no way, and 40 are still followed, as Linux does."""
    chain = folder(**{f"l{n}": leaf(Kind.SYMLINK, link=b"l%d" % (n + 1)) for n in range(41)})

    assert real_way(ROOT, b"one") is None
    assert real_way(chain, b"l1") == [b"l41"]
    assert real_way(chain, b"l0") is None


@pytest.mark.parametrize(
    ("path", "follow", "wanted"),
    [
        (b"/lib/x", True, b"usr/lib/x"),
        (b"/lib/x", False, b"usr/lib/x"),
        (b"/lib", True, b"usr/lib"),
        (b"/lib", False, b"lib"),
        (b"/lib/", False, b"lib"),
        (b"/lib/up", False, b"usr/lib/up"),
        (b"/lib/..", False, b"usr"),
        (b"/", False, b""),
        (b"/dangling", True, None),
        (b"/dangling", False, b"dangling"),
        (b"/one", True, None),
        (b"/one/x", False, None),
        (b"/file/x", True, None),
        (b"/nope", False, None),
    ],
)
def test_a_path_is_looked_up(path, follow, wanted):
    """The answer has the real path; a symlink at the end is one only where it is not followed."""
    found = look_up(ROOT, path, follow=follow)

    assert (found and found[0]) == wanted
    assert found is None or found[1] is find(ROOT, found[0])
