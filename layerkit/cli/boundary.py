"""The boundary for errors: whatever happens below becomes a line on stderr and an exit code.

The table of these is at the top of `layerkit.errors`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from layerkit.cli import app, environment, output
from layerkit.errors import LayerkitError, SandboxError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUG = 70  # EX_SOFTWARE of sysexits.h
_INTERRUPTED = 130  # as a shell tells of a program that SIGINT ended
_BROKEN_PIPE = 141  # the same for SIGPIPE


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code; no error gets past, and all that it said is written."""
    code = _run(_Call(list(arguments)))
    with contextlib.suppress(OSError, LayerkitError):  # what was written before an error
        output.flush()
    return code


def _run(call: _Call) -> int:
    try:
        code = call.run()
        output.flush()
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except BrokenPipeError:
        output.silence()
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  the boundary: a bug is told, too
        return call.failed(error)
    return code


class _Call:
    """One call of the program, as far as it got."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        self._context: click.Context | None = None

    def run(self) -> int:
        if instruction := environment.completion():
            return app.complete(instruction)
        try:
            with app.group.make_context(app.NAME, self._arguments) as self._context:
                code: int | None = app.group.invoke(self._context)
        except click.exceptions.Exit as done:
            return done.exit_code
        return code or 0

    def failed(self, error: Exception) -> int:
        """Tell about an error; its exit code."""
        debug = self._context is not None and self._context.params["debug"]
        told = _usage(error) if isinstance(error, click.ClickException) else error
        output.failure(told, debug=debug)
        if isinstance(told, SandboxError):
            return told.exit_code
        code = told.exit_code if isinstance(told, LayerkitError) else _BUG
        command = self._context.invoked_subcommand if self._context is not None else None
        return app.FAILURE_CODES.get(command or "", code)


def _usage(error: click.ClickException) -> UsageError:
    """What click says about the arguments, in the form of all other errors."""
    text = " ".join(error.format_message().split()).removesuffix(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else app.NAME
    return UsageError(text[:1].lower() + text[1:], hint=f"see: {path} --help")
