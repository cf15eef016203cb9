"""The page of a diff: right sums, a policy that lets nothing else run, and no markup from an image."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit.cli.output import printable
from layerkit.diff.report import Row, Totals, changed_bytes, page, shown, totals

OF_OTHERS = re.compile(r"https?:|//[a-z]|url\(|@import|\b(?:src|href|srcset|action)=|fetch\(|XML")
HOSTILE = {
    "end-of-script": "</script><img src=x onerror=alert(1)>",
    "end-of-script-in-capitals": "</SCRIPT ><svg onload=alert(1)>",
    "comment-and-script": "<!--<script>",
    "end-of-title": "</title></bdi><script>alert(1)</script>",
    "attribute": "\" onmouseover=alert(1) x='",
    "entity": "&lt;img src=x&gt;&#60;b>",
    "placeholder": "$data ${script} $$ %s {style}",
    "json": '"],"rows":[["A","x',
    "backslash": "\\u003c\\",
    "line-separators": "a\u2028b\u2029c",
    "direction": "txt.\u202eexe",
    "prototype": "__proto__",
    "end-of-cdata": "]]>",
    "lone-surrogate": "\udce4\ud800",
    "nul": "a\0b",
}


class Parsed(HTMLParser):
    """The tags and attribute names of a page in their order, and the text in its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[str]]] = []
        self.text: dict[str, str] = {}
        self.policy = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append((tag, sorted(values)))
        self._inside = values.get("id") or tag
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        self.text[self._inside] = self.text.get(self._inside, "") + data

    @property
    def data(self):
        """What the data block holds, each row by the names of its fields."""
        data = json.loads(self.text["data"])
        data["rows"] = [dict(zip(data["fields"], row, strict=True)) for row in data["rows"]]
        return data


def added(path=b"a", size=1, **more):
    """A new file."""
    return Row("A", path, "file", after_size=size, **more)


def changed(before, after, why=("content",)):
    """A file that is another one now."""
    return Row("C", b"c", "file", why, before, after)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        pytest.param([], Totals(0, 0, 0, 0, 0), id="nothing"),
        pytest.param([added(size=5), added(size=7)], Totals(2, 0, 0, 12, 0), id="added"),
        pytest.param([Row("D", b"d", "file", before_size=9)], Totals(0, 0, 1, 0, 9), id="deleted"),
        pytest.param([changed(3, 5), changed(9, 2)], Totals(0, 2, 0, 2, 7), id="grown-and-shrunk"),
        pytest.param([changed(4, 4)], Totals(0, 1, 0, 0, 0), id="other-bytes-of-one-size"),
        pytest.param([Row("A", b"d", "directory")], Totals(1, 0, 0, 0, 0), id="no-regular-file"),
        pytest.param([changed(6, None, ("type",))], Totals(0, 1, 0, 0, 6), id="file-to-link"),
    ],
)
def test_totals(rows, wanted):
    """Changes are counted by kind, bytes by what files grew and shrank."""
    assert totals(rows) == wanted
    assert Parsed(page("x", "y", rows)).data["totals"] == {
        name: getattr(wanted, name) for name in Totals.__slots__
    }


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        pytest.param(added(size=5), 5, id="added"),
        pytest.param(Row("D", b"d", "file", before_size=9), 9, id="deleted"),
        pytest.param(changed(3, 5), 5, id="grown"),
        pytest.param(changed(9, 2), 9, id="shrunk"),
        pytest.param(changed(4, 4), 4, id="same-size"),
        pytest.param(changed(4, 4, ("mode", "time")), 0, id="not-the-content"),
        pytest.param(changed(None, 8, ("type",)), 8, id="link-to-file"),
        pytest.param(Row("A", b"d", "directory"), 0, id="directory"),
    ],
)
def test_changed_bytes(row, wanted):
    """A change counts with the larger of its sizes, and not at all if the content is the same."""
    assert changed_bytes(row) == wanted


