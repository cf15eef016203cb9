"""`volume` prints what docker prints."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def made(cli):
    """Two volumes with a name, one with labels, and one without a name, whose name this is."""
    assert cli("volume", "create", "--label", "a=1", "--label", "b", "one") == (0, "one\n", "")
    assert cli("volume", "create", "two") == (0, "two\n", "")
    outcome = cli("volume", "create")
    assert (outcome.code, len(outcome.out)) == (0, 65)
    return outcome.out.strip()


def test_the_list_has_dockers_columns(cli, made):
    """Sorted by name; -q prints names alone."""
    names = sorted(["one", "two", made])

    assert cli("volume", "ls").out.splitlines() == [
        "DRIVER    VOLUME NAME",
        *(f"local     {name}" for name in names),
    ]
    assert cli("volume", "ls", "-q").out.split() == names
    assert cli("volume", "ls", "--format", '{{.Name}} {{.Label "a"}}', "-f", "name=one").out == (
        "one 1\n"
    )
    assert (
        cli("volume", "ls", "--format", "{{.Name}} {{.Size}}", "-f", "name=two").out != "two N/A\n"
    )


def test_the_list_as_json_has_dockers_fields(cli, made, state_root):
    """One object a line, labels as docker joins them."""
    (line,) = cli("volume", "ls", "--format", "json", "-f", "label=a").out.splitlines()

    assert json.loads(line) == {
        "Driver": "local",
        "Labels": "a=1,b=",
        "Links": 0,
        "Mountpoint": str(state_root / "volumes/one/_data"),
        "Name": "one",
        "Scope": "local",
        "Size": "N/A",
    }


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["name=^o"], ["one"]),
        (["name=one", "name=two"], ["one", "two"]),
        (["label=a=1"], ["one"]),
        (["label=a=2"], []),
        (["label=a", "label=c"], []),
        (["dangling=false"], []),
        (["dangling=1", "name=w"], ["two"]),
        (["driver=nfs"], []),
        (["driver=local", "name=w"], ["two"]),
    ],
    ids=",".join,
)
def test_filters_are_dockers(cli, made, filters, found):
    """Of several names one must fit, of all else each."""
    options = [part for each in filters for part in ("-f", each)]

    assert cli("volume", "ls", "-q", *options).out.split() == found


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", "-f", "color=red"],
        ["ls", "-f", "dangling=maybe"],
        ["ls", "-f", "name=("],
        ["ls", "-f", "name"],
        ["ls", "--format", "{{.Nothing}}"],
        ["prune", "-f", "--filter", "name=x"],
        ["create", "a"],
        ["create", "../x"],
        ["create", "x" * 256],
        ["create", "--label", "=1", "x1"],
        ["rm"],
    ],
    ids=lambda each: " ".join(each)[:30],
)
def test_what_makes_no_sense_is_a_usage_error(cli, arguments):
    """Nothing is printed or made."""
    outcome = cli("volume", *arguments)

    assert (outcome.code, outcome.out) == (2, "")
    assert cli("volume", "ls", "-q").out == ""


def test_inspect_has_dockers_fields(cli, made, state_root):
    """An array of all; what is not there is told, and the others are shown."""
    outcome = cli("volume", "inspect", "one", "nosuch")
    (record,) = json.loads(outcome.out)

    assert "no such volume: nosuch" in outcome.err
    assert outcome.code != 0
    assert record.pop("CreatedAt").startswith("20")
    assert record == {
        "Driver": "local",
        "Labels": {"a": "1", "b": ""},
        "Mountpoint": str(state_root / "volumes/one/_data"),
        "Name": "one",
        "Options": None,
        "Scope": "local",
    }
    assert cli("volume", "inspect", "-f", "{{.Labels}} {{.Name}}", "two").out == "<nil> two\n"


def test_one_that_is_there_is_left_as_it_is(cli, made, state_root):
    """With the same labels or none; with others it is a conflict."""
    (state_root / "volumes/one/_data/x").touch()

    assert cli("volume", "create", "one") == (0, "one\n", "")
    assert cli("volume", "create", "--label", "a=2", "one").code == 7
    assert (state_root / "volumes/one/_data/x").exists()


def test_rm_tells_what_is_not_there(cli, made):
    """With -f that is no error."""
    outcome = cli("volume", "rm", "nosuch", "one")
    assert (outcome.code != 0, outcome.out) == (True, "one\n")
    assert cli("volume", "rm", "-f", "nosuch") == (0, "nosuch\n", "")


def test_prune_removes_what_has_no_name(cli, made):
    """With -a also what has one; labels choose."""
    outcome = cli("volume", "prune", "-f")
    assert outcome.out.splitlines()[:3] == ["Deleted Volumes:", made, ""]
    assert outcome.out.splitlines()[3].startswith("Total reclaimed space: ")
    assert "two" in cli("volume", "prune", "-af", "--filter", "label!=a").out
    assert cli("volume", "ls", "-q").out == "one\n"


@pytest.mark.parametrize(("answer", "left"), [("y\n", 2), ("n\n", 3), ("", 3)])
def test_prune_asks(cli, made, monkeypatch, answer, left, tmp_path):
    """Nobody there to be asked does not agree."""
    (tmp_path / "answer").write_text(answer)
    with (tmp_path / "answer").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        outcome = cli("volume", "prune")

    assert outcome.code == 0
    assert "WARNING! This will remove the volumes without a name" in outcome.err
    assert len(cli("volume", "ls", "-q").out.split()) == left


def test_a_damaged_volume_is_named(cli, made, state_root):
    """One whose record is none is an error that says which."""
    (state_root / "volumes/one/volume.json").write_text("[]")
    outcome = cli("volume", "ls")

    assert outcome.code != 0
    assert "cannot read volume one" in outcome.err
