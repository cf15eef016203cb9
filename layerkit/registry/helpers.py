"""Docker's credential helpers: programs `docker-credential-…` that keep credentials elsewhere.

They get what they need on standard input, so that no secret shows in a list of processes; nothing
that they print is shown if a secret is in it.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from layerkit.errors import AuthError
from layerkit.registry import outcome
from layerkit.registry.credentials import Credentials, Kind

PATIENCE = 30.0
"""Seconds that a helper gets; some ask their user something."""

_OUTPUT_LIMIT = 1 << 20
_SUFFIX = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_NOT_FOUND = "credentials not found in native keychain"
_TOKEN_USER = "<token>"  # noqa: S105  the name that says that the secret is an identity token


def program(suffix: str) -> str:
    """The helper's name."""
    return f"docker-credential-{suffix}"


def get(suffix: str, server: str, patience: float = PATIENCE) -> Credentials | None:
    """The credentials that a helper has for a server, None if it has none.

    `server` is a key as docker writes them. Raises `AuthError` if the helper is not there, fails,
    takes longer than `patience` (seconds), or prints something else.
    """
    done = _run(suffix, "get", server, patience)
    if done.returncode:
        if _NOT_FOUND in done.stdout:
            return None
        raise _failed(suffix, done, "")
    return _parse(suffix, done.stdout)


def store(suffix: str, server: str, credentials: Credentials, patience: float = PATIENCE) -> None:
    """Let a helper keep credentials; raises as `get`."""
    is_password = credentials.kind is Kind.PASSWORD
    username = credentials.username if is_password else _TOKEN_USER
    document = {"ServerURL": server, "Username": username, "Secret": credentials.secret}
    done = _run(suffix, "store", json.dumps(document), patience)
    if done.returncode:
        raise _failed(suffix, done, credentials.secret)


def erase(suffix: str, server: str, patience: float = PATIENCE) -> None:
    """Let a helper forget the credentials for a server; raises as `get`."""
    done = _run(suffix, "erase", server, patience)
    if done.returncode and _NOT_FOUND not in done.stdout:
        raise _failed(suffix, done, "")


def _run(suffix: str, action: str, given: str, patience: float) -> subprocess.CompletedProcess[str]:
    if _SUFFIX.fullmatch(suffix) is None:
        raise AuthError(f"{outcome.clean(suffix)!r} is not the name of a credential helper")
    try:
        return subprocess.run(
            [program(suffix), action],
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=patience,
            check=False,
        )
    except FileNotFoundError:
        raise AuthError(f"{program(suffix)} is not installed") from None
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise AuthError(f"cannot run {program(suffix)}: {reason}") from None
    except subprocess.TimeoutExpired:
        raise AuthError(f"{program(suffix)} did not end within {patience:g} s") from None


def _failed(suffix: str, done: subprocess.CompletedProcess[str], secret: str) -> AuthError:
    text = done.stdout.strip() or done.stderr.strip()
    said = "" if not text or (secret and secret in text) else f": {outcome.clean(text)}"
    return AuthError(f"{program(suffix)} failed with status {done.returncode}{said}")


def _parse(suffix: str, printed: str) -> Credentials | None:
    document = _json(printed) if len(printed) <= _OUTPUT_LIMIT else None
    found = document if isinstance(document, dict) else {}
    username, secret = found.get("Username"), found.get("Secret")
    if not (isinstance(username, str) and isinstance(secret, str)):
        raise AuthError(f"{program(suffix)} printed no credentials")
    if not secret:
        return None
    is_token = username == _TOKEN_USER
    kind = Kind.IDENTITY_TOKEN if is_token else Kind.PASSWORD
    credentials = Credentials("" if is_token else username, secret, kind)
    if not credentials.is_usable:
        raise AuthError(f"{program(suffix)} printed credentials that fit in no request")
    return credentials


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
