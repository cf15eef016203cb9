"""Two trees compared: docker's rules, and beyond them whatever docker cannot see."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from support import stacks
from support.listing import content, entries_of, merged
from support.tars import (
    archive,
    block,
    character,
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    symlink,
    whiteout,
)

from layerkit.diff.compare import compare, same_time
from layerkit.layer import merge
from layerkit.tree import Entry, Kind, empty, find, walk

B3 = archive(
    directory("d/"),
    file("d/a", "A"),
    file("d/b", "B"),
    directory("d/e/"),
    file("d/e/f"),
    file("top", "T"),
    symlink("sl", "top"),
)
NANOS = {"mtime": "1000000000.000000005"}


def changes(*entries, base=B3):
    """The changes that one layer of `entries` makes to `base`."""
    tars = [base, archive(*entries)]
    before = merged(tars[:1])

    def same_content(_path, old, new):
        return content(tars[old.layer], old.entry) == content(tars[new.layer], new.entry)

    return compare(before, merge.apply(before, entries_of(tars[1]), 1), same_content)


def lines(found):
    """As docker prints them."""
    return [f"{change.letter} /{change.path.decode()}" for change in found]


ROWS = {
    "DF-24-nothing": ([], []),
    "DF-01-chmod": ([file("d/a", "A", mode=0o600)], ["C /d", "C /d/a"]),
    "DF-03-new-folder": ([directory("n/"), file("n/x")], ["A /n", "A /n/x"]),
    "DF-03-new-folders": ([file("n/o/x")], ["A /n", "A /n/o", "A /n/o/x"]),
    "DF-05-remove": ([whiteout("d/a")], ["C /d", "D /d/a"]),
    "remove-in-the-root": ([whiteout("top")], ["D /top"]),
    "DF-12-remove-folder": ([whiteout("d")], ["D /d"]),
    "DF-06-replace-folder": (
        [whiteout("d"), directory("d/"), file("d/n")],
        ["C /d", "D /d/a", "D /d/b", "D /d/e", "A /d/n"],
    ),
    "DF-06-same-as-opaque": (
        [directory("d/"), opaque("d"), file("d/n")],
        ["C /d", "D /d/a", "D /d/b", "D /d/e", "A /d/n"],
    ),
    "replaced-by-the-same": (
        [
            *(whiteout("d"), directory("d/"), file("d/a", "A"), file("d/b", "B")),
            *(directory("d/e/"), file("d/e/f")),
        ],
        [],
    ),
    "file-to-folder": (
        [whiteout("top"), directory("top/"), file("top/x")],
        ["C /top", "A /top/x"],
    ),
    "folder-to-file": ([file("d", "x")], ["C /d"]),
    "folder-to-symlink": ([symlink("d", "top")], ["C /d"]),
    "symlink-to-folder": (
        [whiteout("sl"), directory("sl/"), directory("sl/n/"), file("sl/n/x")],
        ["C /sl", "A /sl/n", "A /sl/n/x"],
    ),
    "file-to-fifo": ([fifo("top")], ["C /top"]),
    "DF-10-symlink": ([symlink("sl", "other")], ["C /sl"]),
    "DF-10-same-length": ([symlink("sl", "pot")], ["C /sl"]),
    "DF-12-rename-folder": (
        [whiteout("d"), *(directory("z/"), file("z/a", "A"), file("z/b", "B"), directory("z/e/"))],
        ["D /d", "A /z", "A /z/a", "A /z/b", "A /z/e"],
    ),
    "DF-13-renamed-and-back": ([file("d/a", "A"), directory("d/", mtime=7)], []),
    "DF-14-same-bytes-and-time": ([file("d/a", "A")], []),
    "DF-14-same-bytes-other-time": ([file("d/a", "A", mtime=7)], ["C /d", "C /d/a"]),
    "DF-16-other-bytes": ([file("d/a", "X")], ["C /d", "C /d/a"]),
    "DF-17-other-size": ([file("d/a", "AA")], ["C /d", "C /d/a"]),
    "DF-18-nanoseconds-on-one-side": ([file("d/a", "A", pax=NANOS)], []),
    "DF-19-chown": ([file("d/a", "A", uid=1)], ["C /d", "C /d/a"]),
    "DF-19-chgrp": ([file("top", "T", gid=1)], ["C /top"]),
    "DF-19-chown-symlink": ([symlink("sl", "top", uid=1)], ["C /sl"]),
    "mode-of-a-symlink": ([symlink("sl", "top", mode=0o700)], []),
    "time-of-a-symlink": ([symlink("sl", "top", mtime=7)], ["C /sl"]),
    "DF-20-xattr": (
        [file("d/a", "A", pax={"SCHILY.xattr.user.x": "v"})],
        ["C /d", "C /d/a"],
    ),
    "DF-20-capability": (
        [file("top", "T", pax={"SCHILY.xattr.security.capability": "v"})],
        ["C /top"],
    ),
    "DF-20-xattr-of-a-folder": (
        [directory("d/e/", pax={"SCHILY.xattr.user.x": "v"})],
        ["C /d", "C /d/e"],
    ),
    "label-of-the-host": ([file("top", "T", pax={"SCHILY.xattr.security.selinux": "v"})], []),
    "DF-22-time-of-a-folder": ([directory("d/", mtime=7)], []),
    "DF-23-mode-of-a-folder": ([directory("d/", 0o700)], ["C /d"]),
    "DF-23-mode-of-a-folder-deep": ([directory("d/e/", 0o700)], ["C /d", "C /d/e"]),
    "the-root-never-shows": ([directory("./", 0o700, uid=7)], []),
    "DF-25-copied-up": ([directory("d/"), file("d/a", "A")], []),
    "DF-26-created-and-deleted": ([directory("d/", mtime=7)], []),
    "DF-35-deep": ([file("d/e/n")], ["C /d", "C /d/e", "A /d/e/n"]),
    "DF-36-new-fifo": ([fifo("p")], ["A /p"]),
    "DF-36-new-device": ([character("c", 1, 3)], ["A /c"]),
    "second-name": ([hardlink("h", "top", mode=0o644)], ["A /h"]),
    "order": (
        [file("d-x"), file("d.x"), file("d/n"), file("d0")],
        ["C /d", "A /d-x", "A /d.x", "A /d/n", "A /d0"],
    ),
}


@pytest.mark.parametrize(("entries", "wanted"), ROWS.values(), ids=ROWS)
def test_what_one_layer_changes(entries, wanted):
    """The lines are docker's, sorted by path; a folder in which something changed is changed."""
    assert lines(changes(*entries)) == wanted


