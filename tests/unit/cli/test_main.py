"""The boundary: every way a command can end becomes one exit code and clear lines."""

import errno
import inspect
import subprocess
import sys
import types

import click
import pytest
from support.processes import outcome

from layerkit import cli as layerkit_cli
from layerkit import errors

ERRORS = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each is not Exception]
OUTSIDE = [each for each in ERRORS if issubclass(each, errors.LayerkitError)]


@pytest.fixture
def raising(monkeypatch):
    """Makes the commands `version` and `run` end with the given exception."""

    def arrange(error):
        def fail(**_parameters):
            raise error

        module = types.ModuleType("layerkit.cli.run")
        argument = click.Argument(["name"], nargs=-1)
        module.command = click.Command("run", callback=fail, params=[argument])
        monkeypatch.setitem(sys.modules, "layerkit.cli.run", module)
        monkeypatch.setattr("layerkit.ops.version.version", fail)

    return arrange


@pytest.mark.parametrize("kind", OUTSIDE, ids=lambda each: each.__name__)
def test_every_error_has_its_line_and_code(raising, cli, kind):
    """An error of the library is one line, its hint another, and its code the exit code."""
    raising(kind("bad thing", hint="do this"))

    outcome = cli("version")

    assert outcome == (kind.exit_code, "", "layerkit: bad thing\nhint: do this\n")


@pytest.mark.parametrize("kind", OUTSIDE, ids=lambda each: each.__name__)
def test_run_keeps_its_own_codes_apart(raising, cli, kind):
    """`run` ends with 125 when layerkit failed, 126 and 127 for a command that cannot be run."""
    raising(kind("bad thing"))

    outcome = cli("run")

    is_sandbox = issubclass(kind, errors.SandboxError)
    assert outcome.code == (kind.exit_code if is_sandbox else 125)
    assert outcome.err == "layerkit: bad thing\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--nothing"], 2),
        (["--progress", "loud", "images"], 2),
        (["images", "--nothing"], 2),
        (["images", "a", "b"], 2),
        (["pull"], 2),
        (["nothing"], 2),
        (["run", "--nothing"], 125),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_wrong_arguments_are_one_line(raising, cli, arguments, code):
    """What cannot be parsed has the form of all errors, with where to look."""
    raising(AssertionError())

    outcome = cli(*arguments)

    line, hint = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (code, "")
    assert line.startswith("layerkit: ")
    assert hint.startswith("hint: ")


def test_a_misspelt_command_is_found(cli):
    """The command that was probably meant is named."""
    outcome = cli("imgaes")

    assert outcome.err == "layerkit: no such command: imgaes\nhint: did you mean: layerkit images\n"


def test_a_bug_ends_with_70(raising, cli):
    """An unexpected exception says that it is a bug and shows no traceback."""
    raising(ZeroDivisionError("by zero"))

    outcome = cli("version")

    assert outcome.code == 70
    assert outcome.err.startswith("layerkit: internal error: ZeroDivisionError: by zero\nhint: ")
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), errors.StoreError("x")])
def test_debug_shows_where(raising, cli, error):
    """With --debug the traceback stands before the lines."""
    raising(error)

    outcome = cli("--debug", "version")

    assert outcome.err.startswith("Traceback (most recent call last)")
    assert "\nlayerkit: " in outcome.err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_quiet(raising, cli, error):
    """Ctrl-C ends with 130 and says nothing."""
    raising(error)

    assert cli("version") == (130, "", "")


def test_other_failures_of_the_system_are_bugs(raising, cli):
    """An OSError that no part has explained is not taken for a broken pipe."""
    raising(OSError(errno.EIO, "Input/output error"))

    assert cli("version").code == 70


def test_the_arguments_are_those_of_the_process_by_default(monkeypatch, environment, capfd):
    """Without `argv`, the program's own arguments are taken."""
    monkeypatch.setattr("sys.argv", ["layerkit", "--version"])

    assert layerkit_cli.main() == 0
    assert capfd.readouterr().out.startswith("layerkit version ")


def test_the_entry_exits_with_the_code(monkeypatch, environment):
    """The program's exit code is that of `main`."""
    monkeypatch.setattr("sys.argv", ["layerkit", "nothing"])

    assert outcome(layerkit_cli.entry) == 2


def test_what_was_printed_before_an_error_is_written(environment):
    """The program ends at once, but not before the buffer of a pipe is empty."""
    code = """
import sys
from layerkit import cli
from layerkit.cli import output
from layerkit.ops import version
def fail():
    output.line("before")
    raise ValueError("bad")
version.version = fail
sys.argv = ["layerkit", "version"]
cli.entry()
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (70, "before\n")
    assert "bad" in done.stderr
