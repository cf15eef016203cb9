"""The answer of a token server (pure)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from layerkit.errors import RegistryError

_SHORTEST_LIFE = 60.0  # seconds; also that of a token without `expires_in` (docker's token page)
_LONGEST_LIFE = 86400.0
_TOKEN = re.compile(r"[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """A token, its life in seconds, and "" or the identity token that takes the place of ours."""

    value: str = field(repr=False)
    life: float
    refresh: str = field(repr=False)


def read(name: str, body: bytes, limit: int) -> Token:
    """The token in the body that the server `name` sent, which may have `limit` bytes.

    Raises `RegistryError` for a body without one, or with one that fits in no header.
    """
    document = _object(body) if len(body) <= limit else {}
    value = _usable(document.get("token") or document.get("access_token"))
    if not value:
        raise RegistryError(f"{name} answered without a usable token")
    return Token(value, _life(document.get("expires_in")), _usable(document.get("refresh_token")))


def _usable(value: Any) -> str:
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _life(expires_in: Any) -> float:
    try:
        return min(_LONGEST_LIFE, max(_SHORTEST_LIFE, float(expires_in)))
    except (TypeError, ValueError, OverflowError):
        return _SHORTEST_LIFE
