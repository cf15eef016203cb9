"""Build: which commit of layerkit was installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from layerkit import __version__

_NOTE = f"layerkit-{__version__}.dist-info/direct_url.json"


def commit() -> str:
    """The first 7 hex digits of the commit that was installed, "unknown" when pip did not note it.

    That is the case for anything but an installation from a repository (PEP 610). Its note is read
    as a file: `importlib.metadata` takes longer to load than everything else that prints a version.
    """
    try:
        return str(json.loads(_note())["vcs_info"]["commit_id"])[:7]
    except (KeyError, TypeError, ValueError):
        return "unknown"


def _note() -> str:
    for folder in sys.path:
        try:
            return Path(folder, _NOTE).read_text(encoding="utf-8")
        except OSError:
            continue
    return "{}"
