"""`--format`: what is supported does what docker does, everything else is refused."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit.cli import template
from layerkit.errors import UsageError

RECORD = {
    "ID": "abc",
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"b": "2", "a": None}, "Tty": False},
    "Size": 12,
    "Odd": "a\tb\x1b[2J\n",
}
TITLES = {"ID": "IMAGE ID", "Tag": "TAG", "Size": "SIZE"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PIECES = st.sampled_from(
    ["{{", "}}", ".", "json", " ", "ID", "Config", "table", r"\t", r"\n", "\t", "-", "|", "é", '"']
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{.ID}}", "abc"),
        ("{{ .ID }}", "abc"),
        ("{{.ID}}:{{.Size}}", "abc:12"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{.Config.Labels}}", "map[a:<nil> b:2]"),
        ("{{.Config.Tty}}", "false"),
        ('{{.Config.Labels "b"}}', "2"),
        ('{{ .Config.Labels  "b" }}', "2"),
        ('{{.Config.Labels "c"}}', ""),
        ('{{json .Config.Labels "b"}}', '"2"'),
        ("{{json .Config.Env}}", '["A=1","B=2"]'),
        ("{{json .ID}}", '"abc"'),
        ("{{json .Odd}}", r'"a\tb\u001b[2J\n"'),
        ("{{.Odd}}", r"a\tb\x1b[2J\n"),
        (r"a\tb\nc", "a\tb\nc"),
        ("plain }} text", "plain }} text"),
        ("tablet {{.ID}}", "tablet abc"),
        ("", ""),
    ],
)
def test_a_supported_template_prints_as_go_does(text, wanted):
    """Fields, inner fields, JSON, text and escapes come out as docker prints them."""
    assert template.parse(text).lines([RECORD]) == [wanted]


@pytest.mark.parametrize("text", ["json", "{{json .}}", " json "])
def test_json_is_one_object_a_line(text):
    """The whole record is compact JSON that reads back as itself."""
    (line,) = template.parse(text).lines([RECORD])

    assert json.loads(line) == RECORD
    assert ": " not in line.replace("\\", "")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("table", ["IMAGE ID", "abc"]),
        (r"table {{.ID}}\t{{.Size}}", ["IMAGE ID   SIZE", "abc        12"]),
        ("table {{.ID}}:{{.Size}}", ["IMAGE ID:SIZE", "abc:12"]),
        ("table {{json .ID}}", ["IMAGE ID", '"abc"']),
    ],
)
def test_a_table_has_headings(text, wanted):
    """The first line has the titles of the fields, and columns stand below one another."""
    assert template.parse(text, "{{.ID}}").lines([RECORD], TITLES) == wanted


def test_a_key_is_its_own_heading():
    """The value of a map stands below the key that it is asked for."""
    titles = {"Config": "CONFIG"}

    lines = template.parse('table {{.Config "Tty"}}', "{{.ID}}").lines([RECORD], titles)

    assert lines == ["Tty", "false"]


def test_only_maps_have_keys():
    """A key of a text is an error, not an empty string."""
    with pytest.raises(UsageError, match=r"field \.ID has no keys"):
        template.parse('{{.ID "x"}}').lines([RECORD])


def test_columns_are_as_wide_as_docker_makes_them():
    """A column has at least 10 characters and 3 more than its longest cell, but the last none."""
    rows = [["A", "B", "C"], ["x" * 12, "", "long last cell"], ["", "yy", ""]]

    assert template.align(rows) == [
        "A              B         C",
        "xxxxxxxxxxxx             long last cell",
        "               yy        ",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{{.}}",
        "{{}}",
        "{{ID}}",
        "{{.ID",
        "{{.ID}} {{",
        "{{- .ID}}",
        "{{range .Config.Env}}x{{end}}",
        "{{if .ID}}x{{end}}",
        "{{.ID | upper}}",
        '{{index .Config.Labels "a"}}',
        '{{. "b"}}',
        '{{json . "b"}}',
        '{{.Config.Labels "b" "c"}}',
        '{{.Config.Labels "b}}',
        '{{.Config.Labels"b"}}',
        "{{json}}",
        "{{json .ID .Size}}",
        "{{json.ID}}",
        "{{.ID.}}",
        "{{..ID}}",
        "{{.Ünicode}}",
        '{{"text"}}',
        "table {{json .}}",
    ],
)
def test_what_is_not_supported_is_refused(text):
    """Other parts of the language are an error that says what there is."""
    with pytest.raises(UsageError) as caught:
        template.parse(text, "{{.ID}}")

    assert "supported are {{.Field}}" in caught.value.hint


@pytest.mark.parametrize("text", ["table", "table {{.ID}}"])
def test_a_command_without_a_table_refuses_one(text):
    """Where docker has no table, there is none."""
    with pytest.raises(UsageError, match="no table"):
        template.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.Id}}", "no field .Id: wanted one of .ID, .Config, .Size, .Odd"),
        ("{{.Config.Cmd}}", "no field .Config.Cmd: wanted one of .Config.Env, "),
        ("{{.ID.Short}}", "no field .ID.Short: wanted one of no fields in it"),
        ("{{json .Nothing}}", "no field .Nothing"),
    ],
)
def test_an_unknown_field_is_an_error(text, message):
    """A field that a record has not is never an empty string; the error says what it has."""
    with pytest.raises(UsageError, match=re.escape(message)):
        template.parse(text).lines([RECORD])


def test_an_unknown_field_is_found_without_a_record():
    """An empty list does not hide a mistake in the template."""
    with pytest.raises(UsageError, match=r"no field \.Name: wanted one of \.ID, \.Tag, \.Size"):
        template.parse("{{.Name}}").lines([], TITLES)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, "<nil>"),
        (True, "true"),
        (1.5, "1.5"),
        (3.0, "3"),
        ([], "[]"),
        ({}, "map[]"),
        ([{"a": [1]}], "[map[a:[1]]]"),
    ],
)
def test_values_print_as_go_prints_them(value, wanted):
    """Every kind of JSON value has the form of Go's templates."""
    assert template.parse("{{.X}}").lines([{"X": value}]) == [wanted]


@pytest.mark.parametrize("character", ["\x7f", "\x9b", "\u2028", "\u202e", "\udcff"])
def test_json_holds_no_raw_controls(character):
    """What JSON allows but a terminal obeys, or an encoder refuses, is escaped and reads back."""
    text = template.as_json({"x": character})

    assert character not in text
    assert json.loads(text) == {"x": character}


@given(st.text() | st.lists(PIECES).map("".join), JSON)
def test_any_template_works_or_is_refused(text, value):
    """Nothing but `UsageError` comes out of any template and any record."""
    try:
        lines = template.parse(text, "{{.ID}}").lines([{"ID": value, "Config": RECORD["Config"]}])
    except UsageError:
        return
    "\n".join(lines).encode()


@given(st.dictionaries(st.text(), JSON))
def test_json_reads_back(record):
    """Whatever a record holds, its JSON is one line and means the same."""
    (line,) = template.parse("json").lines([record])

    assert "\n" not in line
    assert template.as_json(json.loads(line)) == line
