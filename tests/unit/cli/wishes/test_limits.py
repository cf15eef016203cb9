"""Limits are read as docker reads them, and contradictions are named."""

import pytest

from layerkit.cli.wishes.limits import (
    ULIMITS,
    changed_limits,
    cpus,
    cpuset,
    limits,
    pids,
    ulimit,
    ulimits,
)
from layerkit.errors import UsageError
from layerkit.resources import UNLIMITED, Limits, Ulimit


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.5", 1.5),
        ("0.5", 0.5),
        (".5", 0.5),
        ("2", 2.0),
        ("2.", 2.0),
        ("0.01", 0.01),
        ("0", None),
        ("0.0", None),
        (None, None),
    ],
)
def test_processors(text, number):
    """Whole processors and parts of one; 0 is no limit."""
    assert cpus(text) == number


@pytest.mark.parametrize(
    "text", ["", ".", "-1", "0.001", "1e3", "nan", "inf", "1,5", "1.5.1", "8193", "\u0661"]
)
def test_bad_processors(text):
    """What is no number of processors, or less than a hundredth, is refused."""
    with pytest.raises(UsageError, match=r"^invalid --cpus"):
        cpus(text)


@pytest.mark.parametrize("text", ["0", "0-3", "0,2", "0-2,7", "3-3"])
def test_lists_of_processors(text):
    """RT-R04: a list as in cpuset(7) stays as it is."""
    assert cpuset(text, "--cpuset-cpus") == text


@pytest.mark.parametrize(
    "text", ["a", ",", "0,", "-1", "3-1", "0--1", "0-", "1-2-3", "0 1", "8192", "9" * 60, "0\n"]
)
def test_bad_lists_of_processors(text):
    """A list with anything but numbers and growing ranges is refused."""
    with pytest.raises(UsageError, match=r"^invalid --cpuset-cpus"):
        cpuset(text, "--cpuset-cpus")


@pytest.mark.parametrize(("text", "number"), [("20", 20), ("0", None), ("-1", None), (None, None)])
def test_processes(text, number):
    """RT-R02: 0 and -1 are no limit."""
    assert pids(text) == number


@pytest.mark.parametrize("text", ["", "-2", "1.5", "many"])
def test_bad_processes(text):
    """What is no number of processes is refused."""
    with pytest.raises(UsageError, match=r"^invalid --pids-limit"):
        pids(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nofile=100:200", Ulimit("nofile", 100, 200)),
        ("nofile=100", Ulimit("nofile", 100, 100)),
        ("core=-1", Ulimit("core", UNLIMITED, UNLIMITED)),
        ("core=0:-1", Ulimit("core", 0, UNLIMITED)),
        ("nofile=5:5", Ulimit("nofile", 5, 5)),
    ],
    ids=lambda each: f"RT-P17-{each}" if isinstance(each, str) else "",
)
def test_a_ulimit(text, wanted):
    """A name with a soft limit, and a hard one or the same."""
    assert ulimit(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nofile",
        "nofile=",
        "nofile=:",
        "nofile=1:",
        "nofile=:1",
        "nofile=1:2:3",
        "nofile=-2",
        "nofile=2:1",
        "nofile=-1:5",
        "nofile=x",
        "=1",
        "NOFILE=1",
        "as=1",
        "files=1",
        "nofile= 1",
    ],
)
def test_a_bad_ulimit(text):
    """Unknown names, no number, and a soft limit above the hard one are refused."""
    with pytest.raises(UsageError, match=r"^invalid --ulimit"):
        ulimit(text)


def test_unknown_ulimits_are_told_the_known_ones():
    """The names that there are stand in the message."""
    with pytest.raises(UsageError) as caught:
        ulimit("files=1")

    assert all(name in caught.value.message for name in ULIMITS)


def test_the_last_ulimit_of_a_name_counts():
    """As in docker, a name that is given twice has its last value, and names are sorted."""
    found = ulimits(["nofile=1", "core=0", "nofile=2"])

    assert found == (Ulimit("core", 0, 0), Ulimit("nofile", 2, 2))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, Limits()),
        ({"memory": "32m"}, Limits(memory=32 << 20)),
        ({"memory": "0", "memory_swap": "0"}, Limits()),
        ({"memory_swap": "-1"}, Limits(memory_swap=UNLIMITED)),
        (
            {"memory": "32m", "memory_swap": "64m", "memory_reservation": "16m"},
            Limits(memory=32 << 20, memory_swap=64 << 20, memory_reservation=16 << 20),
        ),
        ({"cpus": "1.5", "cpu_shares": "512"}, Limits(cpus=1.5, cpu_shares=512)),
        (
            {"cpu_period": "50000", "cpu_quota": "25000"},
            Limits(cpu_period=50_000, cpu_quota=25_000),
        ),
        ({"cpu_period": "0", "cpu_quota": "-1", "cpu_shares": "0"}, Limits()),
        ({"cpuset_cpus": "0", "cpuset_mems": ""}, Limits(cpuset_cpus="0")),
        ({"pids_limit": "20"}, Limits(pids=20)),
    ],
    ids=str,
)
def test_limits_are_put_together(values, wanted):
    """Each option is one limit; 0 is as if it were not given."""
    assert limits(values) == wanted


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"memory": "5m"}, "invalid --memory '5m': wanted 6m or more"),
        ({"memory": "-1"}, "invalid --memory '-1'"),
        ({"memory": ""}, "invalid --memory ''"),
        ({"memory_reservation": "1k"}, "invalid --memory-reservation '1k'"),
        ({"memory_swap": "64m"}, "--memory-swap without --memory"),
        ({"memory_swap": "-2"}, "invalid --memory-swap '-2'"),
        ({"memory": "64m", "memory_swap": "32m"}, "--memory-swap 33554432 is less than"),
        ({"memory": "32m", "memory_reservation": "64m"}, "--memory 33554432 is less than"),
        ({"cpus": "1", "cpu_quota": "1000"}, "conflicting options: --cpus"),
        ({"cpus": "1", "cpu_period": "1000"}, "conflicting options: --cpus"),
        ({"cpu_period": "999"}, "invalid --cpu-period '999'"),
        ({"cpu_period": "1000001"}, "invalid --cpu-period"),
        ({"cpu_quota": "999"}, "invalid --cpu-quota"),
        ({"cpu_shares": "-1"}, "invalid --cpu-shares"),
    ],
    ids=str,
)
def test_limits_that_make_no_sense(values, reason):
    """What docker's daemon refuses is refused before anything is made."""
    with pytest.raises(UsageError) as caught:
        limits(values)

    assert caught.value.message.startswith(reason)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"memory": "64m"}, Limits(memory=64 << 20)),
        ({"memory_swap": "64m"}, Limits(memory_swap=64 << 20)),
        ({"pids_limit": "-1"}, Limits(pids=UNLIMITED)),
        ({"pids_limit": "0"}, Limits()),
        ({"cpu_quota": "-1"}, Limits(cpu_quota=UNLIMITED)),
        ({"cpu_quota": "5000"}, Limits(cpu_quota=5000)),
        ({"cpus": "0"}, Limits()),
    ],
)
def test_changes_of_limits(values, wanted):
    """For a container that has some, -1 lifts a limit, and one of two that go together may stand alone."""
    assert changed_limits({"pids_limit": None, "cpu_quota": None, **values}) == wanted
