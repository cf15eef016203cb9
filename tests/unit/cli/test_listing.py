"""The columns of `ps` have docker's words."""

import pytest

from layerkit.cli import listing
from layerkit.ops.ps import Listed
from layerkit.ports import Publication

ID = "0123456789ab" + "c" * 52
NOW = 1_700_000_000.0
HOUR = 3600


def listed(**values):
    """A container that was made an hour ago."""
    usual = {
        "id": ID,
        "image": "centos:7",
        "image_id": "f" * 64,
        "command": ("sh",),
        "created": NOW - HOUR,
        "status": "created",
    }
    return Listed(**(usual | values))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"status": "created"}, "Created"),
        ({"status": "running", "started": NOW}, "Up Less than a second"),
        ({"status": "running", "started": NOW - 1}, "Up 1 second"),
        ({"status": "running", "started": NOW - 200}, "Up 3 minutes"),
        ({"status": "running", "started": NOW - 70}, "Up About a minute"),
        ({"status": "running", "started": NOW - HOUR}, "Up About an hour"),
        ({"status": "running", "started": NOW + 60}, "Up Less than a second"),
        ({"status": "running"}, "Up Less than a second"),
        ({"status": "paused", "started": NOW - 200}, "Up 3 minutes (Paused)"),
        (
            {"status": "exited", "exit_code": 0, "started": 1.0, "finished": NOW - 2 * HOUR},
            "Exited (0) 2 hours ago",
        ),
        (
            {"status": "exited", "exit_code": 137, "finished": NOW - 90},
            "Exited (137) About a minute ago",
        ),
        ({"status": "exited"}, "Exited (255) Less than a second ago"),
        (
            {"status": "restarting", "exit_code": 1, "finished": NOW - 5},
            "Restarting (1) 5 seconds ago",
        ),
        ({"status": "removing"}, "Removal In Progress"),
        ({"status": "dead"}, "Dead"),
    ],
    ids=str,
)
def test_a_status(values, wanted):
    """RT-L01, RT-L09: what it does, and for how long or since when."""
    assert listing.status(listed(**values), NOW) == wanted


@pytest.mark.parametrize(
    ("command", "short", "full"),
    [
        (("sh",), '"sh"', '"sh"'),
        (("sh", "-c", "exit 3"), "\"sh -c 'exit 3'\"", "\"sh -c 'exit 3'\""),
        (("x" * 20,), f'"{"x" * 20}"', f'"{"x" * 20}"'),
        (("x" * 21,), f'"{"x" * 19}…"', f'"{"x" * 21}"'),
        (("sh", "-c", "while true; do date; done"), '"sh -c \'while true; …"', None),
        (("a", '"\\'), '"a \\"\\\\"', None),
        (("a\n\t\x1b[2J\u202e",), '"a\\n\\t\\x1b[2J\\u202e"', None),
        ((), '""', '""'),
    ],
    ids=str,
)
def test_a_command(command, short, full):
    """Words with a space have quotes, all has Go's, and more than 20 characters are cut."""
    container = listed(command=command)

    assert listing.record(container, NOW, full=False)["Command"] == short
    if full is not None:
        assert listing.record(container, NOW, full=True)["Command"] == full


@pytest.mark.parametrize(
    ("publications", "wanted"),
    [
        ((), ""),
        ([Publication(80, "tcp", 8080)], "0.0.0.0:8080->80/tcp"),
        ([Publication(80, "tcp", 8080, "127.0.0.1")], "127.0.0.1:8080->80/tcp"),
        ([Publication(80, "tcp", 8080, "::1")], "[::1]:8080->80/tcp"),
        ([Publication(80)], "80/tcp"),
        ([Publication(80, "tcp", 80)], "0.0.0.0:80->80/tcp"),
        (
            [Publication(81, "tcp", 81), Publication(80, "tcp", 80), Publication(83, "tcp", 83)],
            "0.0.0.0:80-81->80-81/tcp, 0.0.0.0:83->83/tcp",
        ),
        ([Publication(80), Publication(81), Publication(81, "udp")], "80-81/tcp, 81/udp"),
        (
            [Publication(53, "udp", 5353), Publication(443), Publication(80, "tcp", 8080)],
            "443/tcp, 0.0.0.0:8080->80/tcp, 0.0.0.0:5353->53/udp",
        ),
    ],
    ids=str,
)
def test_ports(publications, wanted):
    """RT-W09: those of the host and the container, in ranges where they are the same."""
    assert listing.ports(publications) == wanted


def test_a_record(monkeypatch):
    """All fields of docker's are there, shortened."""
    monkeypatch.setenv("TZ", "UTC")
    container = listed(
        image=f"centos@sha256:{'0' * 64}",
        names=("web",),
        labels=(("b", "2"), ("a", "1")),
        mounts=("data", "/a/long/path/of/the/host"),
        networks=("bridge",),
        size=1200,
        image_size=203_000_000,
    )

    record = listing.record(container, NOW, full=False)

    assert list(record) == [name for name in listing.TITLES if name in record]
    assert record == {
        "ID": "0123456789ab",
        "Image": "centos",
        "Command": '"sh"',
        "RunningFor": "About an hour ago",
        "CreatedAt": "2023-11-14 21:13:20 +0000 UTC",
        "Status": "Created",
        "State": "created",
        "Ports": "",
        "Names": "web",
        "Size": "1.2kB (virtual 203MB)",
        "Labels": "a=1,b=2",
        "Label": {"a": "1", "b": "2"},
        "Mounts": "data,/a/long/path/o…",
        "Networks": "bridge",
    }
    full = listing.record(container, NOW, full=True)
    assert (full["ID"], full["Image"]) == (ID, container.image)
    assert full["Mounts"] == "data,/a/long/path/of/the/host"
