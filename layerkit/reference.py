"""Image names as docker reads them: `[registry/]repository[:tag][@digest]`.

The grammar is that of distribution/reference, with docker's defaults: no registry is Docker Hub, one
word there is an official image (`library/`), neither tag nor digest is the tag `latest`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

from layerkit import digest as digests
from layerkit.digest import BlobDigest
from layerkit.errors import UsageError

_HUB = "docker.io"
_HUB_BEFORE = "index.docker.io"  # how docker called its Hub in old names
_HUB_HOST = "registry-1.docker.io"
_OFFICIAL = "library/"
_DEFAULT_TAG = "latest"
_LONGEST_REPOSITORY = 255
_LONGEST_TAG = 128
_LAST_PORT = 65535

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_NOT_IN_REPOSITORY = re.compile(r"[^a-z0-9._/-]", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?P<ipv6>[0-9A-Fa-f:]+)\])(?::(?P<port>[0-9]+))?", re.ASCII
)
_IMAGE_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a registry, every part spelled out; with a digest, `tag` is for display only."""

    registry: str
    repository: str
    tag: str | None
    digest: BlobDigest | None

    def __str__(self) -> str:
        return self.canonical

    @property
    def canonical(self) -> str:
        """The full name: `docker.io/library/centos:7`."""
        return f"{self.registry}/{self.repository}{self._suffix}"

    @property
    def identity(self) -> str:
        """The name an image is kept under: with a digest, that alone says which image it is."""
        if self.digest is None:
            return self.canonical
        return f"{self.registry}/{self.repository}@{self.digest}"

    @property
    def familiar(self) -> str:
        """The short name that docker shows: `centos:7`."""
        return f"{self.familiar_repository}{self._suffix}"

    @property
    def familiar_repository(self) -> str:
        """The short name without tag and digest, in full where the short one would read as another."""
        full = f"{self.registry}/{self.repository}"
        if self.registry != _HUB:
            return full
        short = self.repository
        if short.count("/") == 1:
            short = short.removeprefix(_OFFICIAL)
        return short if _reads_as_on_hub(short) else full

    @property
    def host(self) -> str:
        """The host, and the port if one is given, that serves the registry."""
        return _HUB_HOST if self.registry == _HUB else self.registry

    @property
    def _suffix(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        return tag if self.digest is None else f"{tag}@{self.digest}"


def parse(text: str) -> Reference:
    """The reference that `text` spells; raises `UsageError` with the exact reason."""
    try:
        return _parse(text)
    except ValueError as error:
        shown = repr(text if len(text) <= _LONGEST_REPOSITORY else text[:100] + "…")
        raise UsageError(f"invalid image name {shown}: {error}") from None


def is_tag(text: str) -> bool:
    """Whether `text` can stand behind the colon of a name."""
    return len(text) <= _LONGEST_TAG and _TAG.fullmatch(text) is not None


def _parse(text: str) -> Reference:
    _refuse_other_things(text)
    name, at, digest_text = text.partition("@")
    registry, path = _split_registry(name)
    repository, colon, tag = path.partition(":")
    _check_registry(registry)
    if registry == _HUB and repository and "/" not in repository:
        repository = _OFFICIAL + repository
    _check_repository(repository)
    if colon:
        _check_tag(tag)
    digest = _digest(digest_text) if at else None
    if digest is None and not tag:
        tag = _DEFAULT_TAG
    return Reference(registry, repository, tag or None, digest)


def _refuse_other_things(text: str) -> None:
    if not text:
        raise ValueError("it is empty")
    if "://" in text:
        raise ValueError("it is a URL, wanted a name without a scheme")
    if _IMAGE_ID.fullmatch(text):
        raise ValueError("64 hexadecimal digits are an image id")


def _split_registry(name: str) -> tuple[str, str]:
    """The registry that `name` begins with, the Hub if with none, and the rest."""
    first, slash, rest = name.partition("/")
    if not slash or not (first == "localhost" or set(".:") & set(first) or first != first.lower()):
        return _HUB, name
    return (_HUB if first == _HUB_BEFORE else first), rest


def _reads_as_on_hub(short: str) -> bool:
    return _split_registry(short) == (_HUB, short) and not _IMAGE_ID.fullmatch(short)


def _check_registry(registry: str) -> None:
    match = _REGISTRY.fullmatch(registry)
    if match is None:
        raise ValueError(f"{registry!r} is not a registry host")
    if match["ipv6"]:
        IPv6Address(match["ipv6"])
    if int(match["port"] or 0) > _LAST_PORT:
        raise ValueError(f"port {match['port']} is higher than {_LAST_PORT}")


def _check_repository(repository: str) -> None:
    if not repository:
        raise ValueError("the repository is missing")
    if repository != repository.lower():
        raise ValueError("repository must be lower case")
    if len(repository) > _LONGEST_REPOSITORY:
        raise ValueError(
            f"repository has {len(repository)} characters, at most {_LONGEST_REPOSITORY} allowed"
        )
    bad = _NOT_IN_REPOSITORY.search(repository)
    if bad:
        raise ValueError(f"character {bad[0]!r} is not allowed in a repository")
    if _REPOSITORY.fullmatch(repository) is None:
        raise ValueError(
            "each part of a repository is letters and digits, with one '.', one or two '_', "
            "or any number of '-' between them"
        )


def _check_tag(tag: str) -> None:
    if not tag:
        raise ValueError("the tag is empty")
    if len(tag) > _LONGEST_TAG:
        raise ValueError(f"tag has {len(tag)} characters, at most {_LONGEST_TAG} allowed")
    if _TAG.fullmatch(tag) is None:
        raise ValueError(
            f"tag {tag!r} must be letters, digits, '_', '.' and '-', the first no '.' or '-'"
        )


def _digest(text: str) -> BlobDigest:
    digest = digests.parse(text)
    if digest.algorithm not in digests.ALGORITHMS:
        raise ValueError(
            f"digest algorithm {digest.algorithm} is not supported, "
            f"wanted one of {', '.join(digests.ALGORITHMS)}"
        )
    return BlobDigest(digest)
