"""Processes as ps writes them."""

from __future__ import annotations

import os
import time

import pytest

from layerkit.errors import UsageError
from layerkit.ops import top
from layerkit.ops.top import Process, row

NOW = time.mktime((2024, 6, 15, 12, 0, 0, 0, 0, -1))
DAY = 86_400


def process(**values):
    """A process of which only `values` matter."""
    return Process(
        **{"pid": 7, "parent": 6, "uid": 0, "tty": 0, "began": NOW, "used": 0.0, "command": "x"}
        | values
    )


@pytest.mark.parametrize(
    ("values", "column", "cell"),
    [
        ({"uid": 0}, "UID", "root"),
        ({"uid": 2**31 - 2}, "UID", str(2**31 - 2)),
        ({"pid": 12}, "PID", "12"),
        ({"parent": 11}, "PPID", "11"),
        ({"began": NOW - 100, "used": 25.0}, "C", "25"),
        ({"began": NOW - 1, "used": 4.0}, "C", "99"),
        ({"began": NOW + 5}, "C", "0"),
        ({"began": NOW - 60}, "STIME", "11:59"),
        ({"began": NOW - DAY}, "STIME", "Jun14"),
        ({"began": NOW - 400 * DAY}, "STIME", "2023"),
        ({"tty": 0}, "TTY", "?"),
        ({"tty": os.makedev(136, 3)}, "TTY", "pts/3"),
        ({"tty": os.makedev(137, 0)}, "TTY", "pts/256"),
        ({"tty": os.makedev(4, 1)}, "TTY", "tty1"),
        ({"tty": os.makedev(4, 64)}, "TTY", "?"),
        ({"used": 59.9}, "TIME", "00:00:59"),
        ({"used": 3 * DAY + 3661.0}, "TIME", "3-01:01:01"),
        ({"command": "sh -c x"}, "CMD", "sh -c x"),
    ],
)
def test_cells(values, column, cell):
    """The columns of `ps -ef`."""
    assert row(process(**values), NOW)[top.TITLES.index(column)] == cell


def test_a_long_name_is_cut(monkeypatch):
    """A user's name is as wide as ps has it."""
    monkeypatch.setattr(top.pwd, "getpwuid", lambda _uid: type("", (), {"pw_name": "a" * 9}))

    assert row(process(), NOW)[0] == "aaaaaaa+"


@pytest.mark.parametrize(
    ("lines", "titles", "rows"),
    [
        (
            ["  PID COMMAND", "   12 sh -c  a b", "   13 sleep"],
            ("PID", "COMMAND"),
            [("12", "sh -c  a b")],
        ),
        (
            ["USER PID LWP", "a 12 -", "a - 12", "a - 14", "b 13 -", "b - 13"],
            ("USER", "PID", "LWP"),
            [("a", "12", "-"), ("a", "-", "12"), ("a", "-", "14")],
        ),
        (["PID", "", "x", "120"], ("PID",), []),
        (["RSS PID", "5"], ("RSS", "PID"), []),
    ],
    ids=["one", "threads", "no numbers", "short"],
)
def test_lines_of_ps(lines, titles, rows):
    """Those of the container's processes stay, with the threads below them; the last cell is whole."""
    assert top.chosen(lines, {12}) == (titles, rows)


def test_ps_without_numbers():
    """Without a PID column nobody knows whose the lines are."""
    with pytest.raises(UsageError, match="without a PID column"):
        top.chosen(["COMMAND", "sh"], {12})
