"""Credentials from docker's `config.json` and podman's `auth.json`, given their text (no I/O)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and secret for one registry; the secret does not show in `repr`."""

    username: str
    password: str = field(repr=False)


Lookup: TypeAlias = Callable[[str], Credentials | None]
"""The credentials for a registry, named as in references (`docker.io`, `host:port`), or None."""


def anonymous(_registry: str) -> None:
    """The lookup that knows no credentials."""


def from_documents(documents: Iterable[tuple[str, str]]) -> Lookup:
    """The lookup in these files, given as path and text; what an earlier file says wins.

    Raises `UsageError` that names the file, never what is in it.
    """
    known: dict[str, Credentials] = {}
    for path, text in documents:
        for registry, credentials in _of_document(path, text).items():
            known.setdefault(registry, credentials)

    def lookup(registry: str) -> Credentials | None:
        return known.get(_normal(registry))

    return lookup


def _of_document(path: str, text: str) -> dict[str, Credentials]:
    """The credentials of one file; of two keys for one host, the one docker itself writes wins."""
    found: dict[str, Credentials] = {}
    entries = _object(path, "auths", _object(path, "the file", _json(path, text)).get("auths"))
    for key in sorted(entries, key=lambda key: (key != _HUB_KEY, "/" in key)):
        registry = _registry_of(key)
        credentials = _credentials(path, key, _object(path, f"auths[{key!r}]", entries[key]))
        if registry and credentials:
            found.setdefault(registry, credentials)
    return found


def _json(path: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"cannot read credentials in {path}: not valid JSON{place}") from None


def _object(path: str, what: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"cannot read credentials in {path}: {what} is not a JSON object")
    return value


def _registry_of(key: str) -> str:
    """The registry that a key of `auths` stands for, "" for a key of only a part of one."""
    scheme, _, rest = key.rpartition("://")
    host, _, path = rest.partition("/")
    is_whole = scheme in ("", "http", "https") and path.strip("/") in ("", "v1", "v2")
    return _normal(host) if is_whole else ""


def _normal(registry: str) -> str:
    registry = registry.lower()
    return _HUB if registry in _HUB_NAMES else registry


def _credentials(path: str, key: str, entry: dict[str, Any]) -> Credentials | None:
    encoded = entry.get("auth")
    username, password = entry.get("username"), entry.get("password")
    if encoded:
        username, password = _decode(path, key, encoded)
    if not (username and isinstance(username, str) and isinstance(password, str)):
        return None
    return Credentials(username, password.strip("\0"))  # docker once padded the secret with NULs


def _decode(path: str, key: str, encoded: Any) -> tuple[str, str]:
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (ValueError, TypeError):
        username = colon = password = ""
    if not (username and colon):
        raise UsageError(
            f"cannot read credentials in {path}: auths[{key!r}].auth is not base64 of name:password"
        )
    return username, password
