"""`registries.conf`, version 2, of podman and its family (containers-registries.conf(5)).

Of its short names only the aliases count: one word is docker's `docker.io/library/…` for us.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from layerkit import reference as references
from layerkit.errors import UsageError
from layerkit.registry import settings
from layerkit.registry.endpoints import ALL, READ, TLS, Action, Endpoint, at_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layerkit.reference import Reference
    from layerkit.registry.settings import Table

_USES = ("all", "digest-only", "tag-only")


@dataclass(frozen=True, slots=True)
class Files:
    """Where to look: the first of `main` that exists, then all `*.conf` in each of `folders`.

    What a later file says about a prefix or a name replaces what an earlier one said.
    """

    main: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where images of a prefix really are; `table` says it, `use` is one of `_USES`."""

    table: Table
    location: str
    insecure: bool
    use: str = "all"


@dataclass(frozen=True, slots=True)
class Registry:
    """One `[[registry]]`: what happens to images whose names begin with `prefix`."""

    prefix: str
    primary: Place
    mirrors: tuple[Place, ...] = ()
    blocked: bool = False

    def endpoints(self, reference: Reference, tls: Callable[[str], TLS]) -> list[Endpoint]:
        """The endpoints for an image that this is about; `tls` is asked for what a host needs.

        Raises `UsageError` for a location that does not make the name of an image.
        """
        found = []
        for mirror in self.mirrors:
            if mirror.use in ("all", "tag-only" if reference.digest is None else "digest-only"):
                found += self._at(mirror, reference, tls, READ)
        if self.primary.location in ("", self.prefix):
            return found + self._at(self.primary, reference, tls, ALL)
        # Only reading is redirected: what is pushed goes where its name says.
        found += self._at(self.primary, reference, tls, READ | Action.REFERRERS)
        host, insecure = reference.host, self.primary.insecure
        pushed = at_host(reference, host, actions=Action.PUSH, tls=tls(host), insecure=insecure)
        return found + pushed

    def _at(
        self, place: Place, reference: Reference, tls: Callable[[str], TLS], actions: Action
    ) -> list[Endpoint]:
        there = reference
        if place.location:
            rest = reference.canonical[_length(self.prefix, reference) :]
            there = _full(place.table, "location", place.location + rest)
        return at_host(
            reference,
            there.host,
            there.repository,
            actions=actions,
            tls=tls(there.host),
            insecure=place.insecure,
        )


@dataclass(frozen=True, slots=True)
class Configuration:
    """What all the files say together: registries by prefix, full names by short ones."""

    registries: dict[str, Registry] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def find(self, reference: Reference) -> Registry | None:
        """The registry with the longest prefix of the image's name.

        Raises `UsageError` if it is blocked.
        """
        fitting = [prefix for prefix in self.registries if _length(prefix, reference)]
        if not fitting:
            return None
        found = self.registries[max(fitting, key=len)]
        if found.blocked:
            raise UsageError(
                f"{reference.familiar} is blocked: {found.primary.table.path} blocks {found.prefix}"
            )
        return found

    def full_name(self, text: str) -> str:
        """The image name that `text` is an alias of, tag and digest kept; else `text` itself."""
        name, _, _ = text.partition("@")
        start = name.rfind("/") + 1
        stem = name[:start] + name[start:].partition(":")[0]
        return self.aliases.get(stem, stem) + text[len(stem) :]


def load(files: Files) -> Configuration:
    """What the files say; raises `UsageError` for a value that cannot be, naming its file."""
    configuration = Configuration()
    for table in _tables(files):
        _refuse_version_1(table)
        for registry in map(_registry, table.tables("registry")):
            configuration.registries[registry.prefix] = registry
        configuration.aliases.update(_aliases(table.table("aliases")))
    return configuration


def _tables(files: Files) -> Iterator[Table]:
    mains = filter(None, map(settings.read_toml, files.main))
    yield from [first] if (first := next(mains, None)) else []
    for folder in files.folders:
        yield from filter(None, map(settings.read_toml, sorted(folder.glob("*.conf"))))


def _refuse_version_1(table: Table) -> None:
    if "registries" in table:
        raise table.error("registries", "the format of version 1, wanted [[registry]] tables")


def _registry(table: Table) -> Registry:
    primary = _place(table)
    prefix = table.text("prefix").rstrip("/") or primary.location
    if not prefix:
        raise table.error("location", "missing, and so is prefix")
    if not (primary.location or prefix.startswith("*.")):
        raise table.error("location", "missing")
    if "*" in prefix[1:] or (prefix[0] == "*" and (prefix[1:2] != "." or "/" in prefix)):
        raise table.error("prefix", f"got {prefix!r}, wanted * only as in *.example.com")
    by_digest = table.flag("mirror-by-digest-only")
    mirrors = tuple(_mirror(each, by_digest=by_digest) for each in table.tables("mirror"))
    return Registry(prefix, primary, mirrors, table.flag("blocked"))


def _mirror(table: Table, *, by_digest: bool) -> Place:
    place = _place(table)
    if not place.location:
        raise table.error("location", "missing")
    if by_digest and "pull-from-mirror" in table:
        raise table.error("pull-from-mirror", "not allowed with mirror-by-digest-only")
    return replace(place, use="digest-only") if by_digest else place


def _place(table: Table) -> Place:
    location = table.text("location").rstrip("/")
    if "://" in location:
        raise table.error("location", f"got {location!r}, wanted no scheme (see insecure)")
    use = table.text("pull-from-mirror") or _USES[0]
    if use not in _USES:
        raise table.error("pull-from-mirror", f"got {use!r}, wanted one of {', '.join(_USES)}")
    return Place(table, location, table.flag("insecure"), use)


def _aliases(table: Table) -> Iterator[tuple[str, str]]:
    """Each short name and the full one; an empty one takes an earlier file's back."""
    for name in table:
        if _has_registry(name):
            raise table.error(name, "wanted a short name, without a registry")
        if full := table.text(name):
            reference = _full(table, name, full)
            if f"{reference.registry}/{reference.repository}:latest" != reference.canonical:
                raise table.error(name, f"got {full!r}, wanted no tag and no digest")
            full = f"{reference.registry}/{reference.repository}"
        yield name, full or name


def _full(table: Table, key: str, text: str) -> Reference:
    """The reference that `text` spells, registry included."""
    if not _has_registry(text):
        raise table.error(key, f"{text!r} does not begin with a registry")
    try:
        return references.parse(text)
    except UsageError as error:
        raise table.error(key, error.message) from None


def _has_registry(name: str) -> bool:
    first, slash, _ = name.partition("/")
    return bool(slash) and (first == "localhost" or not set(".:").isdisjoint(first))


def _length(prefix: str, reference: Reference) -> int:
    """How much of the image's name the prefix stands for, 0 if it does not fit."""
    name = reference.canonical
    if prefix.startswith("*."):
        host = reference.registry.rpartition(":")[0] or reference.registry
        return len(host) if host.endswith(prefix[1:]) else 0
    rest = name[len(prefix) :]
    # A host with a port is another registry than the host without.
    ends = ("/", ":", "@") if "/" in prefix else ("/",)
    fits = name.startswith(prefix) and (not rest or rest.startswith(ends))
    return len(prefix) if fits else 0
