"""`history` has docker's columns."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from layerkit import digest as digests
from layerkit.ops.history import HistoryRow

ID = str(digests.of_bytes(b"config"))
SHORT = ID[7:19]
CREATED = (datetime.now(UTC) - timedelta(days=30, hours=1)).isoformat()
COMMAND = '/bin/sh -c #(nop)\tCMD ["/bin/bash"] and more and more'


@pytest.fixture(autouse=True)
def _rows(monkeypatch):
    rows = [
        HistoryRow(ID, "2020-11-14T00:20:04.5Z", COMMAND, 0, ""),
        HistoryRow("<missing>", "", "ADD x\ny", 203_123_456, "hi"),
    ]
    monkeypatch.setattr("layerkit.ops.history.history", lambda _home, _text: rows)
    monkeypatch.setenv("TZ", "UTC")


def lines(cli, *arguments):
    """What `history` prints with these arguments."""
    outcome = cli("history", *arguments, "centos:7")
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out.splitlines()


def test_the_table_is_dockers(cli):
    """Columns and widths are docker's; commands are cut at 45 characters and kept in one line."""
    header, first, second = lines(cli)

    assert header.split("  ")[0] == "IMAGE"
    assert header.split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert first.startswith(SHORT)
    assert first.endswith('   /bin/sh -c #(nop) CMD ["/bin/bash"] and more…   0B        ')
    assert second.endswith("   203MB     hi")
    assert r"ADD x\ny" in second


@pytest.mark.parametrize("option", ["--no-human", "--human=false", "-H=false"])
def test_exact_values_can_be_had(cli, option):
    """Without --human sizes are bytes and times are times, in docker's spelling, too."""
    header, first, second = lines(cli, option)

    assert header.split() == ["IMAGE", "CREATED", "AT", "CREATED", "BY", "SIZE", "COMMENT"]
    assert first.split()[1] == "2020-11-14T00:20:04Z"
    assert " 203123456 " in second


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["-q"], [SHORT, "<missing>"]),
        (["-q", "--no-trunc"], [ID, "<missing>"]),
        (["--no-trunc", "--format", "{{.CreatedBy}}"], [COMMAND.replace("\t", " "), r"ADD x\ny"]),
        (["--format", "{{.Size}} {{.CreatedSince}}", "-H=true"], None),
    ],
    ids=lambda each: " ".join(each) if each else "",
)
def test_options_choose_fields(cli, options, wanted):
    """Ids and templates print just what was asked for."""
    got = lines(cli, *options)

    assert got == wanted or (wanted is None and got[1] == "203MB N/A")


def test_json_has_dockers_field_names(cli):
    """One object a line, with docker's names, and text as it is."""
    record = json.loads(lines(cli, "--format", "json")[1])

    assert record == {
        "ID": "<missing>",
        "CreatedSince": "N/A",
        "CreatedAt": "N/A",
        "CreatedBy": "ADD x\ny",
        "Size": "203MB",
        "Comment": "hi",
    }
