"""Which modules a few lines of Python load."""

from __future__ import annotations

import subprocess
import sys

_COUNTED = "import sys; before = set(sys.modules); {}; print(*set(sys.modules) - before)"


def loaded_by(code: str) -> list[str]:
    """The modules that these statements load in a new process, with what they import in turn."""
    done = subprocess.run(
        [sys.executable, "-c", _COUNTED.format(code)], check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()[-1].split()
