"""The page of `diff --report` in a real browser, from a file: what it shows, and how one moves in it."""

from __future__ import annotations

import struct

import pytest
from support import browser

from layerkit.diff.report import Row, page

pytestmark = pytest.mark.debian(browser.PROGRAM)

HOSTILE = "srv/</script><img src=x onerror=document.title='owned'>"
TEXT = "--- a/etc/motd\n+++ b/etc/motd\n@@ -1 +1,2 @@\n-<b>old</b>\n+new\n+\tmore\n"
ROWS = (
    Row("C", b"etc", "directory", ("below",), None, None, 0o755, 0o755, (0, 0), (0, 0)),
    Row("C", b"etc/motd", "file", ("content",), 400, 900, 0o644, 0o644, (0, 0), (0, 0), TEXT),
    Row("C", b"etc/shadow", "file", ("mode", "owner"), 70, 70, 0o644, 0o640, (0, 0), (0, 42)),
    Row("A", HOSTILE.encode(), "file", after_size=3000, after_mode=0o644, after_owner=(7, 8)),
    Row("A", b"usr/bin/\xff", "symlink", after_mode=0o777, after_owner=(0, 0)),
    Row("D", b"usr/lib/one/a", "file", before_size=2000, before_mode=0o644, before_owner=(0, 0)),
    Row("A", b"usr/lib/one/b", "file", after_size=5000, after_mode=0o644, after_owner=(0, 0)),
    Row("A", b"usr/lib/two/c", "file", after_size=1500, after_mode=0o644, after_owner=(0, 0)),
)
PATHS = "[...document.querySelectorAll('td.path')].map((each) => each.textContent)"
COUNT = "document.getElementById('count').textContent"
CRUMBS = "[...document.querySelectorAll('#crumbs li')].map((each) => each.textContent)"
LABELS = "[...document.querySelectorAll('#map [role=treeitem]')].map((each) => each.getAttribute('aria-label'))"
FOCUS = "document.activeElement.getAttribute('aria-label')"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """One browser for all tests here."""
    with browser.chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens a page of some rows as a file, and finds no complaint and no request in the end."""
    pages = []

    def opened(rows=ROWS, scheme="light"):
        path = tmp_path / f"{len(pages)}.html"
        path.write_text(page("web:1", "web:2", rows), encoding="utf-8")
        pages.append((path, browser.Page(chromium, path, scheme=scheme, width=1000, height=800)))
        return pages[-1][1]

    yield opened
    for path, each in pages:
        assert each.complaints() == []
        assert each.requests() == [path.as_uri()]
        each.close()


def test_what_is_seen_first(opened):
    """Names, totals, every change as a line and every changed file and folder as a rectangle."""
    shown = opened()

    assert shown.run("document.title") == "web:1 → web:2"
    assert shown.run("document.querySelector('h1').textContent") == "Changes from web:1 to web:2"
    assert shown.run("document.getElementById('totals').innerText.split(/\\n+/)") == [
        *("added", "4", "changed", "3", "deleted", "1"),
        *("bytes added", "+10 kB", "bytes removed", "−2 kB", "difference", "+8 kB"),
    ]
    assert shown.run(PATHS) == [
        *("etc", "etc/motd", "etc/shadow"),
        HOSTILE,
        *("usr/bin/\\xff", "usr/lib/one/a"),
        *("usr/lib/one/b", "usr/lib/two/c"),
    ]
    assert shown.run(LABELS) == [
        "usr/lib/: 3 files, 6.5 kB added, 2 kB deleted",
        "usr/lib/one/: 2 files, 5 kB added, 2 kB deleted",
        "usr/lib/one/b: added, 5 kB",
        "usr/lib/one/a: deleted, 2 kB",
        "usr/lib/two/: 1 file, 1.5 kB added",
        "usr/lib/two/c: added, 1.5 kB",
        "srv/</: 1 file, 3 kB added",
        f"{HOSTILE}: added, 3 kB",
        "etc/: 1 file, 900 B changed",
        "etc/motd: changed, 900 B",
    ]


def test_a_line_tells_both_sides(opened):
    """A line has sizes, their difference, and modes and owners where they differ."""
    shown = opened()
    line = "[...document.querySelectorAll('tbody tr')[{}].cells].map((each) => each.textContent)"

    assert shown.run(line.format(1)) == [
        *("changed", "etc/motd", "file", "400 B", "900 B", "+500 B", "content")
    ]
    assert shown.run(line.format(2)) == [
        *("changed", "etc/shadow", "file", "70 B", "70 B", "0 B"),
        "mode 0644 → 0640, owner 0:0 → 0:42",
    ]
    assert shown.run(line.format(4)) == [
        *("added", "usr/bin/\\xff", "symlink", "", "", "", "0777 0:0")
    ]


def test_areas_are_as_the_bytes(opened):
    """Of two files in one folder, the rectangles have areas in proportion to the bytes."""
    area = (
        "(() => { const {width, height} = document.querySelector("
        "`#map [aria-label^='usr/lib/one/%s:'] > rect`).getBBox(); return width * height; })()"
    )
    shown = opened()

    assert shown.run(area % "b") / shown.run(area % "a") == pytest.approx(5000 / 2000, rel=0.01)


def test_a_name_is_never_markup(opened):
    """A name that looks like HTML makes no element and runs nothing."""
    shown = opened()
    shown.click("td.path button")

    assert shown.run("document.images.length") == 0
    assert shown.run("document.title") == "web:1 → web:2"
    assert shown.run("document.querySelectorAll('b').length") == 0


def test_zoom_by_click(opened):
    """A click on a folder shows that folder alone, in the table, too; its crumbs lead back."""
    shown = opened()

    shown.click("#map [aria-label^='usr/lib/one/:'] > text")
    assert shown.run(CRUMBS) == ["root", "usr/lib", "one"]
    assert shown.run(LABELS) == ["usr/lib/one/b: added, 5 kB", "usr/lib/one/a: deleted, 2 kB"]
    assert shown.run(PATHS) == ["usr/lib/one/a", "usr/lib/one/b"]
    shown.click("#crumbs button")
    assert shown.run(CRUMBS) == ["root"]
    assert shown.run("document.querySelectorAll('#map [role=treeitem]').length") == 10


def test_zoom_by_keyboard(opened):
    """Arrows go around in the map, Enter into a folder, Escape out of it, to where one was."""
    shown = opened()
    shown.run("document.querySelector('#map [tabindex=\"0\"]').focus()")

    seen = [shown.run(FOCUS).split(":")[0]]
    for key in (
        *("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"),
        *("ArrowDown", "ArrowRight", "ArrowUp", "ArrowDown", "ArrowRight"),
        *("Enter", "Escape", "ArrowUp", "Escape"),
    ):
        shown.press(key)
        seen.append(shown.run(FOCUS).split(":")[0])

    assert seen == [
        *("usr/lib/", "srv/</", "etc/", "srv/</", "usr/lib/"),
        *("usr/lib/one/", "usr/lib/two/", "usr/lib/", "usr/lib/one/", "usr/lib/two/"),
        *("usr/lib/two/c", "usr/lib/two/", "usr/lib/two/", "usr/lib/"),
    ]


def test_a_file_leads_to_its_line(opened):
    """Enter on a file's rectangle leaves its line alone in the table."""
    shown = opened()

    shown.click("#map [aria-label^='etc/motd:'] > rect")

    assert shown.run(PATHS) == ["etc/motd"]
    assert shown.run(COUNT) == "1 of 8 changes"


