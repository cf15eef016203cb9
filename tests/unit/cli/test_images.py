"""`images` has docker's columns, units and filters."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from layerkit import digest as digests
from layerkit.ops.images import ImageRow

IDS = [digests.of_bytes(bytes([number])) for number in range(3)]
DIGEST = str(digests.of_bytes(b"manifest"))
CREATED = (datetime.now(UTC) - timedelta(days=30, hours=1)).isoformat()
ROWS = [
    ImageRow("centos", "7", DIGEST, IDS[0], CREATED, 203_123_456),
    ImageRow("centos", "<none>", DIGEST, IDS[0], CREATED, 203_123_456),
    ImageRow("quay.io/a/b", "<none>", DIGEST, IDS[1], "2020-11-14T00:20:04Z", 999),
    ImageRow("<none>", "<none>", "<none>", IDS[2], "", 0),
]


@pytest.fixture(autouse=True)
def _rows(monkeypatch):
    def list_images(_home, pattern=None):
        return [row for row in ROWS if pattern in (None, row.repository)]

    monkeypatch.setattr("layerkit.ops.images.list_images", list_images)
    monkeypatch.setenv("TZ", "UTC")


def lines(cli, *arguments):
    """What `images` prints with these arguments."""
    outcome = cli("images", *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out.splitlines()


def age(text):
    """The age as docker tells it today, for a row from a fixed day."""
    years = (datetime.now(UTC) - datetime.fromisoformat(text)).days // 365
    return f"{years} years ago"


@pytest.mark.parametrize("option", [[], ["-a"]], ids=["", "-a"])
def test_the_table_is_dockers(cli, option):
    """Columns, widths and units are those of docker; a digest beside its tag has no line."""
    old = age("2020-11-14T00:20:04Z")
    assert lines(cli, *option) == [
        "REPOSITORY    TAG       IMAGE ID       CREATED       SIZE",
        f"centos        7         {IDS[0].short}   4 weeks ago   203MB",
        f"quay.io/a/b   <none>    {IDS[1].short}   {old}   999B",
        f"<none>        <none>    {IDS[2].short}   N/A           0B",
    ]


def test_digests_are_one_more_column(cli):
    """--digests puts the digest before the id."""
    header, first, *_ = lines(cli, "--digests")

    assert header.split() == ["REPOSITORY", "TAG", "DIGEST", "IMAGE", "ID", "CREATED", "SIZE"]
    assert first.split()[:4] == ["centos", "7", DIGEST, IDS[0].short]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["-q"], [each.short for each in IDS]),
        (["-q", "--no-trunc"], list(map(str, IDS))),
        (["-q", "--format", "{{.Repository}}"], ["centos", "quay.io/a/b", "<none>"]),
        (["-q", "--format", "table"], ["IMAGE ID", *(each.short for each in IDS)]),
        (["--format", "{{.Repository}}:{{.Tag}}", "centos"], ["centos:7"]),
        (["--format", "{{.CreatedAt}}", "quay.io/a/b"], ["2020-11-14 00:20:04 +0000 UTC"]),
        (["-q", "--filter", "dangling=true"], [IDS[2].short]),
        (["-q", "-f", "dangling=false"], [each.short for each in IDS[:2]]),
        (["-q", "--filter", "reference=centos"], [IDS[0].short]),
        (
            ["-q", "-f", "reference=centos", "-f", "reference=quay.io/a/b"],
            [i.short for i in IDS[:2]],
        ),
        (["-q", "-f", "reference=centos", "quay.io/a/b"], [i.short for i in IDS[:2]]),
        (["-q", "nothing"], []),
    ],
    ids=lambda each: " ".join(each[:5]),
)
def test_options_choose_rows_and_fields(cli, options, wanted):
    """Ids, templates and filters print just what was asked for."""
    assert lines(cli, *options) == wanted


def test_json_has_dockers_field_names(cli):
    """One object a line, with docker's names and values."""
    record = json.loads(lines(cli, "--format", "json")[0])

    assert record == {
        "Repository": "centos",
        "Tag": "7",
        "Digest": DIGEST,
        "ID": IDS[0].short,
        "CreatedSince": "4 weeks ago",
        "CreatedAt": record["CreatedAt"],
        "Size": "203MB",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["--filter", "dangling"],
        ["--filter", "dangling=maybe"],
        ["--filter", "before=x"],
        ["--filter", ""],
        ["--format", "{{.Containers}}"],
        ["--format", "{{range .}}"],
    ],
    ids=" ".join,
)
def test_what_is_not_known_is_refused(cli, arguments):
    """A filter or field that does not exist is a usage error, not an empty list."""
    outcome = cli("images", *arguments)

    assert (outcome.code, outcome.out) == (2, "")
