"""Docker's `config.json` and podman's `auth.json`: what a text of them says, and with a change (pure).

Messages name the file and the key, and never show a value.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layerkit.errors import UsageError
from layerkit.registry.credentials import Credentials, Kind, key_of, normal, scope_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKENS = {"registrytoken": Kind.REGISTRY_TOKEN, "identitytoken": Kind.IDENTITY_TOKEN}


@dataclass(frozen=True, slots=True)
class AuthFile:
    """What one file says: credentials by registry and part of it, and which helper has others.

    `helpers` has the suffix of a helper's name by registry, `store` the one for all the others.
    """

    path: str
    auths: Mapping[tuple[str, str], Credentials]
    helpers: Mapping[str, str]
    store: str

    def helper(self, registry: str) -> str:
        """The suffix of the helper that has the credentials for a registry, "" for none."""
        return self.helpers.get(normal(registry), self.store)

    def credentials(self, registry: str, repository: str) -> Credentials | None:
        """The credentials in the file itself, those for the smallest part first."""
        part = repository
        while part and (normal(registry), part) not in self.auths:
            part = part.rpartition("/")[0]
        return self.auths.get((normal(registry), part))


def parse(path: str, text: str) -> AuthFile:
    """What the file at `path` says; raises `UsageError` that names the file, never what is in it."""
    document = _document(path, text)
    helpers = _object(path, "credHelpers", document.get("credHelpers"))
    return AuthFile(
        path,
        _auths(path, _object(path, "auths", document.get("auths"))),
        {
            scope_of(key)[0]: _text(path, f"credHelpers[{key!r}]", value)
            for key, value in helpers.items()
        },
        _text(path, "credsStore", document.get("credsStore")),
    )


def with_entry(path: str, text: str, registry: str, credentials: Credentials | None) -> str:
    """The text with these credentials for a registry; None marks that a helper has them.

    All else in it stays as it is, in its order.
    """
    document = _document(path, text)
    auths = _without(_object(path, "auths", document.get("auths")), registry)
    auths[key_of(registry)] = {} if credentials is None else _entry(credentials)
    return _written({**document, "auths": auths})


def without_entry(path: str, text: str, registry: str) -> str | None:
    """The text without any entry for the whole of a registry; None if it has none."""
    document = _document(path, text)
    auths = _object(path, "auths", document.get("auths"))
    left = _without(auths, registry)
    return None if left == auths else _written({**document, "auths": left})


def _without(auths: dict[str, Any], registry: str) -> dict[str, Any]:
    whole = (normal(registry), "")
    return {key: value for key, value in auths.items() if scope_of(key) != whole}


def _entry(credentials: Credentials) -> dict[str, str]:
    pair = f"{credentials.username}:{credentials.secret}".encode()
    return {"auth": base64.b64encode(pair).decode()}


def _written(document: dict[str, Any]) -> str:
    return json.dumps(document, indent="\t") + "\n"


def _document(path: str, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"cannot read credentials in {path}: not valid JSON{place}") from None
    return _object(path, "the file", document)


def _object(path: str, what: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"cannot read credentials in {path}: {what} is not a JSON object")
    return value


def _text(path: str, what: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"cannot read credentials in {path}: {what} is not a text")
    return value


def _auths(path: str, entries: dict[str, Any]) -> dict[tuple[str, str], Credentials]:
    """The credentials by registry and part; of two keys for one, the one docker writes wins."""
    found: dict[tuple[str, str], Credentials] = {}
    for key in sorted(entries, key=lambda key: (key != key_of(scope_of(key)[0]), "/" in key)):
        scope = scope_of(key)
        credentials = _credentials(path, key, _object(path, f"auths[{key!r}]", entries[key]))
        if credentials and not credentials.is_usable:
            raise UsageError(
                f"cannot read credentials in {path}: auths[{key!r}] has what fits in no request"
            )
        if scope[0] and credentials:
            found.setdefault(scope, credentials)
    return found


def _credentials(path: str, key: str, entry: dict[str, Any]) -> Credentials | None:
    encoded = entry.get("auth")
    username, password = entry.get("username"), entry.get("password")
    if encoded:
        username, password = _decode(path, key, encoded)
    for name, kind in _TOKENS.items():
        if token := _text(path, f"auths[{key!r}].{name}", entry.get(name)):
            return Credentials(username if isinstance(username, str) else "", token, kind)
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