def test_the_map_is_a_list_too(opened):
    """What the map draws stands in a list of text, whose names zoom as well."""
    shown = opened()
    shown.click("summary")
    items = "[...document.querySelectorAll('#list li')].map((each) => each.textContent)"

    assert shown.run(items) == [
        "usr/lib/: 3 files, 6.5 kB added, 2 kB deleted",
        "srv/</: 1 file, 3 kB added",
        "etc/: 1 file, 900 B changed",
    ]
    shown.click("#list button")
    assert shown.run(CRUMBS) == ["root", "usr/lib"]


@pytest.mark.parametrize(
    ("column", "state", "first"),
    [
        ("path", "descending", ["usr/lib/two/c", "usr/lib/one/b"]),
        ("growth", "descending", ["usr/lib/one/b", HOSTILE]),
        ("before", "descending", ["usr/lib/one/a", "etc/motd"]),
        ("type", "ascending", ["etc", "etc/motd"]),
        ("kind", "ascending", [HOSTILE, "usr/bin/\\xff"]),
    ],
)
def test_sorting(opened, column, state, first):
    """The button in a column's head sorts by it, numbers the largest first."""
    shown = opened()

    shown.click(f"th button[value={column}]")

    assert shown.run(PATHS)[:2] == first
    assert shown.run("document.querySelector('[aria-sort]').ariaSort") == state
    assert shown.run("document.querySelectorAll('[aria-sort]').length") == 1


