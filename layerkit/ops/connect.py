"""Connect: a client for registries, from what the caller found in its configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from layerkit.registry import (
    Client,
    Credentials,
    Files,
    Places,
    configured,
    from_documents,
    registries_conf,
)
from layerkit.registry.auth import tell_nobody
from layerkit.registry.credentials import only
from layerkit.registry.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Client", "Credentials", "Files", "Places", "connect", "full_name"]

_NOWHERE = Places()


def connect(
    credentials: Iterable[tuple[str, str]] = (),
    proxies: Mapping[str, str] | None = None,
    places: Places = _NOWHERE,
    *,
    warn: Callable[[str], None] = tell_nobody,
    user: Credentials | None = None,
    jobs: int | None = None,
) -> Client:
    """A client with the credentials in these files (path and text; the first has the last word).

    By default there are none, no proxies and no configuration: a client for what everybody may pull.
    With `user`, these and no others are used. `places` are where mirrors, certificates and the like
    are configured. `proxies` has URLs for the schemes "http" and
    "https"; `jobs` is how many connections there may be; `warn` is told what is wrong with credentials that cannot be used. Raises `UsageError`
    for a file that has no credentials in the form docker writes them.
    """
    lookup = from_documents(credentials) if user is None else only(user)
    limits = DEFAULT if jobs is None else replace(DEFAULT, jobs=jobs, per_host=jobs)
    return Client(lookup, limits, proxies=proxies or {}, lookup=configured(places), warn=warn)


def full_name(files: Files, name: str) -> str:
    """The image name that `name` is an alias of in these files, else `name` itself.

    Raises `UsageError` for a file that is wrong.
    """
    return registries_conf.load(files).full_name(name)
