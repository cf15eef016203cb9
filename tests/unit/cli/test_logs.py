"""`layerkit logs` passes on bytes and streams, and reads times as docker does."""

import pytest

from layerkit.ops.logs import LogOptions

NOW = 1_700_000_000 * 10**9


@pytest.fixture
def asked(monkeypatch):
    """The arguments that the operation was called with; it gives a line on each stream."""
    calls = []

    def logs(_home, name, options):
        calls.append((name, options))
        return iter([("stdout", b"out\r\n"), ("stderr", b"\xc3\xa9rr\n")])

    monkeypatch.setattr("layerkit.ops.logs.logs", logs)
    monkeypatch.setattr("layerkit.cli.logs.time.time_ns", lambda: NOW)
    return calls


def test_each_stream_goes_to_its_own(asked, cli):
    """RT-L05: stdout to stdout, stderr to stderr, bytes as they are."""
    assert cli("logs", "c") == (0, "out\r\n", "érr\n")
    assert asked == [("c", LogOptions())]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["-f"], LogOptions(follow=True)),
        (["-t"], LogOptions(timestamps=True)),
        (["--tail", "all"], LogOptions()),
        (["--tail", "-1"], LogOptions()),
        (["-n", "5"], LogOptions(tail=5)),
        (["--tail=0"], LogOptions(tail=0)),
        (["--since", "10m"], LogOptions(since=NOW - 600 * 10**9)),
        (["--until", "2023-01-01T00:00:00Z"], LogOptions(until=1_672_531_200 * 10**9)),
    ],
    ids=str,
)
def test_options_are_handed_over(asked, cli, arguments, wanted):
    """RT-L05: each option is the operation's."""
    assert cli("logs", *arguments, "c").code == 0
    assert asked == [("c", wanted)]


@pytest.mark.parametrize(
    "arguments", [["--tail", "x"], ["--tail", ""], ["--since", "yesterday"], ["--until", "1x"]]
)
def test_what_cannot_be_read_is_refused(asked, cli, arguments):
    """A bad number or time is named, and nothing is shown."""
    outcome = cli("logs", *arguments, "c")

    assert (outcome.code, outcome.out) == (2, "")
    assert repr(arguments[1]) in outcome.err
    assert asked == []
