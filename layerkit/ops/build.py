"""Build: which commit of layerkit was installed."""

from __future__ import annotations

import json
from importlib import metadata


def commit() -> str:
    """The first 7 hex digits of the commit that was installed, "unknown" when pip did not note it.

    That is the case for anything but an installation from a repository (PEP 610).
    """
    try:
        text = metadata.distribution("layerkit").read_text("direct_url.json")
        found = json.loads(text or "{}")["vcs_info"]["commit_id"]
    except (metadata.PackageNotFoundError, KeyError, TypeError, ValueError):
        return "unknown"
    return str(found)[:7]
