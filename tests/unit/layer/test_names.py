"""Names in a layer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit.errors import ArchiveError
from layerkit.layer import names
from layerkit.tree import Kind


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (b"a", b"a"),
        (b"./././a", b"a"),
        (b"./e/.", b"e"),
        (b"e//f", b"e/f"),
        (b"./x/./g", b"x/g"),
        (b"/etc/motd", b"etc/motd"),
        (b"//a/", b"a"),
        (b".", b""),
        (b"./", b""),
        (b"/", b""),
        (b"...", b"..."),
        (b"..a/b..", b"..a/b.."),
        (b" ", b" "),
        (b"\xff\n", b"\xff\n"),
        (b"n" * 255, b"n" * 255),
        (b"/".join([b"n" * 255] * 16), b"/".join([b"n" * 255] * 16)),
        (b"./" * 4000 + b"a", b"a"),
    ],
)
def test_names_are_made_canonical(name, wanted):
    """NM-03: slashes in front and behind, doubled ones and `.` do not matter."""
    assert names.clean(name) == wanted


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param(b"", "an entry without a name", id="NM-04"),
        pytest.param(b"..", "unsafe name '..'", id="up"),
        pytest.param(b"../x", "unsafe name '../x'", id="up first"),
        pytest.param(b"a/../b", "unsafe name 'a/../b'", id="up in the middle"),
        pytest.param(b"/..", "unsafe name '/..'", id="up from the root"),
        pytest.param(b"a/b/..", "unsafe name 'a/b/..'", id="up last"),
        pytest.param(b"d/s/../.wh.a", "unsafe name 'd/s/../.wh.a'", id="WH-29"),
        pytest.param(b"a\0b", r"unsafe name 'a\x00b'", id="NUL"),
        pytest.param(b"abc/" * 1500, "name of 5999 bytes, at most 4095", id="NM-10"),
        pytest.param(b"a/" * 10_000, "name of 19999 bytes, at most 4095", id="NM-12"),
        pytest.param(b"d/" + b"n" * 256, "a part of more than 255 bytes", id="one long part"),
    ],
)
def test_names_that_no_layer_may_have_are_refused(name, why):
    """What could leave the root, or could not be made on Linux, is an error with the name."""
    with pytest.raises(ArchiveError) as caught:
        names.clean(name)

    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (b".wh.a", (Kind.WHITEOUT, b"a")),
        (b"d/e/.wh.a", (Kind.WHITEOUT, b"d/e/a")),
        (b".wh..baz", (Kind.WHITEOUT, b".baz")),
        (b".wh.....", (Kind.WHITEOUT, b"....")),
        (b"d/.wh.a.wh.", (Kind.WHITEOUT, b"d/a.wh.")),
        (b".wh..wh..opq", (Kind.OPAQUE, b"")),
        (b"d/e/.wh..wh..opq", (Kind.OPAQUE, b"d/e")),
    ],
)
def test_markers_say_what_they_hide(path, wanted):
    """`.wh.NAME` hides NAME beside it, `.wh..wh..opq` what lower layers have in its folder."""
    assert names.is_marker(path)
    assert not names.reserved(path)
    assert names.whiteout(path) == wanted


@pytest.mark.parametrize("path", [b"a", b"a.wh.b", b"d/x.wh.", b"wh.a", b".wh", b".w", b".Wh.a"])
def test_other_names_are_no_markers(path):
    """Only a part that begins with `.wh.` is a marker."""
    assert not names.is_marker(path)


@pytest.mark.parametrize("folder", [b"", b"d/"])
@pytest.mark.parametrize("name", [b".wh.", b".wh..", b".wh..."])
def test_whiteouts_of_a_folder_itself_are_refused(folder, name):
    """D4, WH-28: a marker that would hide its folder or the one above names no file."""
    with pytest.raises(ArchiveError) as caught:
        names.whiteout(folder + name)

    assert str(caught.value) == f"invalid whiteout '{(folder + name).decode()}': it names no file"


@pytest.mark.parametrize("path", [b".wh.d/some", b"a/.wh.d/b/c", b".wh..wh..opq/x", b".wh.d/.wh.e"])
def test_markers_are_no_folders(path):
    """D6, WH-27: nothing can be inside of a marker."""
    assert names.is_marker(path)
    with pytest.raises(ArchiveError, match="whiteout name used as a folder"):
        names.whiteout(path)


@pytest.mark.parametrize(
    ("path", "is_reserved"),
    [
        (b".wh..wh.plnk", True),
        (b".wh..wh.plnk/1.2", True),
        (b"d/.wh..wh.aufs", True),
        (b".wh..wh.orph", True),
        (b".wh..wh.", True),
        (b"d/.wh..wh..opq", False),
        (b".wh..wh..opq", False),
        (b".wh..wha", False),
        (b"a", False),
    ],
)
def test_bookkeeping_of_aufs_is_known(path, is_reserved):
    """D5: `.wh..wh.` begins names of AUFS' own, but for the opaque mark."""
    assert names.reserved(path) == is_reserved


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain name.txt", "plain name.txt"),
        (b"\x1b[31mred", r"\x1b[31mred"),
        (b"two\nlines\r", r"two\nlines\r"),
        (b"back\\slash", r"back\\slash"),
        (b"\xff\0", r"\\xff\x00"),
        ("é\u202e".encode(), r"\xe9\u202e"),
        (b"n" * 201, "n" * 200 + "..."),
    ],
)
def test_names_in_messages_are_harmless(name, shown):
    """SE-33: no control character and no endless name gets to a terminal."""
    assert names.show(name) == shown


@given(st.binary(max_size=400))
def test_shown_names_are_one_printable_line(name):
    """Whatever the bytes, what is shown is printable ASCII."""
    assert names.show(name).isascii()
    assert names.show(name).isprintable()


@given(st.binary(max_size=40))
def test_clean_names_stay_clean(name):
    """A canonical name is its own canonical form, and has no part that leads elsewhere."""
    try:
        path = names.clean(name)
    except ArchiveError:
        return
    assert path == b"" or names.clean(path) == path
    assert not {b"", b".", b".."} & set(path.split(b"/")) or path == b""