DEVICES = archive(character("c", 1, 3), block("b", 1, 3), file("f"))


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        (character("c", 1, 3), []),
        (character("c", 1, 5), ["C /c"]),
        (block("b", 2, 3), ["C /b"]),
        (block("c", 1, 3), ["C /c"]),
    ],
    ids=["same", "DF-36-minor", "DF-36-major", "DF-36-kind"],
)
def test_device_numbers_count(entry, wanted):
    """DF-36: another number or kind of device is a change."""
    assert lines(changes(entry, base=DEVICES)) == wanted


def test_a_socket_is_added():
    """DF-37: sockets show, though no layer can have one."""
    after = merge.apply(empty(), [Entry(b"s", Kind.SOCKET)], 0)

    assert lines(compare(empty(), after, None)) == ["A /s"]


@pytest.mark.parametrize(
    ("entries", "path", "why"),
    [
        ([file("top", "T", mode=0o600)], "top", ("mode",)),
        ([file("top", "T", uid=1)], "top", ("owner",)),
        ([file("top", "X")], "top", ("content",)),
        ([file("top", "XX", mtime=7)], "top", ("content", "time")),
        ([file("top", "T", mtime=7)], "top", ("time",)),
        ([symlink("sl", "x")], "sl", ("target",)),
        ([fifo("top")], "top", ("type",)),
        ([file("top", "T", pax={"SCHILY.xattr.user.x": "v"})], "top", ("xattr",)),
        ([directory("d/", 0o700), file("d/n")], "d", ("mode",)),
        ([file("d/n")], "d", ("below",)),
        ([file("d/n")], "d/n", ()),
        ([whiteout("top")], "top", ()),
    ],
)
def test_a_change_says_why(entries, path, why):
    """What differs is named; a folder that only holds a change says that."""
    (found,) = [change for change in changes(*entries) if change.path == path.encode()]

    assert found.why == why


def test_a_change_has_both_sides():
    """The nodes before and after come along, for output that shows more than a letter."""
    tree = merged([B3])
    after = merge.apply(tree, entries_of(archive(file("n"), whiteout("top"), file("d/a", "AA"))), 1)

    found = {change.path: change for change in compare(tree, after, lambda *_: True)}

    assert (found[b"n"].before, found[b"n"].after) == (None, find(after, b"n"))
    assert (found[b"top"].before, found[b"top"].after) == (find(tree, b"top"), None)
    assert found[b"d/a"].before is find(tree, b"d/a")
    assert found[b"d"].after is find(after, b"d")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (5, 5, True),
        (10**9, 10**9 + 5, True),
        (10**9 + 5, 10**9, True),
        (10**9 + 4, 10**9 + 5, False),
        (10**9, 2 * 10**9, False),
        (10**9 - 1, 10**9, False),
        (-1, -(10**9), True),
    ],
)
def test_whole_seconds_equal_any_nanoseconds_within(one, other, same):
    """DF-18: archives often keep whole seconds only, which is no change."""
    assert same_time(one, other) is same


def test_content_is_only_compared_where_it_could_differ():
    """Files of other size are not read, and those that both trees share not either."""
    asked = []
    tree = merged([B3])
    after = merge.apply(tree, entries_of(archive(file("d/a", "AA"), file("d/b", "X"))), 1)

    compare(tree, after, lambda path, *_: asked.append(path))

    assert asked == [b"d/b"]


