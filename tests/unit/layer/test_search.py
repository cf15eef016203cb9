"""A search from the top layer down says what the merged tree says, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.listing import entries_of
from support.stacks import stacks
from support.tars import (
    archive,
    character,
    directory,
    file,
    hardlink,
    opaque,
    symlink,
    whiteout,
)

from layerkit.errors import ArchiveError
from layerkit.layer import merge
from layerkit.layer.search import Elsewhere, Found, Missing, Search
from layerkit.tree import Entry, Kind, look_up


def search(path, *layers, follow=True):
    """The answer for a path in these layers, top first, and how many layers it took."""
    looking = Search(path.encode(), follow=follow)
    for number, layer in enumerate(layers, start=1):
        for entry in entries_of(archive(*layer)):
            looking.see(entry)
        if answer := looking.end_layer():
            return answer, number
    return None, len(layers)


def shown(answer):
    """An answer in few words."""
    match answer:
        case Found(entry):
            return f"found {entry.path.decode()}"
        case Elsewhere(path):
            return f"at {path.decode()}"
        case Missing():
            return "missing"
        case None:
            return "unknown"


ETC = directory("etc/")
BELOW = (ETC, file("etc/a"))
DECIDED = {
    "a file": ("etc/a", [(ETC, file("etc/a")), BELOW], "found etc/a", 1),
    "slashes": ("//etc/./a/", [(ETC, file("etc/a")), BELOW], "found etc/a", 1),
    "a file whose folder only its path names": ("etc/a", [(file("etc/a"),)], "found etc/a", 1),
    "a file further down": ("etc/a", [(ETC, file("etc/b")), BELOW], "found etc/a", 2),
    "a folder": ("etc", [(ETC,)], "found etc", 1),
    "a device": ("null", [(character("null", 1, 3),)], "found null", 1),
    "a hard link": ("h", [(file("a"), hardlink("h", "a"))], "found a", 1),
    "a hard link to a hard link": (
        "i",
        [(file("a"), hardlink("h", "a"), hardlink("i", "h"))],
        "found a",
        1,
    ),
    "a folder that is said twice": ("etc/a", [(ETC, file("etc/a"), ETC)], "found etc/a", 1),
    "a whiteout": ("etc/a", [(ETC, whiteout("etc/a")), BELOW], "missing", 1),
    "a whiteout of the folder": ("etc/a", [(whiteout("etc"),), BELOW], "missing", 1),
    "a whiteout below its own layer's": (
        "etc/a",
        [(ETC, whiteout("etc/a"), file("etc/a"))],
        "found etc/a",
        1,
    ),
    "an opaque folder": ("etc/a", [(ETC, opaque("etc")), BELOW], "missing", 1),
    "an opaque root": ("etc/a", [(opaque(""),), BELOW], "missing", 1),
    "an opaque mark on itself": ("etc", [(opaque("etc"),), BELOW], "found etc", 2),
    "a file where a folder was": ("etc/a", [(file("etc"),), BELOW], "missing", 1),
    "a symlink": ("l", [(symlink("l", "etc/a"),), BELOW], "at etc/a", 1),
    "an absolute symlink": ("etc/l", [(symlink("etc/l", "/b"),)], "at b", 1),
    "a symlink beside": ("etc/l", [(symlink("etc/l", "b/./c"),)], "at etc/b/c", 1),
    "a symlink up": ("etc/l", [(ETC, symlink("etc/l", "../usr/l"))], "at usr/l", 1),
    "a symlink above the root": ("l", [(symlink("l", "../../x"),)], "at x", 1),
    "a symlink on the way": ("bin/sh", [(symlink("bin", "usr/bin"),)], "at usr/bin/sh", 1),
    "a symlink to the root": ("r/a", [(symlink("r", "/"),)], "at a", 1),
    "a hard link to a symlink": (
        "etc/h",
        [(ETC, symlink("l", "x"), hardlink("etc/h", "l"))],
        "at etc/x",
        1,
    ),
    "a symlink that became a folder": (
        "bin/sh",
        [(directory("bin"),), (symlink("bin", "usr/bin"),)],
        "missing",
        2,
    ),
}


@pytest.mark.parametrize(
    ("path", "layers", "wanted", "taken"), DECIDED.values(), ids=DECIDED.keys()
)
def test_the_first_layer_that_tells_is_the_last_one_read(path, layers, wanted, taken):
    """Files, marks and symlinks decide; layers below are not needed."""
    answer, number = search(path, *layers)

    assert (shown(answer), number) == (wanted, taken)


def test_where_the_file_is_expected():
    """It is the path itself, until a symlink on its way leads elsewhere."""
    looking = Search(b"bin/sh")
    assert looking.expected == b"bin/sh"

    looking.see(Entry(b"bin", Kind.SYMLINK, link=b"usr/bin"))

    assert looking.expected == b"usr/bin/sh"


def test_a_symlink_at_the_end_may_be_wanted_itself():
    """Without `follow` the last symlink is found, those before it are followed."""
    layer = (symlink("l", "x"), symlink("d", "e"))

    assert shown(search("l", layer, follow=False)[0]) == "found l"
    assert shown(search("d/l", layer, follow=False)[0]) == "at e/l"


UNKNOWN = {
    "an upper path may lead there by a symlink": (
        "usr/lib/x",
        [(file("lib/x"),), (directory("usr"), directory("usr/lib"), file("usr/lib/x"))],
    ),
    "an upper whiteout may": ("usr/x", [(whiteout("lib/x"),), (directory("usr"), file("usr/x"))]),
    "an upper opaque mark may": ("usr/x", [(opaque("lib"),), (directory("usr"), file("usr/x"))]),
    "the file may have become a folder": ("a", [(file("a/b"),), (file("a"),)]),
    "the folder may have been a symlink": ("etc/a", [(ETC,), (file("etc/a"),)]),
    "a folder behind what is in it": ("x", [(file("d/b"), directory("d")), ()]),
    "one name as a link and a folder": ("x/a", [(symlink("d", "x"), directory("d")), ()]),
    "a hard link to below": ("h", [(hardlink("h", "a"),), (file("a"),)]),
    "a hard link on the way": ("h/a", [(hardlink("h", "l"),), (symlink("l", "x"),)]),
    "steps up in the path": ("etc/../a", [(file("a"),)]),
    "steps up from a folder that may be a link": ("etc/l", [(symlink("etc/l", "../x"),)]),
    "steps up within a target": ("l", [(symlink("l", "a/../b"),)]),
    "a link in a folder that may have been one": (
        "etc/l",
        [(ETC,), (symlink("etc/l", "x"),)],
    ),
    "a file that comes twice": ("a", [(file("a"), file("a"))]),
    "a folder that becomes a symlink behind the file": (
        "etc/a",
        [(ETC, file("etc/a"), symlink("etc", "x"))],
    ),
    "a file behind an entry that may lie anywhere": ("a", [(file("a"), file("d/b")), ()]),
    "nothing at all": ("etc/a", [(ETC,), (ETC,)]),
    "a folder that only paths name": ("etc", [(file("etc/a"),)]),
}


@pytest.mark.parametrize(("path", "layers"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_lower_layers_may_change_is_left_open(path, layers):
    """Where the meaning of an entry depends on layers below, there is no answer."""
    assert shown(search(path, *layers)[0]) == "unknown"


@st.composite
def orderly_stacks(draw):
    """Random stacks, some layers of which name the folders on all ways, as most tools do it."""
    layers = [list(layer) for layer in draw(stacks(refused=False))]
    return [_with_folders(layer) if draw(st.integers(0, 3)) else layer for layer in layers]


def _with_folders(layer):
    folders = {
        b"/".join(parts[:length])
        for parts in (entry.path.split(b"/") for entry in layer)
        for length in range(1, len(parts))
    }
    taken = {entry.path for entry in layer if entry.kind is not Kind.OPAQUE}
    made = [Entry(path, Kind.DIRECTORY) for path in folders - taken]
    return sorted(layer + made, key=lambda entry: entry.path)


def answer_of(layers, path, *, follow):
    """The answer with the number of its layer."""
    looking = Search(path, follow=follow)
    for number in reversed(range(len(layers))):
        for entry in layers[number]:
            looking.see(entry)
        if answer := looking.end_layer():
            return number, answer
    return 0, None


@given(
    layers=orderly_stacks(),
    path=st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=3).map(b"/".join),
    follow=st.booleans(),
)
def test_an_answer_is_that_of_the_merged_tree(layers, path, follow):
    """Found is found there, missing is missing, and a symlink leads to the same file."""
    try:
        tree = merge.merge(layers)
    except ArchiveError:
        return
    number, answer = answer_of(layers, path, follow=follow)
    wanted = look_up(tree, path, follow=follow)
    match answer:
        case Found(entry):
            assert wanted is not None
            node = wanted[1]
            assert node.kind is entry.kind
            is_folder = entry.kind is Kind.DIRECTORY  # its node belongs to who changed it last
            assert is_folder or (node.layer, node.entry.data) == (number, entry.data)
        case Missing():
            assert wanted is None
        case Elsewhere(other):
            there = look_up(tree, other, follow=follow)
            assert (there and there[1]) is (wanted and wanted[1])
