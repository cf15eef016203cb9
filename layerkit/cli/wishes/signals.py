"""Signals by name or number."""

from __future__ import annotations

from layerkit.cli.wishes import sizes
from layerkit.errors import UsageError


def signal_number(text: str, option: str) -> int:
    """The number of `TERM`, `SIGTERM`, `15`, `RTMIN+3`, in any case; raises `UsageError`."""
    import signal  # noqa: PLC0415  slow to load, and few need it

    last = signal.NSIG - 1
    name = text.upper().removeprefix("SIG")
    base, sign, offset = name.partition("+" if "+" in name else "-")
    known = signal.__dict__.get(f"SIG{base}")
    number = 0
    if sizes.is_number(text):
        number = int(text)
    elif isinstance(known, signal.Signals) and not sign:
        number = known
    elif base in ("RTMIN", "RTMAX") and sizes.is_number(offset):
        number = int(known or 0) + int(f"{sign}{offset}")
    in_range = signal.SIGRTMIN <= number <= signal.SIGRTMAX if sign else 1 <= number <= last
    if not in_range:
        raise UsageError(f"invalid {option} {text!r}: wanted a signal, such as TERM or 15")
    return int(number)
