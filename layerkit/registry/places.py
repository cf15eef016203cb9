"""Which configuration has the word about an image, out of those that a machine may have."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

from layerkit.registry import docker_certs, docker_daemon, hosts_toml, registries_conf, settings
from layerkit.registry.endpoints import TLS, Endpoint, at_host

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from layerkit.reference import Reference
    from layerkit.registry.endpoints import Lookup

_ANY_HOST = "_default"


@dataclass(frozen=True, slots=True)
class Places:
    """Where configuration may be; nothing is read before a registry is asked.

    `certs` are folders as `/etc/containerd/certs.d`, `daemons` files as docker's `daemon.json`;
    of both the first that has something counts. `authorities` are trusted for every registry.
    """

    certs: tuple[Path, ...] = ()
    registries: registries_conf.Files = field(default_factory=registries_conf.Files)
    daemons: tuple[Path, ...] = ()
    authorities: tuple[Path, ...] = ()


def configured(places: Places) -> Lookup:
    """The lookup in these places; it keeps what it found."""
    return cache(_Configured(places).endpoints)


class _Configured:
    def __init__(self, places: Places) -> None:
        self._places = places

    def endpoints(self, reference: Reference) -> list[Endpoint]:
        """The endpoints that the most specific configuration has, else the registry itself."""
        blocked_or_not = self._registries.find(reference)  # which holds whoever has the word
        directories = docker_certs.directories(self._places.certs, reference.registry)
        found = self._from_hosts_toml(reference, directories)
        if not found and blocked_or_not:
            found = blocked_or_not.endpoints(reference, self._tls)
        found = found or self._daemon.endpoints(reference, self._tls)
        if not found:
            anywhere = (folder / _ANY_HOST for folder in self._places.certs)
            found = self._from_hosts_toml(reference, anywhere)
        host = reference.host
        return found or at_host(reference, host, tls=self._tls(host))

    def _from_hosts_toml(self, reference: Reference, directories: Iterable[Path]) -> list[Endpoint]:
        for directory in directories:
            file = settings.read_toml(directory / hosts_toml.FILE)
            if file is not None:
                found = hosts_toml.endpoints(file, reference)
                return [replace(each, tls=self._trusting(each.tls)) for each in found]
        return []

    def _tls(self, host: str) -> TLS:
        return self._trusting(docker_certs.tls_for(self._places.certs, host))

    def _trusting(self, tls: TLS) -> TLS:
        return replace(tls, authorities=(*self._places.authorities, *tls.authorities))

    @cached_property
    def _registries(self) -> registries_conf.Configuration:
        return registries_conf.load(self._places.registries)

    @cached_property
    def _daemon(self) -> docker_daemon.Daemon:
        return docker_daemon.load(self._places.daemons)
