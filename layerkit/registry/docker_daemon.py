"""docker's `daemon.json`: mirrors of Docker Hub, and registries without a certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from layerkit.registry import address, settings
from layerkit.registry.endpoints import READ, TLS, Endpoint, at_host, at_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from layerkit.reference import Reference
    from layerkit.registry.settings import Table

_HUB = "docker.io"
_MIRRORS = "registry-mirrors"


@dataclass(frozen=True, slots=True)
class Daemon:
    """What the file says about registries."""

    file: Table | None = None
    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()

    def endpoints(self, reference: Reference, tls: Callable[[str], TLS]) -> list[Endpoint]:
        """The endpoints for an image, none if the file says nothing about its registry.

        `tls` is asked for what else is known about a host. Raises `UsageError` for a mirror that
        is no URL.
        """
        mirrors = self.mirrors if reference.registry == _HUB else ()
        insecure = self._is_insecure(reference.host)
        if not mirrors and not insecure:
            return []
        found = [self._mirror(reference, url, tls) for url in mirrors]
        host = reference.host
        return [*found, *at_host(reference, host, tls=tls(host), insecure=insecure)]

    def _mirror(self, reference: Reference, url: str, tls: Callable[[str], TLS]) -> Endpoint:
        try:
            found = at_url(reference, url)
        except ValueError as error:
            assert self.file is not None  # it named the mirror
            raise self.file.error(_MIRRORS, f"{url!r} is no mirror: {error}") from None
        known = replace(tls(found.registry), verify=not self._is_insecure(found.registry))
        return replace(found, actions=READ, namespace="", tls=known)

    def _is_insecure(self, host: str) -> bool:
        return any(_is_meant(entry, host) for entry in self.insecure)


def load(paths: Iterable[Path]) -> Daemon:
    """What the first of these files says that there is."""
    for path in paths:
        file = settings.read_json(path)
        if file is not None:
            insecure = file.texts("insecure-registries")
            return Daemon(file, tuple(file.texts(_MIRRORS)), tuple(insecure))
    return Daemon()


def _is_meant(entry: str, host: str) -> bool:
    """Whether `host[:port]` is this entry's, or its address is in the network that it is."""
    if entry.rpartition("://")[2].rstrip("/") == host:
        return True
    try:
        return ip_address(address.origin(f"https://{host}").host) in ip_network(entry)
    except ValueError:
        return False
