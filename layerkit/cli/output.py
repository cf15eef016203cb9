"""What is printed, and how: results on stdout, everything else on stderr, nothing raw from outside."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# C0 and C1 controls, separators of lines, what turns the direction of text, and the surrogates
# that stand for bytes of a name that are no UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_RAW_BYTES = range(0xDC80, 0xDD00)


def printable(text: str) -> str:
    """`text` as one line that does nothing to a terminal: controls become escapes."""
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number in _RAW_BYTES:
        number -= 0xDC00
    plain = f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"  # noqa: PLR2004
    return _NAMED.get(match[0], plain)


def line(text: str) -> None:
    """Print one line of the result; values in it are printable already."""
    with _written():
        print(text)


def raw(data: bytes) -> None:
    """Write bytes of the result as they are, behind the lines so far."""
    with _written():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


def passed_on(stream: str, data: bytes) -> None:
    """Write what a program wrote to its "stdout" or "stderr" to ours, as it is and at once."""
    with _written():
        target = sys.stderr if stream == "stderr" else sys.stdout
        target.buffer.write(data)
        target.flush()


def flush() -> None:
    """Write out what is still in the buffer."""
    if sys.stdout is not None:  # as it is when the caller has closed it
        with _written():
            sys.stdout.flush()


@contextlib.contextmanager
def _written() -> Iterator[None]:
    """Turn a failed write into an error of ours, but for the reader that went away."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        silence()
        raise LayerkitError(f"cannot write the output: {error.strerror}") from None


def silence() -> None:
    """Let what is still in the buffer go nowhere, as nobody can take it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def notice(severity: str, text: str) -> None:
    """Tell the user something beside the result; `severity` is "warning", "note" or "hint"."""
    aside(f"{severity}: {printable(text)}")


def aside(text: str) -> None:
    """Print a line on stderr; where nobody listens, this is no reason to stop."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def failure(error: Exception, *, debug: bool) -> None:
    """Tell what went wrong: what, and the next step where it is known; with `debug`, also where."""
    if debug:
        import traceback  # noqa: PLC0415  only here

        with contextlib.suppress(OSError):
            traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, LayerkitError):
        message, hint = error.message, error.hint
    else:
        message = f"internal error: {type(error).__name__}: {error}"
        hint = (
            "this is a bug in layerkit: please report it, with the output of `layerkit version` "
            "and of the same command after `layerkit --debug`"
        )
    aside(f"layerkit: {printable(message)}")
    if hint:
        notice("hint", hint)


def each(names: Iterable[str], act: Callable[[str], None], *, debug: bool) -> int:
    """Do the same for several names; what fails is told, and the others go on.

    The exit code of the first failure, 0 without one.
    """
    code = 0
    for name in names:
        try:
            act(name)
        except LayerkitError as error:
            flush()
            failure(error, debug=debug)
            code = code or error.exit_code
    return code
