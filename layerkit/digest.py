"""Digests as values: parsed once, then compared, hashed and printed; a `str` is never a digest.

Three kinds of digest name three different things over the same bits, so each has its own type:

* `BlobDigest` names the bytes as a registry stores them (manifest, config, compressed layer);
* `DiffID` names the uncompressed layer tar (image-spec config.md, "Layer DiffID");
* `ChainID` names a stack of layers (image-spec config.md, "Layer ChainID").
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

from layerkit.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import ReadableBuffer

# image-spec descriptor.md, "Digests": the grammar, and the registered algorithms with their length.
_GRAMMAR = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)", re.ASCII)
_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)

ALGORITHMS = tuple(_HEX_LENGTH)
"""The algorithms that content can be verified with."""


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm and the encoded hash; `str()` gives the canonical `sha256:…` form."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @property
    def short(self) -> str:
        """The first 12 characters, as docker prints ids."""
        return self.hex[:12]


BlobDigest = NewType("BlobDigest", Digest)
DiffID = NewType("DiffID", Digest)
ChainID = NewType("ChainID", Digest)


def parse(text: str) -> Digest:
    """The digest that `text` spells; `ValueError` says why it is none.

    An algorithm that is not registered parses (image-spec descriptor.md lets it), but nothing can
    be verified with it: `Verifier` refuses it.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid digest {text[:100]!r}: wanted algorithm:hex")
    algorithm, encoded = match.groups()
    wanted = _HEX_LENGTH.get(algorithm)
    if wanted is not None and (len(encoded) != wanted or _HEX.fullmatch(encoded) is None):
        raise ValueError(f"invalid digest {text[:100]!r}: wanted {wanted} lower-case hex digits")
    return Digest(algorithm, encoded)


def of_bytes(data: ReadableBuffer) -> BlobDigest:
    """The sha256 digest of `data`."""
    return BlobDigest(Digest("sha256", hashlib.sha256(data).hexdigest()))


def chain_ids(diff_ids: Iterable[DiffID]) -> list[ChainID]:
    """The ChainID of each stack `diff_ids[:1]`, `diff_ids[:2]`, … (image-spec config.md).

    `ChainID(L0) = DiffID(L0)`; `ChainID(L0|…|Ln) = sha256(ChainID(L0|…|Ln-1) + " " + DiffID(Ln))`.
    """
    chain: list[ChainID] = []
    for diff_id in diff_ids:
        below = chain[-1] if chain else None
        named = diff_id if below is None else of_bytes(f"{below} {diff_id}".encode())
        chain.append(ChainID(named))
    return chain


class Hasher:
    """Counts and hashes bytes as they pass, to learn their sha256 digest."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0

    def update(self, chunk: ReadableBuffer) -> None:
        """Take the next bytes."""
        self.count += memoryview(chunk).nbytes
        self._hash.update(chunk)

    def digest(self) -> BlobDigest:
        """The digest of all bytes so far."""
        return BlobDigest(Digest("sha256", self._hash.hexdigest()))


class Verifier:
    """Counts and hashes bytes as they pass, and refuses them unless they are the promised ones.

    `what` names the bytes in messages; `size` is their promised number, None where nobody promised
    one. Raises `IntegrityError` for an algorithm nobody here can compute, as soon as more than
    `size` bytes came, and from `finish` for a short or different content: size first, then digest
    (image-spec descriptor.md, "Verification").
    """

    def __init__(self, what: str, digest: Digest, size: int | None) -> None:
        if digest.algorithm not in _HEX_LENGTH:
            raise IntegrityError(
                f"cannot verify {what}: unsupported digest algorithm {digest.algorithm}, "
                f"wanted one of {', '.join(_HEX_LENGTH)}"
            )
        self._what = what
        self._wanted = digest
        self._size = size
        self._hash = hashlib.new(digest.algorithm)
        self.count = 0

    def update(self, chunk: ReadableBuffer) -> None:
        """Take the next bytes."""
        self.count += memoryview(chunk).nbytes
        if self._size is not None and self.count > self._size:
            raise IntegrityError(
                f"wrong size of {self._what}: got more than the promised {self._size} bytes"
            )
        self._hash.update(chunk)

    def finish(self) -> None:
        """Check that all promised bytes came and that they are the promised ones."""
        if self._size is not None and self.count != self._size:
            raise IntegrityError(
                f"wrong size of {self._what}: got {self.count} bytes, wanted {self._size}"
            )
        got = self._hash.hexdigest()
        if got != self._wanted.hex:
            raise IntegrityError(
                f"wrong digest of {self._what}: got {self._wanted.algorithm}:{got}, "
                f"wanted {self._wanted}"
            )


def verify(what: str, digest: Digest, size: int | None, data: ReadableBuffer) -> None:
    """Raise `IntegrityError` unless `data` has this size and digest."""
    verifier = Verifier(what, digest, size)
    verifier.update(data)
    verifier.finish()
