"""What layerkit made only to be mounted on does not show; what a container made does."""

from __future__ import annotations

import pytest

from layerkit.ops import views
from layerkit.tree import Entry, Kind, Node, empty, graft, walk


def tree(*entries):
    """A tree of these entries, parents first."""
    found = empty()
    for entry in entries:
        children = {} if entry.kind is Kind.DIRECTORY else None
        found = graft(found, entry.path, Node(entry, 0, children))
    return found


def folder(path, mode=0o755, **values):
    """A folder."""
    return Entry(path, Kind.DIRECTORY, mode, **values)


FILE = Entry(b"a/f", Kind.FILE)
LINK = Entry(b"l", Kind.SYMLINK, link=b"/a/b")


@pytest.mark.parametrize(
    ("entries", "targets", "left"),
    [
        ([folder(b"a"), folder(b"a/b")], ["/a/b"], []),
        ([folder(b"a"), FILE], ["/a/f"], []),
        ([folder(b"a"), folder(b"a/b"), FILE], ["/a/b"], [b"a", b"a/f"]),
        ([folder(b"a"), folder(b"a/b"), FILE], ["/a/b", "/a/f"], []),
        ([folder(b"a"), folder(b"a/b"), folder(b"a/b/c")], ["/a", "/a/b/c"], []),
        ([folder(b"a"), folder(b"a/b", 0o700)], ["/a/b"], [b"a", b"a/b"]),
        ([folder(b"a", uid=1), folder(b"a/b")], ["/a/b"], [b"a"]),
        ([folder(b"a"), Entry(b"a/f", Kind.FILE, size=1)], ["/a/f"], [b"a", b"a/f"]),
        ([folder(b"a"), folder(b"a/b"), LINK], ["/l"], [b"l"]),
        ([Entry(b"l", Kind.SYMLINK, link=b"l")], ["/l", "/l/x"], [b"l"]),
        ([folder(b"etc"), folder(b"etc/d")], ["/etc/d"], [b"etc"]),
        ([folder(b"etc")], ["/etc", "/", "/none/there"], [b"etc"]),
    ],
    ids=[
        *("DF-32-folders", "DF-32-file", "beside-a-file", "all", "inner-first", "mode", "owner"),
        *("content", "through-a-link", "loop", "in-a-folder-of-the-image", "of-the-image"),
    ],
)
def test_what_was_made_to_be_mounted_on_is_hidden(entries, targets, left):
    """An empty folder or file at a target, and parents that are there only for it."""
    shown = views.without_mountpoints(tree(*entries), tree(folder(b"etc")), targets)

    assert [path for path, _ in walk(shown)] == left
