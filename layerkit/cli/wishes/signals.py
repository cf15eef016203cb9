"""Signals by name or number."""

from __future__ import annotations

from layerkit.errors import UsageError


def signal_number(text: str, option: str) -> int:
    """The number of `TERM`, `SIGTERM`, `15`, `RTMIN+3`, in any case; raises `UsageError`."""
    from layerkit.ops.stop import number_of  # noqa: PLC0415  slow to load, and few need it

    try:
        return number_of(text)
    except UsageError:
        raise UsageError(
            f"invalid {option} {text!r}: wanted a signal, such as TERM or 15"
        ) from None
