"""Where requests for an image go: its registry and the mirrors of it, as values (pure)."""

from __future__ import annotations

import enum
import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, urlsplit

from layerkit.registry import address

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from layerkit.reference import Reference

_HUB, _HUB_HOST = "docker.io", "registry-1.docker.io"
_API = "/v2"
_URL = re.compile(r"[!-~]*", re.ASCII)


class Action(enum.Flag):
    """What an endpoint may be asked for; `RESOLVE` is trusting it with what a tag means now."""

    PULL = enum.auto()
    RESOLVE = enum.auto()
    PUSH = enum.auto()
    REFERRERS = enum.auto()


READ = Action.PULL | Action.RESOLVE
ALL = READ | Action.PUSH | Action.REFERRERS


@dataclass(frozen=True, slots=True)
class TLS:
    """Whom to trust and who to be; connections with equal values can be shared.

    `authorities` are trusted in addition to the system's. `identity` has pairs of client
    certificate and key, which may be the same file.
    """

    authorities: tuple[Path, ...] = ()
    identity: tuple[tuple[Path, Path], ...] = ()
    verify: bool = True


USUAL = TLS()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that has the image, and how to ask it.

    `base` is the URL before the repository, `repository` what the image is called there,
    `namespace` the registry that a mirror for several is told with each request. `headers` are for
    this server only, not for where it redirects to; `connect` is in seconds, None for the usual.
    `is_origin` says that this is the registry of the reference, so that its credentials may go
    there; another server gets those for its own name, `registry`.
    """

    base: str
    repository: str
    actions: Action = ALL
    namespace: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    tls: TLS = USUAL
    connect: float | None = None
    is_origin: bool = False

    @property
    def registry(self) -> str:
        """Host and port as in references, `registry-1.docker.io` for the Hub."""
        return urlsplit(self.base).netloc

    def url(self, path: str) -> str:
        """The URL of a `path` of the repository, such as `blobs/<digest>`."""
        mark = "&" if "?" in path else "?"
        asked_for = f"{mark}ns={quote(self.namespace, safe=':')}" if self.namespace else ""
        return f"{self.base}/{self.repository}/{path}{asked_for}"


Lookup: TypeAlias = "Callable[[Reference], list[Endpoint]]"
"""The endpoints for an image in the order to ask them, mirrors first; the last one's errors count.

Raises `UsageError` for a broken configuration, and for an image that it blocks.
"""


def by_default(reference: Reference) -> list[Endpoint]:
    """The registry itself: over http on this machine, else https."""
    return at_host(reference, reference.host)


def at_host(
    reference: Reference,
    host: str,
    repository: str = "",
    *,
    actions: Action = ALL,
    tls: TLS = USUAL,
    insecure: bool = False,
) -> list[Endpoint]:
    """The endpoints at `host[:port]`, whose scheme nobody said.

    https, if `insecure` unverified and then http. On this machine http, unless something about
    TLS was set, which nobody does for http.
    """
    name = repository or reference.repository
    is_origin = host == reference.host
    https = Endpoint(f"https://{host}{_API}", name, actions, tls=tls, is_origin=is_origin)
    http = replace(https, base=f"http://{host}{_API}", tls=USUAL)
    if insecure:
        return [replace(https, tls=replace(tls, verify=False)), http]
    is_here = address.is_loopback(address.origin(https.base).host)
    return [http if is_here and tls == USUAL else https]


def at_url(reference: Reference, url: str, *, override_path: bool = False) -> Endpoint:
    """The endpoint at a URL, or at a host by https; `override_path` if it ends as the API does.

    `ValueError` says what is wrong with the URL.
    """
    text = url if "://" in url else f"https://{url}"
    there, parts = address.origin(text), urlsplit(text)
    if parts.query or parts.fragment or not _URL.fullmatch(text):
        raise ValueError("it is more than scheme, host, port and path")
    if there.host == _HUB:  # a web site; what serves its images is elsewhere
        there = replace(there, host=_HUB_HOST)
    is_origin = there == address.origin(f"{there.scheme}://{reference.host}")
    return Endpoint(
        f"{there.scheme}://{there.name}{_api_path(parts.path, override_path=override_path)}",
        reference.repository,
        namespace="" if is_origin else reference.registry,
        is_origin=is_origin,
    )


def _api_path(path: str, *, override_path: bool) -> str:
    clean = posixpath.normpath(f"/{path.strip('/')}").rstrip("/")
    return clean if override_path or clean.endswith(_API) else clean + _API
