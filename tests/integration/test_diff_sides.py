"""`diff` of any two sides, and what it tells beside the paths."""

from __future__ import annotations

import json
import os

import pytest
from support import homes
from support.tars import archive, directory, file, hardlink, oci_layout, symlink, whiteout

from layerkit.ops.home import Home
from layerkit.ops.images import find_image

BASE = archive(
    directory("d"),
    file("d/a", b"one\ntwo\n"),
    file("d/gone", b"g" * 10),
    symlink("link", "d/a"),
    file("same", b"s" * 100),
    file("pair", b"p"),
    hardlink("other", "pair"),
)
ABOVE = archive(
    whiteout("d/gone"),
    file("d/a", b"one\nthree\n", mode=0o600, uid=7),
    file("d/new", b"n" * 1500),
    symlink("link", "d/b"),
)
TOP = archive(file("top", b"\0binary"), file("d/a", b"one\ntwo\n"))


@pytest.fixture
def images(cli, tmp_path):
    """`one:1` has one layer, `two:1` two, `three:1` three."""
    for name, layers in (("one", (BASE,)), ("two", (BASE, ABOVE)), ("three", (BASE, ABOVE, TOP))):
        oci_layout(tmp_path / name, layers, name=f"{name}:1")
        assert cli("load", "-q", "-i", tmp_path / name).code == 0


@pytest.fixture
def diff(cli, images):
    """The lines of a diff that goes well."""

    def run(*arguments):
        outcome = cli("diff", *arguments)
        assert (outcome.code, outcome.err) == (0, ""), outcome
        return outcome.out.splitlines()

    return run


ONE_TO_TWO = ["C /d", "C /d/a", "D /d/gone", "A /d/new", "C /link"]


@pytest.mark.parametrize(
    ("sides", "lines"),
    [
        (("one:1", "two:1"), ONE_TO_TWO),
        (("two:1", "one:1"), ["C /d", "C /d/a", "A /d/gone", "D /d/new", "C /link"]),
        (("one:1", "one:1"), []),
        (("three:1#1", "three:1#2"), ONE_TO_TWO),
        (("three:1#2", "two:1"), []),
        (("one:1", "three:1"), ["C /d", "D /d/gone", "A /d/new", "C /link", "A /top"]),
    ],
    ids=" ".join,
)
def test_images_and_their_layers(diff, sides, lines):
    """DF-39: docker's lines, with docker's rule for folders, between any two trees."""
    assert diff(*sides) == lines


@pytest.mark.root
@pytest.mark.parametrize("driver", ["overlay", "copy"])
def test_containers_and_snapshots(cli, diff, state_root, driver):
    """DF-31: against an image too, only what the container changed is told."""
    with Home(state_root) as home:
        box = homes.create(home, find_image(home, "two:1"), name="box", driver=driver)
        with homes.root_of(home, find_image(home, "two:1"), box, state_root / "shown") as place:
            (place / "first").write_text("1")
    (state_root / "shown").rmdir()
    assert cli("snapshot", "create", "box", "s").code == 0
    with Home(state_root) as home:
        box = home.store.database.containers_named("box")[0]
        with homes.root_of(home, find_image(home, "two:1"), box, state_root / "shown") as place:
            (place / "second").write_text("2")
    (state_root / "shown").rmdir()

    assert diff("box") == ["A /first", "A /second"]
    assert diff("box@s") == ["A /first"]
    assert diff("box@s", "box") == ["A /second"]
    assert diff("two:1", "box") == ["A /first", "A /second"]
    assert diff("box", "two:1") == ["D /first", "D /second"]


@pytest.mark.root
def test_directories(diff, cli, tmp_path, monkeypatch):
    """A directory is read as it is; what is called like an image is the image, but for `./`."""
    folder = tmp_path / "tree"
    assert cli("unpack", "two:1", folder).code == 0
    (folder / "d/new").unlink()

    assert diff("two:1", folder) == ["C /d", "D /d/new"]
    monkeypatch.chdir(tmp_path)
    assert diff("two:1", "tree") == ["C /d", "D /d/new"]
    os.mkdir("one:1")
    assert diff("one:1", "one:1#1") == []
    assert diff("./one:1", "./one:1") == []
    assert diff("one:1", "./one:1")[0] == "D /d"


def test_what_differs_is_said(diff):
    """`--why`: in words behind a tab, with the values of what is short."""
    lines = dict(line.split("\t") for line in diff("--why", "one:1", "two:1"))

    assert lines == {
        "C /d": "below",
        "C /d/a": "content, mode 0644 -> 0600, owner 0:0 -> 7:0",
        "D /d/gone": "file",
        "A /d/new": "file",
        "C /link": "target d/a -> d/b",
    }


def test_sizes_are_said_and_summed(diff):
    """DF-40: bytes of files that came and went, hard links once, in docker's units."""
    lines = diff("--size", "one:1", "two:1")

    assert lines == [
        "C /d\t",
        "C /d/a\t+2B",
        "D /d/gone\t-10B",
        "A /d/new\t+1.5kB",
        "C /link\t",
        "1 added (1.5kB), 3 changed (10B), 1 deleted (10B)",
    ]


