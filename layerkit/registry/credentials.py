"""Credentials, the names that registries have in files of them, and how they are looked up."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN = re.compile(r"[!-~]+", re.ASCII)
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")


class Kind(Enum):
    """What a secret is: of an identity token, tokens are made; a registry token is one already."""

    PASSWORD = "password"  # noqa: S105
    IDENTITY_TOKEN = "identity token"  # noqa: S105
    REGISTRY_TOKEN = "registry token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and secret for a registry; the secret does not show in `repr`."""

    username: str
    secret: str = field(repr=False)
    kind: Kind = Kind.PASSWORD

    @property
    def owner(self) -> str:
        """Whose they are, for messages."""
        return repr(self.username) if self.username else f"the owner of the {self.kind.value}"

    @property
    def is_usable(self) -> bool:
        """Whether they fit in a request: name and password in UTF-8, tokens in plain ASCII."""
        try:
            f"{self.username}{self.secret}".encode()
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
            return False
        return self.kind is Kind.PASSWORD or _TOKEN.fullmatch(self.secret) is not None


Lookup: TypeAlias = Callable[[str, str], Credentials | None]
"""The credentials for a repository of a registry, named as in references (`docker.io`,
`host:port`), or None. Raises `AuthError` if there may be some and they cannot be had.
"""


def anonymous(_registry: str, _repository: str) -> None:
    """The lookup that knows no credentials."""


def only(credentials: Credentials) -> Lookup:
    """The lookup that gives these credentials to whatever registry it is asked for."""
    return lambda _registry, _repository: credentials


def normal(registry: str) -> str:
    """The one name of a registry that has several."""
    registry = registry.lower()
    return _HUB if registry in _HUB_NAMES else registry


def key_of(registry: str) -> str:
    """The key under which docker keeps the credentials for a registry, also in helpers."""
    return _HUB_KEY if normal(registry) == _HUB else normal(registry)


def scope_of(key: str) -> tuple[str, str]:
    """The registry that a key in a file stands for, and the part of it, "" for all; as docker's
    keys have it (`https://host/v1/`) and podman's (`host/folder`). Registry "" for other keys.
    """
    scheme, _, rest = key.rpartition("://")
    host, _, path = rest.partition("/")
    path = path.strip("/")
    if scheme not in ("", "http", "https") or (scheme and path not in ("", "v1", "v2")):
        return "", ""
    return normal(host), "" if path in ("v1", "v2") else path
