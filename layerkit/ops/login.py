"""Login: credentials that a registry takes are kept where the next command finds them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.errors import UsageError
from layerkit.registry import Credentials, address, from_documents
from layerkit.registry.authstore import AuthStore
from layerkit.registry.credentials import key_of, normal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from layerkit.registry import Client

__all__ = ["Credentials", "Login", "credentials", "known", "login", "registry_of"]


@dataclass(frozen=True, slots=True)
class Login:
    """A login that is kept: the `key` it is kept under, and the helper that has it, "" for none."""

    key: str
    helper: str


def login(client: Client, registry: str, user: Credentials, path: Path) -> Login:
    """Keep the credentials of `user` in the file at `path` or its helper, if the registry takes
    them; `client` logs in with them.

    Raises `AuthError` if the registry refuses them, or a helper fails, and `RegistryError`.
    """
    client.check_login(registry)
    return Login(key_of(registry), AuthStore(path).put(registry, user))


def known(files: Iterable[tuple[str, str]], registry: str) -> Credentials | None:
    """The credentials for a registry that are kept already (path and text of each file)."""
    return from_documents(files)(registry, "")


def credentials(username: str, password: str) -> Credentials:
    """The credentials; raises `UsageError` for what no registry can be told."""
    if not username:
        raise UsageError("username is empty")
    if ":" in username:
        raise UsageError("a username has no colon")
    if not password:
        raise UsageError("password is empty")
    user = Credentials(username, password)
    if not user.is_usable:
        raise UsageError("username or password is not UTF-8")
    return user


def registry_of(server: str) -> str:
    """The registry that a user calls so, with or without scheme and path; "" is Docker Hub.

    Raises `UsageError` for what is no host.
    """
    host = re.split("[/?#]", server.strip().rpartition("://")[2], maxsplit=1)[0] or "docker.io"
    try:
        address.origin(f"https://{host}")
    except ValueError as error:
        raise UsageError(f"{server!r} is not a registry: {error}") from None
    return normal(host)