@given(st.binary() | st.text().map(str.encode))
def test_paths_are_shown_as_the_command_line_prints_them(path):
    """The page and the terminal show a path alike, whatever bytes it is of."""
    assert shown(path) == printable(os.fsdecode(path))


def test_a_row_has_both_sides():
    """Sizes, modes in octal, owners and reasons of both sides reach the page."""
    row = Row("C", b"bin/su", "file", ("mode", "owner"), 1, 2, 0o755, 0o4755, (0, 0), (0, 42))

    (told,) = Parsed(page("x", "y", [row])).data["rows"]

    assert told == {
        "kind": "C",
        "path": "bin/su",
        "type": "file",
        "why": ["mode", "owner"],
        "before": 1,
        "after": 2,
        "bytes": 2,
        "mode": ["0755", "4755"],
        "owner": ["0:0", "0:42"],
        "text": None,
    }


def test_a_text_diff_keeps_its_lines():
    """Line ends and tabs of a text diff stay, other controls are shown as escapes."""
    (row,) = Parsed(page("x", "y", [added(text="+\ta\r\n+\x1b[31m\n")])).data["rows"]

    assert row["text"] == "+\ta\\r\n+\\x1b[31m\n"


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_no_name_becomes_markup(name):
    """A page with a hostile name has the same tags and attributes as one with a tame name."""
    path = name.encode("utf-8", "surrogatepass")
    tame = Parsed(page("x", "y", [added(b"tame", text="tame")]))

    hostile = Parsed(page(name, name, [added(path, text=name)]))

    assert hostile.tags == tame.tags
    assert hostile.text["script"] == tame.text["script"]
    assert hostile.data["rows"][0]["path"] == shown(path)
    assert hostile.text["title"] == f"{printable(name)} → {printable(name)}"


@given(st.text(st.characters()), st.binary())
def test_every_page_can_be_written(name, path):
    """Whatever the names are, the page is UTF-8, and nothing in its data can end the data."""
    text = page(name, name, [added(path, text=name)])

    text.encode()
    assert not set(Parsed(text).text["data"]) & set("<>&\u2028\u2029")


def test_only_the_script_and_style_of_the_page_may_run():
    """The policy allows nothing but one script and one style, each by the hash of its text."""
    parsed = Parsed(page("x", "y", [added()]))
    rules = dict(rule.strip().split(" ", 1) for rule in parsed.policy.split(";"))

    assert rules == {
        "default-src": "'none'",
        "script-src": f"'{_hash(parsed.text['script'])}'",
        "style-src": f"'{_hash(parsed.text['style'])}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_policy_stands_before_what_it_is_for():
    """Nothing but the encoding comes before the policy: it does not hold for what does."""
    tags = [tag for tag, _ in Parsed(page("x", "y", [])).tags]

    assert tags[:4] == ["html", "head", "meta", "meta"]


def test_the_page_names_no_other_place():
    """There is no address in the page, and nothing that would ask for one."""
    assert OF_OTHERS.findall(page("x", "y", [])) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        *((ink, ground) for ink in ("ink", "quiet") for ground in ("ground", "paper", "frame")),
        *((f"{kind}-ink", ground) for kind in "ACD" for ground in ("ground", "paper")),
        *(("white", kind) for kind in "ACD"),
    ],
)
def test_text_has_contrast(scheme, ink, ground):
    """Text stands out from what is behind it, by 4.5 to 1 (WCAG 2.1, 1.4.3)."""
    style = Parsed(page("x", "y", [])).text["style"]
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", light if scheme == "light" else dark))
    colours["white"] = "#fff"

    one, other = sorted((_luminance(colours[ink]), _luminance(colours[ground])))

    assert (other + 0.05) / (one + 0.05) >= 4.5


def _luminance(colour: str) -> float:
    """The relative luminance of #rgb or #rrggbb (WCAG 2.1)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * each for each in colour[1:])
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
