"""What is printed is safe for a terminal, and a failed write is an error of ours."""

import pytest

from layerkit.cli import output
from layerkit.errors import IntegrityError, LayerkitError, NotFoundError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain ünïcode €", "plain ünïcode €"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x00\x07\x7f\x9b", r"\x00\x07\x7f\x9b"),
        ("\u2028\u202egnp\u2066", r"\u2028\u202egnp\u2066"),
        ("byte \udcff", r"byte \xff"),
        ("half \ud800", r"half \ud800"),
    ],
)
def test_controls_become_escapes(text, wanted):
    """What would move, colour or turn a terminal is shown instead of done."""
    assert output.printable(text) == wanted


def test_an_error_is_one_line_and_a_hint(capfd):
    """Message and hint have one line each, with controls escaped."""
    error = NotFoundError("no such \x1b[2Jimage\nx", hint="try\nagain")

    output.failure(error, debug=False)

    assert capfd.readouterr() == (
        "",
        "layerkit: no such \\x1b[2Jimage\\nx\nhint: try\\nagain\n",
    )


def test_a_bug_says_so(capfd):
    """What nobody expected is called a bug, with how to report it."""
    output.failure(KeyError("x"), debug=False)

    first, second = capfd.readouterr().err.splitlines()
    assert first == "layerkit: internal error: KeyError: 'x'"
    assert second.startswith("hint: this is a bug in layerkit: please report it")


def test_the_rest_goes_on_after_a_failure(capfd):
    """Each name is tried, each failure told, and the first one gives the exit code."""
    failures = {"b": NotFoundError("no b"), "c": IntegrityError("bad c")}
    done = []

    def act(name):
        if name in failures:
            raise failures[name]
        done.append(name)

    code = output.each("abcd", act, debug=False)

    assert (done, code) == (["a", "d"], NotFoundError.exit_code)
    assert capfd.readouterr().err == "layerkit: no b\nlayerkit: bad c\n"


def test_a_write_that_fails_is_an_error(monkeypatch, capfd):
    """A full device below stdout is told in our words, and what is left goes nowhere."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        output.line("x")
        with pytest.raises(LayerkitError, match="cannot write the output: No space left"):
            output.flush()


def test_a_reader_that_went_away_is_no_error_of_ours(monkeypatch):
    """A broken pipe gets to the boundary as such."""

    class Gone:
        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Gone())
    with pytest.raises(BrokenPipeError):
        output.flush()


def test_nobody_listening_on_stderr_is_no_error(monkeypatch):
    """A message that cannot be written is dropped."""

    class Gone:
        def write(self, _text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Gone())
    output.notice("warning", "x")
    output.failure(NotFoundError("x"), debug=True)
