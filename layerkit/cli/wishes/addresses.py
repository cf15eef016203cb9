"""Addresses of hosts."""

from __future__ import annotations

from layerkit.errors import UsageError


def address(text: str, what: str) -> str:
    """The IPv4 or IPv6 address in its usual form; raises `UsageError` for what is none."""
    import ipaddress  # noqa: PLC0415  slow to load, and few need it

    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        found = None
    if found is None or "%" in text:
        raise UsageError(f"invalid {what}: {text!r} is no IP address")
    return str(found)
