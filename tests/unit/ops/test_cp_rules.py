"""Arguments of a copy mean what they mean to docker."""

from __future__ import annotations

import pytest

from layerkit.errors import LayerkitError, UsageError
from layerkit.ops.cp_rules import Place, Spot, There, Way, decide, place, spot


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("c:/etc", Place("c", "/etc")),
        ("c:etc", Place("c", "etc")),
        ("c:/a:b", Place("c", "/a:b")),
        ("file", Place(None, "file")),
        ("/a:b", Place(None, "/a:b")),
        ("./a:b", Place(None, "./a:b")),
        ("../a:b", Place(None, "../a:b")),
        (":b", Place(None, ":b")),
        ("-", Place(None, "-")),
    ],
)
def test_a_colon_parts_container_and_path(text, wanted):
    """The first colon does, unless the argument is a path by its beginning."""
    assert place(text) == wanted


@pytest.mark.parametrize("text", ["c:", ""])
def test_no_path_is_no_place(text):
    """The whole root of a container has to be asked for as such."""
    with pytest.raises(UsageError, match=f"no path in '{text}'"):
        place(text)


@pytest.mark.parametrize(
    ("text", "folder", "wanted"),
    [
        ("/etc/x", "/", Spot(b"etc/x", False, False)),
        ("etc/x", "/", Spot(b"etc/x", False, False)),
        ("x", "/work/here", Spot(b"work/here/x", False, False)),
        ("x/", "/work", Spot(b"work/x", True, False)),
        ("x/.", "/work", Spot(b"work/x", True, True)),
        ("x/./", "/work", Spot(b"work/x", True, True)),
        (".", "/work", Spot(b"work", True, True)),
        ("./", "/work", Spot(b"work", True, True)),
        ("..", "/work/here", Spot(b"work", False, False)),
        ("../../../..", "/work", Spot(b"", False, False)),
        ("a/../b", "/", Spot(b"b", False, False)),
        ("//a//b", "/", Spot(b"a/b", False, False)),
        ("/", "/", Spot(b"", True, False)),
        (".x", "/", Spot(b".x", False, False)),
        ("x.", "/", Spot(b"x.", False, False)),
    ],
)
def test_paths_are_cleaned_as_text(text, folder, wanted):
    """`..` goes up in the text; what a path ends with is kept in mind."""
    assert spot(text, folder) == wanted


FILE, FOLDER = False, True
TO_A_FILE, NO_FOLDER, NOT_A_FOLDER = "directory to a file", "does not exist", "is not a directory"


@pytest.mark.parametrize(
    ("is_folder", "source", "there", "target", "wanted"),
    [
        (FILE, "/d/f", There.NOTHING, "/x", Way.AS),
        (FILE, "/d/f", There.NOTHING, "/x/", NO_FOLDER),
        (FILE, "/d/f", There.NOTHING, "/x/.", NO_FOLDER),
        (FILE, "/d/f", There.OTHER, "/x", Way.AS),
        (FILE, "/d/f", There.OTHER, "/x/", NOT_A_FOLDER),
        (FILE, "/d/f", There.FOLDER, "/x", Way.INTO),
        (FILE, "/d/f", There.FOLDER, "/x/", Way.INTO),
        (FOLDER, "/d", There.NOTHING, "/x", Way.AS),
        (FOLDER, "/d", There.NOTHING, "/x/", Way.AS),
        (FOLDER, "/d/.", There.NOTHING, "/x", Way.AS),
        (FOLDER, "/d/", There.NOTHING, "/x", Way.AS),
        (FOLDER, "/d", There.OTHER, "/x", TO_A_FILE),
        (FOLDER, "/d/.", There.OTHER, "/x", TO_A_FILE),
        (FOLDER, "/d", There.FOLDER, "/x", Way.INTO),
        (FOLDER, "/d/", There.FOLDER, "/x", Way.INTO),
        (FOLDER, "/d/.", There.FOLDER, "/x", Way.CONTENT),
        (FOLDER, "/", There.FOLDER, "/x", Way.CONTENT),
    ],
)
def test_rules(is_folder, source, there, target, wanted):
    """Of each kind of source and destination docker's documentation says what comes of it."""
    if isinstance(wanted, Way):
        assert decide(spot(source), there, spot(target), is_folder=is_folder) is wanted
        return
    with pytest.raises(LayerkitError, match=wanted):
        decide(spot(source), there, spot(target), is_folder=is_folder)
