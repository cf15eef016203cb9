"""One layer of an image in a registry: streamed, verified, its entries kept and hardly a byte more."""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from functools import partial
from typing import TYPE_CHECKING

from layerkit.digest import Verifier
from layerkit.errors import ArchiveError, IntegrityError, UnavailableError
from layerkit.events import LayerProgress, Phase
from layerkit.layer import archive, compression
from layerkit.layer.forward import ForwardReader
from layerkit.ops import content
from layerkit.ops.inside import LayerInfo
from layerkit.ops.together import go_on
from layerkit.registry import retry
from layerkit.tree import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from layerkit.digest import DiffID
    from layerkit.events import Observer
    from layerkit.limits import Limits
    from layerkit.oci import Descriptor
    from layerkit.ops.together import Check
    from layerkit.reference import Reference
    from layerkit.registry import Client

KEPT_SIZE = 8 << 20
"""The most bytes of a layer's files that are kept as they go by; larger ones are fetched again."""


class Source:
    """Where the blobs of one image come from."""

    def __init__(
        self, client: Client, reference: Reference, limits: Limits, observe: Observer
    ) -> None:
        self.limits = limits
        self._client = client
        self._reference = reference
        self._observe = observe

    def blob(self, descriptor: Descriptor, check: Check) -> Generator[bytes]:
        """The bytes of a blob; a transfer that breaks is gone on with. Verified at the end.

        `check` is called before each piece; what it raises ends the transfer.
        """
        verifier = Verifier(f"blob {descriptor.digest}", descriptor.digest, descriptor.size)
        attempt = 1
        while verifier.count < descriptor.size:
            start = verifier.count
            try:
                for chunk in self._from(descriptor, start):
                    check()
                    verifier.update(chunk)
                    self._tell(descriptor, verifier.count)
                    yield chunk
            except UnavailableError as error:
                attempt = 1 if verifier.count > start else attempt + 1
                limits = self._client.limits
                pause = retry.wait(attempt, error.retry_after, limits, random.random())  # noqa: S311
                if pause is None:
                    raise
                time.sleep(pause)
        verifier.finish()

    def _tell(self, descriptor: Descriptor, done: int) -> None:
        self._observe(LayerProgress(descriptor.digest, Phase.DOWNLOAD, done, descriptor.size))

    def _from(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        with self._client.open_blob(self._reference, descriptor, start) as stream:
            unwanted = start - stream.offset  # where the registry knows no ranges
            for chunk in stream:
                if len(chunk) > unwanted:
                    yield chunk[unwanted:]
                unwanted = max(0, unwanted - len(chunk))


def _verified(
    chunks: Iterator[bytes], diff_id: DiffID, check: Callable[[int], None]
) -> Iterator[bytes]:
    verifier = Verifier(f"layer {diff_id} (unpacked)", diff_id, None)
    for chunk in chunks:
        verifier.update(chunk)
        check(verifier.count)
        yield chunk
    verifier.finish()


class RemoteLayer:
    """One layer of a registry's image: once read, its entries are kept, and hardly a byte more."""

    def __init__(
        self, source: Source, descriptor: Descriptor, diff_id: DiffID, *, comparable: bool
    ) -> None:
        self.info = LayerInfo(descriptor.digest, diff_id, descriptor.size)
        self._source = source
        self._descriptor = descriptor
        self._comparable = comparable
        self._entries: list[Entry] | None = None
        self._kept: dict[int, bytes] = {}
        self._hashes: dict[int, bytes] = {}

    def entries(self, check: Check = go_on) -> list[Entry]:
        """All entries in their order; `check` is called now and then while they are read."""
        return self.visit(_want_nothing, check)

    def visit(self, wants: Callable[[Entry], bool], check: Check = go_on) -> list[Entry]:
        """As `entries`, each shown to `wants`; a small file that it wants is kept as it goes by."""
        if self._entries is None:
            self._entries = self._read(wants, check)
        else:
            for entry in self._entries:
                wants(entry)
        return self._entries

    def _read(self, wants: Callable[[Entry], bool], check: Check) -> list[Entry]:
        entries = []
        limit = self._source.limits.entries
        with self._pass(check) as tar:
            for entry in archive.read(tar.read_at, _no_warning, limit=limit):
                entries.append(entry)
                wanted = wants(entry)
                if entry.kind is not Kind.FILE:
                    continue
                if self._comparable:
                    self._hashes[entry.data] = _hashed(entry, tar)
                elif wanted and entry.size <= KEPT_SIZE:
                    self._keep(entry, tar)
            tar.drain()
        return entries

    def _keep(self, entry: Entry, tar: ForwardReader) -> None:
        self._kept[entry.data] = b"".join(content.whole(entry, tar.read_at))
        while sum(map(len, self._kept.values())) > KEPT_SIZE:
            del self._kept[next(iter(self._kept))]

    def content(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file; costs a pass of its own where they were not kept."""
        if entry.data in self._kept:
            yield self._kept[entry.data]
            return
        with self._pass(go_on) as tar:
            yield from content.whole(entry, tar.read_at)

    def hash(self, entry: Entry) -> bytes:
        """What the stored bytes of a file hash to; only of a `comparable` layer."""
        return self._hashes[entry.data]

    @contextlib.contextmanager
    def _pass(self, check: Check) -> Iterator[ForwardReader]:
        """The layer's tar from its start, forward only; leaving the block ends the transfer."""
        with contextlib.closing(self._source.blob(self._descriptor, check)) as blob, self.named():
            bound = partial(self._source.limits.check_unpacked, blob_size=self._descriptor.size)
            yield ForwardReader(_verified(compression.inflate(blob), self.info.diff_id, bound))

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Let errors about the content say which layer it is of."""
        short = self.info.blob.short
        try:
            yield
        except ArchiveError as error:
            raise ArchiveError(f"bad layer {short}: {error}", hint=error.hint) from None
        except IntegrityError as error:
            raise IntegrityError(f"bad layer {short}: {error}", hint=error.hint) from None


def _hashed(entry: Entry, tar: ForwardReader) -> bytes:
    hashed = hashlib.sha256()
    for piece in content.stored(entry, tar.read_at):
        hashed.update(piece)
    return hashed.digest()


def _want_nothing(_entry: Entry) -> bool:
    return False


def _no_warning(_text: str) -> None:
    """What is left out of a layer is told when it is pulled."""