def test_what_has_no_number_comes_last(opened):
    """Sorted by a size, up or down, entries without one stay at the end."""
    shown = opened()

    for _ in range(2):
        shown.click("th button[value=growth]")
        assert set(shown.run(PATHS)[-2:]) == {"etc", "usr/bin/\\xff"}


def test_filtering(opened):
    """Text in path or reason, in any case, and kinds leave the lines that have both."""
    shown = opened()

    shown.run("document.getElementById('filter').focus()")
    for letter in "USR":
        shown.call("Input.insertText", text=letter)
    assert shown.run(PATHS)[0] == "usr/bin/\\xff"
    assert shown.run(COUNT) == "4 of 8 changes"
    shown.click("#kinds button[value=A]")
    assert shown.run(PATHS) == ["usr/lib/one/a"]
    assert shown.run("document.querySelector('#kinds .A').ariaPressed") == "false"


def test_a_text_diff_unfolds(opened):
    """The text diff of a file is there after a click, line by line, gone after another."""
    shown = opened()

    assert shown.run("document.querySelector('pre')") is None
    shown.click("td.path button")
    assert shown.run("document.querySelector('pre').innerText") == TEXT.removesuffix("\n")
    colours = "[...document.querySelectorAll('pre span')].map((each) => each.className)"
    assert shown.run(colours) == ["minus", "plus", "place", "minus", "plus"]
    shown.click("th button[value=path]")
    assert shown.run("document.querySelectorAll('pre').length") == 1
    shown.click("td.path button")
    assert shown.run("document.querySelector('pre')") is None


def test_many_lines_are_made_as_they_are_needed(opened):
    """Of 10,000 changes few are lines at first; at the end of those there are more."""
    shown = opened(
        [Row("A", b"d%d/f%05d" % (i % 7, i), "file", after_size=i) for i in range(10**4)]
    )
    lines = "document.querySelectorAll('tbody tr').length"

    assert shown.run(COUNT) == "10,000 changes"
    assert shown.run("document.getElementById('table').getAttribute('aria-rowcount')") == "10001"
    before = shown.run(lines)
    shown.run(
        "new Promise((done) => { new MutationObserver(done).observe("
        "document.querySelector('tbody'), {childList: true});"
        "document.getElementById('more').scrollIntoView(); })"
    )
    assert before < shown.run(lines) < 2000
    shown.run("document.getElementById('filter').value = 'F09999'")
    shown.run("document.getElementById('filter').dispatchEvent(new Event('input'))")
    assert shown.run(PATHS) == ["d3/f09999"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param([], "0 changes", id="nothing"),
        pytest.param([ROWS[2]], "1 change", id="no-bytes"),
    ],
)
def test_without_changed_bytes(opened, rows, words):
    """Where no bytes of files differ, the map says so."""
    shown = opened(rows)

    assert shown.run("document.getElementById('map').textContent") == "No bytes of files differ."
    assert shown.run(COUNT) == words


def test_deep_folders(opened):
    """A path as deep as Linux has them is one name in the map."""
    shown = opened([Row("A", b"/".join([b"d"] * 2000), "file", after_size=1)])

    assert shown.run("document.querySelectorAll('#map [role=treeitem]').length") == 2


def test_light_and_dark(opened):
    """The page has the colours that the reader's system asks for."""
    pictures = {scheme: opened(scheme=scheme).screenshot() for scheme in ("light", "dark")}

    for picture in pictures.values():
        assert picture.startswith(b"\x89PNG")
        assert struct.unpack(">II", picture[16:24]) == (1000, 800)
    assert pictures["light"] != pictures["dark"]


def test_another_script_does_not_run(chromium, tmp_path):
    """A script with one more byte than the policy knows does not run, and the browser says so."""
    path = tmp_path / "page.html"
    path.write_text(page("web:1", "web:2", ROWS).replace('"use strict"', '"use strict" '))

    shown = browser.Page(chromium, path, scheme="light", width=1000, height=800)

    assert shown.run("document.querySelectorAll('tbody tr').length") == 0
    assert "Content Security Policy" in " ".join(shown.complaints())
    shown.close()
