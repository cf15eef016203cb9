"""The small commands hand over their arguments and print the results."""

import json
from pathlib import Path

import pytest

from layerkit import digest as digests
from layerkit.errors import ConflictError, NotFoundError
from layerkit.events import Notice
from layerkit.ops.load import Loaded

ID = digests.of_bytes(b"config")


@pytest.fixture
def calls(monkeypatch):
    """Replaces an operation by one that keeps its arguments and gives `result` (or what it makes)."""

    def replace(name, result):
        asked = []

        def operation(_home, *arguments, **options):
            asked.append((arguments, options))
            return result(*arguments, **options) if callable(result) else result

        monkeypatch.setattr(f"layerkit.ops.{name}", operation)
        return asked

    return replace


def look(text, _kind):
    """An object for every name but x."""
    if text == "x":
        raise NotFoundError(f"no such object: {text}")
    return {"Id": text, "Config": {"Env": ["Ü=1"], "Labels": {}}, "None": None}


def test_inspect_prints_an_array(calls, cli):
    """The objects are one JSON array with docker's indentation."""
    asked = calls("inspect.inspect", look)

    outcome = cli("inspect", "--type", "image", "a", "b")

    assert outcome.code == 0
    assert outcome.out.startswith('[\n    {\n        "Id": "a",\n')
    assert json.loads(outcome.out) == [look("a", None), look("b", None)]
    assert [arguments for arguments, _ in asked] == [("a", "image"), ("b", "image")]


def test_inspect_shows_what_it_finds(calls, cli):
    """A missing object is told, the others are printed, and the code is that of the failure."""
    calls("inspect.inspect", look)

    outcome = cli("inspect", "a", "x")

    assert outcome.code == NotFoundError.exit_code
    assert [each["Id"] for each in json.loads(outcome.out)] == ["a"]
    assert outcome.err == "layerkit: no such object: x\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{.Id}}", "a\nb\n"),
        ("{{json .Config}}", '{"Env":["Ü=1"],"Labels":{}}\n' * 2),
        ("{{.Config.Env}} {{.None}}", "[Ü=1] <nil>\n" * 2),
    ],
)
def test_inspect_has_a_format(calls, cli, text, wanted):
    """With a template there is a line for each object."""
    calls("inspect.inspect", look)

    assert cli("inspect", "-f", text, "a", "b") == (0, wanted, "")


@pytest.mark.parametrize("text", ["{{.Nothing}}", "table {{.Id}}", "{{range .}}"])
def test_inspect_refuses_a_bad_format(calls, cli, text):
    """Unknown fields and unsupported templates are usage errors."""
    calls("inspect.inspect", look)

    assert cli("inspect", "--format", text, "a").code == 2


def test_tag_is_silent(calls, cli):
    """Tagging prints nothing."""
    asked = calls("tag.tag", None)

    assert cli("tag", "a", "b:1") == (0, "", "")
    assert asked == [(("a", "b:1"), {})]


def test_rmi_prints_what_went(calls, cli):
    """Each image's lines are printed; one that is in use does not stop the others."""

    def remove(text, *, force):
        if text == "used":
            raise ConflictError("cannot remove image used", hint="remove the container first")
        return [f"Untagged: {text}:latest", f"Deleted: {ID}"]

    asked = calls("remove.remove_image", remove)

    outcome = cli("rmi", "-f", "a", "used", "b")

    assert outcome == (
        ConflictError.exit_code,
        f"Untagged: a:latest\nDeleted: {ID}\nUntagged: b:latest\nDeleted: {ID}\n",
        "layerkit: cannot remove image used\nhint: remove the container first\n",
    )
    assert {options["force"] for _, options in asked} == {True}


@pytest.mark.parametrize("mode", ["auto", "plain"])
def test_unpack_tells_what_was_not_kept(cli, monkeypatch, mode):
    """What the operation has to say is on stderr, and nothing else is printed."""

    def unpack(_home, image, directory, observe):
        assert (image, directory) == ("a", Path("out"))
        observe(Notice("note", "not kept: 1 owner"))

    monkeypatch.setattr("layerkit.ops.unpack.unpack", unpack)

    assert cli("--progress", mode, "unpack", "a", "out") == (0, "", "note: not kept: 1 owner\n")


@pytest.mark.parametrize(
    ("loaded", "out"),
    [
        ([Loaded("docker archive", "centos:7", ID)], "Loaded image: centos:7\n"),
        ([Loaded("docker archive", None, ID)], f"Loaded image ID: {ID}\n"),
        (
            [Loaded("docker archive", "a:1", ID), Loaded("docker archive", "b:1", ID)],
            "Loaded image: a:1\nLoaded image: b:1\n",
        ),
    ],
    ids=["name", "no name", "two"],
)
def test_load_prints_what_docker_prints(calls, cli, loaded, out):
    """Names are on stdout, the kind of what was found is noted; -q leaves the names."""
    asked = calls("load.load", loaded)

    assert cli("load", "-i", "x.tar") == (0, out, "note: format of x.tar: docker archive\n")
    assert cli("load", "-q", "--input", "x.tar") == (0, out, "")
    assert [arguments for arguments, _ in asked] == [(Path("x.tar"),)] * 2


def test_load_shows_progress_and_notices(calls, cli):
    """What happens meanwhile is told as with a pull."""

    def load(_path, *, platform, observe, **_options):
        observe(Notice("warning", f"odd on {platform.os}"))
        return []

    calls("load.load", load)

    assert cli("load", "-i", "x.tar").err == "warning: odd on linux\n"


def test_version_tells_what_works(cli, monkeypatch):
    """Versions and drivers are listed, with the reason where one does not work."""
    facts = {
        "Version": "1.2.3",
        "GitCommit": "abcdef0",
        "PythonVersion": "3.11.0",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": "6.1",
        "SnapshotDrivers": [
            {"Name": "good", "Works": True, "Reason": ""},
            {"Name": "bad", "Works": False, "Reason": "needs root"},
        ],
    }
    monkeypatch.setattr("layerkit.ops.version.version", lambda: facts)

    assert cli("version").out.splitlines() == [
        "layerkit 1.2.3, build abcdef0",
        " Python: 3.11.0",
        " Kernel: 6.1",
        " OS/Arch: linux/amd64",
        " Snapshot drivers:",
        "  good: works",
        "  bad: needs root",
    ]
    assert json.loads(cli("version", "--format", "json").out) == facts
    assert cli("version", "-f", "{{.Version}}").out == "1.2.3\n"
