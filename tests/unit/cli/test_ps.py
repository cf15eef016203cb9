"""`ps` has docker's columns, options and filters."""

import json
import time

import pytest

from layerkit.ops.ps import Listed
from layerkit.ports import Publication

IDS = [f"{number}" * 64 for number in range(3)]


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """Three containers, the newest first; what the list was asked for."""
    now = time.time()
    rows = [
        Listed(IDS[0], "app:1", "a" * 64, ("sh",), now - 90, "running", started=now - 90,
               ports=(Publication(80, "tcp", 8080),), names=("web",), labels=(("tier", "front"),)),
        Listed(IDS[1], "app:1", "a" * 64, ("x" * 30,), now - 7200, "exited", 3,
               now - 7200, now - 7200, names=("job",)),
        Listed(IDS[2], "db:2", "b" * 64, ("db",), now - 8000, "created", names=("store",)),
    ]  # fmt: skip
    calls = []

    def list_containers(_home, *, size):
        calls.append(size)
        return rows

    monkeypatch.setattr("layerkit.ops.ps.list_containers", list_containers)
    return calls


def lines(cli, *arguments):
    """What `ps` prints with these arguments."""
    outcome = cli("ps", *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out.splitlines()


def test_the_table_is_dockers(cli):
    """Columns, widths and words are those of docker; what does not run is left out."""
    assert lines(cli) == [
        (
            "CONTAINER ID   IMAGE     COMMAND   CREATED              STATUS              "
            "PORTS                  NAMES"
        ),
        (
            '000000000000   app:1     "sh"      About a minute ago   Up About a minute   '
            "0.0.0.0:8080->80/tcp   web"
        ),
    ]


def test_all_are_listed(cli):
    """-a shows every container, with commands cut."""
    _, _, job, store = lines(cli, "-a")

    assert [each.strip() for each in job.split("   ") if each][2:5] == [
        f'"{"x" * 19}…"', "2 hours ago", "Exited (3) 2 hours ago",
    ]  # fmt: skip
    assert store.split()[-2:] == ["Created", "store"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["-q"], [IDS[0][:12]]),
        (["-aq"], [each[:12] for each in IDS]),
        (["-aq", "--no-trunc"], IDS),
        (["-lq"], [IDS[0][:12]]),
        (["-n2", "--format", "{{.Names}}"], ["web", "job"]),
        (["-n", "-1", "--format", "{{.Names}}"], ["web"]),
        (["-l", "-f", "exited=3", "--format", "{{.Names}}"], ["job"]),
        (["-af", "ancestor=db:2", "--format", "{{.Names}} {{.State}}"], ["store created"]),
        (["--format", '{{.Names}} {{.Label "tier"}} {{.Label "x"}}|'], ["web front |"]),
        (
            ["--format", r'table {{.Names}}\t{{.Label "tier"}}'],
            ["NAMES     tier", "web       front"],
        ),
        (["-f", "name=nothing", "-q"], []),
    ],
    ids=lambda each: " ".join(each[:4]),
)
def test_options_choose_rows_and_fields(cli, options, wanted):
    """Ids, numbers of the newest, filters and templates print just what was asked for."""
    assert lines(cli, *options) == wanted


@pytest.mark.parametrize("text", ["json", "{{json .}}"])
def test_json_has_dockers_field_names(cli, text):
    """One object a line, with docker's names; a single label is no field."""
    (line,) = lines(cli, "--format", text)

    assert list(json.loads(line)) == [
        "ID", "Image", "Command", "RunningFor", "CreatedAt", "Status", "State", "Ports", "Names",
        "Size", "Labels", "Mounts", "Networks",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "measured"),
    [([], False), (["-s"], True), (["--format", "{{.Size}}"], True), (["--format", "json"], False)],
    ids=str,
)
def test_sizes_are_measured_when_they_are_shown(cli, asked, options, measured):
    """Measuring takes time, so only -s and its placeholder do."""
    lines(cli, *options)

    assert asked == [measured]


def test_sizes_are_one_more_column(cli):
    """-s puts the size last."""
    assert lines(cli, "-s")[0].split()[-2:] == ["NAMES", "SIZE"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--filter", "name"],
        ["--filter", "health=x"],
        ["--filter", ""],
        ["--filter", "status=up"],
        ["--format", "{{.Nothing}}"],
        ["--format", '{{.Names "x"}}'],
        ["-n", "many"],
        ["name"],
    ],
    ids=" ".join,
)
def test_what_is_not_known_is_refused(cli, arguments):
    """A filter, field or argument that does not exist is a usage error, not an empty list."""
    outcome = cli("ps", *arguments)

    assert (outcome.code, outcome.out) == (2, "")
