"""Serve: the images of the store as a read-only registry, from which other tools pull them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeAlias

from layerkit import oci
from layerkit import reference as references
from layerkit.errors import LayerkitError, NotFoundError, UsageError
from layerkit.events import Notice
from layerkit.registry.server import Served, Server
from layerkit.registry.serving import Document, Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.oci import Index
    from layerkit.ops.home import Home
    from layerkit.reference import Reference
    from layerkit.store.records import ImageRecord, NameRecord

__all__ = ["HomeCatalog", "Served", "listen", "serve", "url"]

_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_LAST_PORT = 65535
_WAITING = 128

_Key: TypeAlias = tuple[str, str]
_Named: TypeAlias = "tuple[Reference, NameRecord]"


def listen(text: str, observe: Observer) -> socket.socket:
    """A socket that listens at `HOST:PORT`, to be closed by `with`; no host is every address.

    Warns where others than this machine can reach it. Raises `UsageError` for what is no address,
    `LayerkitError` where nobody can listen.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > _LAST_PORT:
        raise UsageError(f"invalid address {text!r}: wanted HOST:PORT, as 127.0.0.1:5000")
    host, port = match["ipv6"] or match["host"], int(match["port"])
    try:
        listener = _bound(host, port)
    except (OSError, UnicodeError) as error:
        raise LayerkitError(f"cannot listen at {text}: {_reason(error)}") from None
    if not _address(listener).is_loopback:
        where = f"{url(listener)} is open to the network, without a login"
        observe(Notice("warning", f"{where}: whoever reaches it can read every image here"))
    return listener


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError):
        return "not a host name"
    number = error.errno or 0  # negative: the resolver's
    return (os.strerror(number) if number > 0 else str(error.strerror)).lower()


def _bound(host: str, port: int) -> socket.socket:
    if not host:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        return socket.create_server(
            ("", port), family=family, backlog=_WAITING, dualstack_ipv6=both
        )
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family, backlog=_WAITING)


def _address(listener: socket.socket) -> Any:
    return ip_address(listener.getsockname()[0])


def url(listener: socket.socket) -> str:
    """Where clients find the registry."""
    address, port = _address(listener), listener.getsockname()[1]
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"  # noqa: PLR2004


def serve(
    home: Home,
    listener: socket.socket,
    log: Callable[[Served], None],
    *,
    ready: Callable[[], None],
    signals: Iterable[int],
) -> None:
    """Serve until one of the `signals` comes, which end it at once; `ready` is called before.

    Takes the signals of the process over, so it must run in the main thread if there are any.
    """

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in signals:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await Server(HomeCatalog(home), log).run(listener, ready)

    asyncio.run(run())


class HomeCatalog:
    """The named images of a state directory as repositories.

    A name is read as docker reads it, so `library/centos` and `centos` are those of Docker Hub and
    `quay.io/a/b` is that of quay.io. What is nothing then is the repository of any other registry,
    if only one has it: so `a/b` alone, and what came from `host:5000/a/b`.
    """

    def __init__(self, home: Home) -> None:
        self._store = home.store
        self._blobs = home.store.blobs

    def repositories(self) -> Sequence[str]:
        """The shortest name that means each repository."""
        held = self._held()
        names = []
        for registry, repository in held:
            for name in (repository, f"{registry}/{repository}"):
                if _meant(held, Repository(name)) == (registry, repository):
                    names.append(name)
                    break
        return names

    def tags(self, repository: Repository) -> Sequence[str] | None:
        """The tags of a repository, None where nothing is."""
        named = self._named(repository)
        found = [each.tag for each, _ in named if each.digest is None and each.tag]
        return found if named else None

    def documents(self, repository: Repository, reference: str | BlobDigest) -> Sequence[Document]:
        """The manifest or index with a digest; of a tag the index it came from, if its bytes are
        here, and the manifest.

        So a tag has the digest it has in its registry, though of an index not all is here.
        """
        named = self._named(repository)
        if isinstance(reference, str):
            tagged = (name for each, name in named if each.digest is None and each.tag == reference)
            wanted = [digest for name in tagged for digest in (name.target, name.manifest)]
        else:
            wanted = [reference] if self._holds(repository, reference) else []
        return [*filter(None, map(self._read, dict.fromkeys(wanted)))]

    def _holds(self, repository: Repository, digest: BlobDigest) -> bool:
        return any(
            image.manifest == digest for image in self._images(repository)
        ) or digest in self._indexes(repository)

    def blob(self, repository: Repository, digest: BlobDigest) -> Path | None:
        """Where the config or layer is, if an image of the repository has it."""
        known = any(
            digest == image.config or any(digest == layer.blob for layer in image.layers)
            for image in self._images(repository)
        )
        return self._blobs.path(digest) if known else None

    def referrers(self, repository: Repository, subject: BlobDigest) -> Sequence[dict[str, Any]]:
        """The images whose manifest has this subject (image-spec manifest.md)."""
        found = []
        for image in self._images(repository):
            manifest = json.loads(self._blobs.read(image.manifest, oci.DOCUMENT_LIMIT))
            if (manifest.get("subject") or {}).get("digest") == str(subject):
                found.append(_referrer(image, manifest))
        return found

    def _read(self, digest: BlobDigest) -> Document | None:
        image = self._store.database.image(digest)
        if image is None:
            index = self._store.indexes([digest]).get(digest)
            return None if index is None else Document(index.media_type, digest, index.raw)
        try:
            return Document(image.media_type, digest, self._blobs.read(digest, oci.DOCUMENT_LIMIT))
        except NotFoundError:
            return None

    def _images(self, repository: Repository) -> Iterator[ImageRecord]:
        """The images with a name in the repository, then what else is here of its indexes."""
        database = self._store.database
        named = dict.fromkeys(name.manifest for _, name in self._named(repository))
        yield from filter(None, map(database.image, named))
        indexes = self._indexes(repository).values()
        listed = dict.fromkeys(entry.digest for index in indexes for entry in index.manifests)
        yield from filter(None, (database.image(each) for each in listed if each not in named))

    def _indexes(self, repository: Repository) -> dict[BlobDigest, Index]:
        return self._store.indexes(name.target for _, name in self._named(repository))

    def _named(self, repository: Repository) -> list[_Named]:
        held = self._held()
        return held.get(_meant(held, repository), [])

    def _held(self) -> dict[_Key, list[_Named]]:
        held: dict[_Key, list[_Named]] = {}
        for name in self._store.database.names():
            reference = references.parse(name.name)
            held.setdefault((reference.registry, reference.repository), []).append(
                (reference, name)
            )
        return held


def _meant(held: dict[_Key, list[_Named]], repository: Repository) -> _Key:
    if repository.registry:
        return repository.registry, repository.name
    usual = ("", "")
    with contextlib.suppress(UsageError):  # 64 hex digits
        reference = references.parse(repository.name)
        usual = (reference.registry, reference.repository)
    others = [key for key in held if key[1] == repository.name]
    return others[0] if usual not in held and len(others) == 1 else usual


def _referrer(image: ImageRecord, manifest: dict[str, Any]) -> dict[str, Any]:
    kind = manifest.get("artifactType") or manifest["config"]["mediaType"]
    return {
        "mediaType": image.media_type,
        "digest": str(image.manifest),
        "size": image.manifest_size,
        "artifactType": kind,
        "annotations": manifest.get("annotations") or {},
    }
