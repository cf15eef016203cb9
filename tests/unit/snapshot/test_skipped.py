"""What was lost is one line: how much of each kind, and the first example."""

from __future__ import annotations

import pytest

from layerkit.events import Notice
from layerkit.snapshot.skipped import Skipped

LACK = "for lack of rights or of support in the file system"


def lost(*things):
    """What is skipped after losing these things, each of a path `p`."""
    skipped = Skipped()
    for what, name in things:
        skipped.lose(what, name, b"p")
    return skipped


@pytest.mark.parametrize(
    ("skipped", "text"),
    [
        (lost(("owner", "owner 1:2 of")), f"not kept, {LACK}: 1 owner (first: owner 1:2 of 'p')"),
        (
            lost(("xattr", "user.k of"), ("device", "device"), ("xattr", "user.l of")),
            f"not kept, {LACK}: 1 device file, 2 extended attributes (first: user.k of 'p')",
        ),
    ],
    ids=["one", "several"],
)
def test_the_notice_counts_and_shows_the_first(skipped, text):
    """Kinds come in the same order, whatever came first, and what is one is not many."""
    assert skipped.notice("note") == Notice("note", text)


def test_where_it_was_lost_can_be_said():
    """The place stands before the reason."""
    notice = lost(("device", "device")).notice("warning", " in the image's view")

    text = f"not kept in the image's view, {LACK}: 1 device file (first: device 'p')"
    assert notice == Notice("warning", text)


def test_recorded_owners_are_not_lost():
    """They are counted by themselves, and are no example."""
    skipped = Skipped()
    skipped.record()

    text = "1 owner only recorded, in user.rootlesscontainers"
    assert skipped.notice("note").text == text
    skipped.lose("device", "device", b"p")
    assert skipped.notice("note").text.startswith(f"{text}; not kept, ")


def test_several_writings_are_added_up():
    """Counts are summed; the first example of the first writing that lost something stays."""
    total = Skipped()
    assert not total
    for each in (Skipped(), lost(("xattr", "a of")), lost(("xattr", "b of"), ("owner", "o of"))):
        total.add(each)

    assert total
    assert (dict(total.counts), total.first) == ({"xattr": 2, "owner": 1}, "a of 'p'")


def test_the_example_is_short():
    """A path of any length leaves the notice a line."""
    skipped = Skipped()
    skipped.lose("device", "device", b"x" * 4000)

    assert len(skipped.notice("note").text) < 600