def test_what_is_shared_is_not_looked_into():
    """DF-39: the cost is that of the difference, not of the trees."""
    tree = merged([B3])
    after = merge.apply(tree, [Entry(b"n", Kind.FILE)], 1)

    class Untouched(dict):
        def keys(self):
            pytest.fail("looked into")

        __iter__ = items = keys

    find(tree, b"d").children = Untouched(find(tree, b"d").children)

    assert lines(compare(tree, after, None)) == ["A /n"]


def test_deep_trees_need_no_deep_stack():
    """NM-12: a change 1,500 folders down is found, with all that hold it."""
    path = b"/".join([b"n"] * 1500)
    before = merge.apply(empty(), [Entry(path + b"/f", Kind.FILE)], 0)
    after = merge.apply(before, [Entry(path + b"/f", Kind.FILE, mode=0o600)], 1)

    found = compare(before, after, lambda *_: True)

    assert len(found) == 1501
    assert {change.letter for change in found} == {"C"}


@given(stacks.stacks(refused=False))
def test_the_changes_lead_from_one_tree_to_the_other(layers):
    """Names added and deleted are exactly those, and what is unchanged is equal."""
    before = merge.merge(layers[:-1])
    after = merge.apply(before, layers[-1], len(layers) - 1)
    old, new = dict(walk(before)), dict(walk(after))

    found = {change.path: change for change in compare(before, after, lambda *_: False)}

    assert list(found) == sorted(found)
    added = {path for path, change in found.items() if change.letter == "A"}
    deleted = {path for path, change in found.items() if change.letter == "D"}
    became_another = {path for path, change in found.items() if change.why == ("type",)}
    gone = deleted | became_another
    assert added == {path for path in new if path not in old or _below(path, became_another)}
    assert {path for path in old if path in deleted or _below(path, gone)} == {
        path for path in old if path not in new or _below(path, gone)
    } - became_another
    for path in new.keys() & old.keys() - found.keys():
        assert plain(new[path].entry) == plain(old[path].entry)


def _below(path, folders):
    return any(path.startswith(folder + b"/") for folder in folders)


def plain(entry):
    """What counts of an entry: not where its content lies, not the time of a folder."""
    kept = {"data": 0, "path": b""}
    if entry.kind is Kind.DIRECTORY:
        kept |= {"seconds": 0, "nanos": 0}
    if entry.kind is Kind.SYMLINK:
        kept |= {"mode": 0}
    return {**{name: getattr(entry, name) for name in entry.__struct_fields__}, **kept}


@given(stacks.stacks(refused=False))
def test_back_is_the_mirror_image(layers):
    """What one direction adds the other deletes; a tree does not differ from itself."""
    before = merge.merge(layers[:-1])
    after = merge.apply(before, layers[-1], len(layers) - 1)

    there = {change.path: change for change in compare(before, after, lambda *_: False)}
    back = {change.path: change for change in compare(after, before, lambda *_: False)}

    mirrored = {"A": "D", "D": "A", "C": "C"}
    for path in there.keys() & back.keys():
        assert back[path].letter == mirrored[there[path].letter]
    assert compare(after, after, lambda *_: False) == []
    assert dataclasses.is_dataclass(next(iter(there.values()), None)) or not there


LINKS = archive(file("a", "x"), hardlink("b", "a"), file("c", "x"), file("u", "x"))


@pytest.mark.parametrize(
    ("entries", "splits", "wanted"),
    [
        ([file("b", "x")], True, {"a": ("links",), "b": ("links",)}),
        ([file("b", "x")], False, {}),
        ([file("b", "y")], True, {"a": ("links",), "b": ("content", "links")}),
        ([file("b", "y")], False, {"b": ("content",)}),
        ([hardlink("c", "a")], True, dict.fromkeys("abc", ("links",))),
        ([file("c", "x"), hardlink("u", "c")], False, dict.fromkeys("cu", ("links",))),
        ([file("a", "x"), hardlink("b", "a")], True, {}),
        ([whiteout("a")], True, {"a": ()}),
        ([hardlink("n", "a")], True, {"n": ()}),
        ([symlink("b", "a")], True, {"b": ("type",)}),
    ],
    ids=[
        *("split", "split-not-asked", "split-and-written", "copied-up", "joined", "joined-above"),
        *("both-copied-up", "a-name-went", "a-name-came", "became-a-symlink"),
    ],
)
def test_hard_links_that_are_others(entries, splits, wanted):
    """A file that is one with other names than before is changed, every name of it."""
    tree = merged([LINKS])
    after = merge.apply(tree, entries_of(archive(*entries)), 1)

    wrote = b"y" in b"".join(entries)
    found = compare(tree, after, lambda *_: not wrote, splits=splits)

    assert {change.path.decode(): change.why for change in found} == wanted
