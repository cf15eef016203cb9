"""Configuration files of others: read with limits, and named when they are wrong."""

import re
from pathlib import Path

import pytest

from layerkit.errors import UsageError
from layerkit.registry import settings

PATH = Path("/etc/x.toml")


def toml(fs, text):
    fs.create_file(PATH, contents=text)
    return settings.read_toml(PATH)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        pytest.param(b"a = ", "not valid TOML (Invalid value (at end of document))", id="syntax"),
        pytest.param(b"a = 1\na = 2", "not valid TOML (Cannot overwrite", id="key-twice"),
        pytest.param(b"a = '\xff'", "not valid TOML ('utf-8'", id="no-text"),
        pytest.param(b"a = " + b"[" * 100_000, "not valid TOML (", id="deep"),
        pytest.param(b"#" * ((1 << 20) + 1), "more than 1048576 bytes", id="large"),
    ],
)
def test_a_broken_file_is_named(fs, contents, message):
    """What is no TOML, or too much of it, is refused by its name."""
    with pytest.raises(UsageError, match=f"^cannot use {PATH}: {re.escape(message)}"):
        toml(fs, contents)


@pytest.mark.parametrize("contents", ["[]", "1", '"x"', "null"])
def test_json_has_to_be_an_object(fs, contents):
    """Other documents have no keys."""
    fs.create_file(PATH, contents=contents)

    with pytest.raises(UsageError, match=f"^cannot use {PATH}: wanted a JSON object"):
        settings.read_json(PATH)


def test_no_file_is_no_error(fs):
    """A file that is not there, or a folder in its place, is no configuration."""
    fs.create_dir("/etc/folder")

    assert settings.read_toml(PATH) is None
    assert settings.read_json(Path("/etc/folder")) is None


def test_what_is_missing_is_empty(fs):
    """Every kind of value has its nothing."""
    table = toml(fs, "")

    assert (table.text("a"), table.flag("a"), table.texts("a")) == ("", False, [])
    assert (list(table.table("a")), table.tables("a"), table.items("a")) == ([], [], [])


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        ("a = 1", lambda t: t.text("a"), "a: got 1, wanted a string"),
        ("a = 1", lambda t: t.flag("a"), "a: got 1, wanted true or false"),
        ("a = [1]", lambda t: t.texts("a"), "a: wanted a string or a list of strings"),
        ("a = 1", lambda t: t.texts("a"), "a: wanted a string or a list of strings"),
        ("a = 1", lambda t: t.table("a"), "a: got 1, wanted a table"),
        ("a = [1]", lambda t: t.tables("a"), "a: wanted a list of tables"),
        ("a = {}", lambda t: t.tables("a"), "a: got {}, wanted a list of tables"),
        ("[a.b]\nc=1", lambda t: t.table("a").table("b").text("c"), "a.b.c: got 1"),
        (
            "[a.'https://x']\nc=1",
            lambda t: t.table("a").table("https://x").text("c"),
            'a."https://x".c: got 1',
        ),
        (
            "[[a]]\n[[a]]\n[[a.b]]\nc = 1",
            lambda t: t.tables("a")[1].tables("b")[0].text("c"),
            "a #2.b #1.c: got 1",
        ),
        ("a = 'x\\ny'\n".replace("'", '"'), lambda t: t.flag("a"), r"a: got 'x\ny', wanted"),
    ],
)
def test_a_wrong_value_is_named(fs, text, read, message):
    """The message has file, table and key."""
    table = toml(fs, text)

    with pytest.raises(UsageError, match=f"^cannot use {PATH}: {re.escape(message)}"):
        read(table)


def test_one_string_stands_for_a_list_of_one(fs):
    """As containerd reads `ca`."""
    assert toml(fs, 'a = "x"').texts("a") == ["x"]
