"""The command line: parse, call one operation, print. The one place with environment and exits."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

_STDERR = 2
_COLLECT_AFTER = 20_000
"""Objects until cycles are looked for: most commands end before, and trees have none."""


def entry() -> NoReturn:
    """The program: run, and exit with the code, at once."""
    gc.set_threshold(_COLLECT_AFTER)
    _fill_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the terminal cannot show must not end us
            stream.reconfigure(errors="backslashreplace")
    code = main()
    os._exit(code)  # all is closed and written; taking the rest apart takes a tenth of the time


def _fill_standard_streams() -> None:
    """Open what the caller has closed, or a file of the store would get the number of stdout."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; no error gets past."""
    from layerkit.cli.boundary import run  # noqa: PLC0415  loads most, after what `entry` sets up

    return run(sys.argv[1:] if argv is None else argv)