def test_the_names_of_one_file_are_summed_once(diff, tmp_path):
    """DF-40: two names of a file that came are its size once."""
    (tmp_path / "empty").mkdir()

    assert diff("--size", tmp_path / "empty", "one:1")[-1].startswith("7 added (119B)")


def test_digests_are_said(diff):
    """`--hash`: of files, both where they differ."""
    lines = diff("--hash", "one:1", "two:1")

    assert lines[0] == "C /d\t"
    before, _, after = lines[1].partition("\t")[2].split(" ")
    assert before.startswith("sha256:")
    assert after.startswith("sha256:")
    assert before != after


def test_text_is_compared_line_by_line(diff):
    """`--content`: a unified diff behind the path; of what is no text one line says so."""
    lines = diff("--content", "two:1", "three:1")

    assert lines == [
        "C /d",
        "C /d/a",
        "--- a/d/a",
        "+++ b/d/a",
        "@@ -1,2 +1,2 @@",
        " one",
        "-three",
        "+two",
        "A /top",
        "Binary files /dev/null and b/top differ",
    ]


def test_content_does_nothing_to_a_terminal(cli, diff, tmp_path):
    """S03: what a file holds is printed as escapes."""
    for name, content in (("a", "x\n"), ("b", "\x1b[2Jx\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(content)

    assert diff("--content", tmp_path / "a", tmp_path / "b")[-1] == "+\\x1b[2Jx"


def test_json_is_one_object_a_line(diff):
    """Kind, path, reasons, and both sides with all there is; digests when they are asked for."""
    records = [json.loads(line) for line in diff("--format", "json", "--hash", "one:1", "two:1")]

    by_path = {record["path"]: record for record in records}
    changed = by_path["/d/a"]
    assert changed["kind"] == "C"
    assert changed["why"] == ["content", "mode", "owner"]
    assert changed["before"] == {
        "type": "file",
        "size": 8,
        "mode": "0644",
        "uid": 0,
        "gid": 0,
        "mtime": changed["after"]["mtime"],
        "target": None,
        "digest": changed["before"]["digest"],
        "xattrs": {},
    }
    assert changed["after"]["digest"].startswith("sha256:")
    assert by_path["/d/gone"]["after"] is None
    assert by_path["/d/new"]["before"] is None
    assert by_path["/link"]["after"]["target"] == "d/b"


@pytest.mark.parametrize(
    ("sides", "code"), [(("one:1", "two:1"), 1), (("one:1", "three:1#1"), 0)], ids=["some", "none"]
)
def test_the_exit_code_tells_differences(cli, images, sides, code):
    """As with `git diff`, only on request."""
    assert cli("diff", "--exit-code", *sides).code == code
    assert cli("diff", *sides).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("one:1", "two:1", "three:1"), "3 things to compare"),
        (("one:1",), "no such container: one:1"),
        (("one:1", "nothing:1"), "no such image: nothing:1"),
        (("one:1", "/nowhere"), "no such directory: /nowhere"),
        (("one:1", "three:1#4"), "invalid layer '4' of three:1: wanted a number from 1 to 3"),
        (("one:1", "three:1#0"), "wanted a number from 1 to 3"),
        (("one:1", "three:1#x"), "wanted a number from 1 to 3"),
        (("one:1", "three:1#" + "9" * 5000), "wanted a number from 1 to 3"),
        (("--format", "json", "--why", "one:1", "two:1"), "--format json has everything in it"),
        (("--report", "x.html", "--size", "one:1", "two:1"), "--report has everything in it"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_compared_is_named(cli, images, arguments, message):
    """With what was wanted, and nothing printed."""
    refused = cli("diff", *arguments)

    assert refused.code != 0
    assert message in refused.err
    assert refused.out == ""


def test_a_group_of_names_that_split(cli, diff, tmp_path):
    """`links`: the same bytes under the same names, but writing to one no longer reaches the other."""
    split = archive(file("other", b"p"))
    oci_layout(tmp_path / "split", [BASE, split], name="split:1")
    assert cli("load", "-q", "-i", tmp_path / "split").code == 0

    told = ["C /other\tlinks", "C /pair\tlinks"]
    assert [each.replace("time, ", "") for each in diff("--why", "one:1", "split:1")] == told
    assert [each.replace("time, ", "") for each in diff("--why", "split:1", "one:1")] == told


def test_a_page_is_written(diff, tmp_path):
    """`--report`: one file that has the names, the changes and the text diffs, and no output."""
    page = tmp_path / "page.html"

    assert diff("--report", page, "one:1", "two:1") == []

    text = page.read_text()
    assert "one:1" in text
    assert "/d/gone" in text
    assert "-two" in text


def test_a_page_that_cannot_be_written_is_named(cli, images):
    """With the reason, as every file of the user's."""
    refused = cli("diff", "--report", "/nowhere/page.html", "one:1", "two:1")

    assert refused.err.startswith("layerkit: cannot write /nowhere/page.html: no such file")
