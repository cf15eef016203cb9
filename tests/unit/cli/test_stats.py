"""What `stats` and `port` print."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from layerkit.cli import stats
from layerkit.ops.stats import Usage
from layerkit.ports import Publication

BUSY = Usage("a" * 64, "busy", 12.345, 1 << 20, 4 << 20, 1234, 0, 5_000_000, 0, 3)
UNKNOWN = Usage("b" * 64, "odd", None, None, 4 << 20, 0, 0, None, None, None)
IDLE = Usage("c" * 64, "idle", 0.0, 0, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def meter(monkeypatch):
    """A meter that sees three containers, and keeps what it was asked for."""
    asked = []

    def make(_home, names, *, everything):
        asked.append((names, everything))
        return SimpleNamespace(look=lambda: [BUSY, UNKNOWN, IDLE])

    monkeypatch.setattr("layerkit.ops.stats.Meter", make)
    monkeypatch.setattr(stats, "_PAUSE", 0)
    return asked


def test_the_table(meter, cli):
    """docker's columns; what nobody counts is `--`."""
    outcome = cli("stats", "--no-stream", "-a", "x")

    titles, busy, odd, idle = outcome.out.splitlines()
    assert (outcome.code, outcome.err, meter) == (0, "", [(("x",), True)])
    assert " ".join(titles.split()) == (
        "CONTAINER ID NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS"
    )
    assert " ".join(busy.split()) == (
        f"{'a' * 12} busy 12.35% 1MiB / 4MiB 25.00% 1.23kB / 0B 5MB / 0B 3"
    )
    assert " ".join(odd.split()) == f"{'b' * 12} odd -- -- / 4MiB -- 0B / 0B -- / -- --"
    assert " ".join(idle.split()) == f"{'c' * 12} idle 0.00% 0B / 0B 0.00% 0B / 0B 0B / 0B 0"


def test_formats(meter, cli):
    """A template, JSON, and ids in full; an unknown field is refused before anything is looked at."""
    first = cli("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.PIDs}}").out
    assert first.splitlines()[0] == f"{'a' * 64} 3"
    lines = cli("stats", "--no-stream", "--format", "json").out.splitlines()
    assert [json.loads(line)["Name"] for line in lines] == ["busy", "odd", "idle"]
    assert cli("stats", "--no-stream", "--format", "{{.Nope}}").code == 2


def test_again_and_again(meter, cli, monkeypatch):
    """Without --no-stream it goes on until Ctrl-C; without a terminal each time is printed plainly."""
    pauses = iter([None, None])

    def pause(_seconds):
        if next(pauses, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr(stats.time, "sleep", pause)

    outcome = cli("stats", "--format", "{{.Name}}")

    assert (outcome.code, outcome.out) == (130, "busy\nodd\nidle\n" * 2)


def test_on_a_terminal(meter, cli, monkeypatch):
    """Each time is drawn over the last one, and what was below it is cleared."""
    monkeypatch.setattr(stats.environment, "animates", lambda _stream: True)
    calls = iter([None])

    def pause(_seconds):
        if next(calls, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr(stats.time, "sleep", pause)

    out = cli("stats", "--format", "{{.Name}}").out

    assert out == "\x1b[Hbusy\x1b[K\nodd\x1b[K\nidle\x1b[K\n\x1b[J"


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["c"], "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::1]:8081\n"),
        (["c", "80"], "0.0.0.0:8080\n[::1]:8081\n"),
    ],
)
def test_port(cli, monkeypatch, arguments, out):
    """docker's lines; asked for one port, only where it is on the host."""
    found = [Publication(80, "tcp", 8080), Publication(80, "tcp", 8081, "::1")]
    monkeypatch.setattr("layerkit.ops.containers.find_container", lambda _home, name: name)
    monkeypatch.setattr("layerkit.ops.port.published", lambda _home, _container, _port: found)

    assert cli("port", *arguments) == (0, out, "")
