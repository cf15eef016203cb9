"""Signals have names and numbers."""

import signal

import pytest

from layerkit.cli.wishes.signals import signal_number
from layerkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", signal.SIGTERM),
        ("SIGTERM", signal.SIGTERM),
        ("sigterm", signal.SIGTERM),
        ("Kill", signal.SIGKILL),
        ("15", 15),
        ("1", 1),
        ("64", 64),
        ("RTMIN", signal.SIGRTMIN),
        ("RTMIN+3", signal.SIGRTMIN + 3),
        ("SIGRTMAX-2", signal.SIGRTMAX - 2),
    ],
)
def test_a_signal(text, number):
    """In any case, with SIG or without, or the number itself."""
    assert signal_number(text, "--stop-signal") == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIG",
        "0",
        "-1",
        "65",
        "-9",
        "15 ",
        "FOO",
        "_DFL",
        "SIG_DFL",
        "_IGN",
        "BLOCK",
        "TERM+1",
        "RTMIN+",
        "RTMIN-1",
        "RTMIN+99",
        "RTMAX+1",
        "RTMIN+-1",
        "9" * 99,
        "١",
    ],
)
def test_a_bad_signal(text):
    """What is no signal of this system is refused."""
    with pytest.raises(UsageError, match=r"^invalid --stop-signal '"):
        signal_number(text, "--stop-signal")
