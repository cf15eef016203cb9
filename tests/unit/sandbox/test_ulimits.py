"""Limits of a process."""

from __future__ import annotations

import resource

import pytest

from layerkit.errors import UsageError
from layerkit.resources import Ulimit
from layerkit.sandbox import capabilities
from layerkit.sandbox.ulimits import NUMBERS, clamped, fitting

HARD = {"nofile": 20000, "core": -1, "nproc": 0}


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Ulimit("nofile", 100, 200), (100, 200)),
        (Ulimit("nofile", 20000, 20000), (20000, 20000)),
        (Ulimit("nofile", 100, 20001), (100, 20000)),
        (Ulimit("nofile", 30000, 40000), (20000, 20000)),
        (Ulimit("nofile", 100, -1), (100, 20000)),
        (Ulimit("nofile", -1, -1), (20000, 20000)),
        (Ulimit("core", -1, -1), (-1, -1)),
        (Ulimit("core", 0, -1), (0, -1)),
        (Ulimit("core", 0, 0), (0, 0)),
        (Ulimit("nproc", 5, 5), (0, 0)),
    ],
)
def test_a_limit_is_lowered_to_the_hard_one(wanted, fits):
    """RT-P17: without CAP_SYS_RESOURCE a limit stays below the present hard one, and a note says so."""
    (found,), notes = clamped([wanted], HARD)

    assert (found.name, found.soft, found.hard) == (wanted.name, *fits)
    assert bool(notes) == (found != wanted)


def test_the_note_has_both_limits():
    """RT-P17: the note has name, wanted and got."""
    _, notes = clamped([Ulimit("core", 1, 2), Ulimit("nofile", 3, 30000)], HARD)

    assert notes == (
        "ulimit nofile=3:30000 is lowered to 3:20000: more takes CAP_SYS_RESOURCE",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ulimit", "message"),
    [
        (Ulimit("nosuch", 1, 1), "invalid ulimit type: nosuch"),
        (Ulimit("NOFILE", 1, 1), "invalid ulimit type: NOFILE"),
        (Ulimit("nofile", 3, 2), "less than or equal to hard limit: 3:2"),
        (Ulimit("nofile", -1, 2), "less than or equal to hard limit: -1:2"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(ulimit, message):
    """The name is one of docker's, and soft is not above hard."""
    with pytest.raises(UsageError, match=message):
        clamped([ulimit], HARD)


def test_names_are_dockers():
    """All names of docker's `--ulimit` are known, with the kernel's numbers."""
    names = (
        "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime "
        "sigpending stack"
    )

    assert set(NUMBERS) == set(names.split())
    assert NUMBERS["locks"] == 10


@pytest.mark.parametrize("powerful", [False, True])
def test_the_capability_decides(monkeypatch, powerful):
    """RT-P17: with CAP_SYS_RESOURCE nothing is lowered."""
    have = frozenset({"SYS_RESOURCE"} if powerful else ())
    monkeypatch.setattr(capabilities, "available", lambda: have)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = Ulimit("nofile", 10, hard + 1)

    (found,), notes = fitting([wanted])

    assert (found == wanted, notes == ()) == (powerful, powerful)
