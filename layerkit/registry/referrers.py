"""What is attached to a manifest (distribution-spec "Listing Referrers"): signatures, SBOMs, ….

Where the registry does not list them itself, its clients keep an index of them under a tag that
is made of the digest ("Referrers Tag Schema").
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from layerkit import digest as digests
from layerkit import oci, strictjson
from layerkit.errors import DocumentError, NotFoundError, RegistryError, UnavailableError
from layerkit.registry import listing, push
from layerkit.registry.challenge import PUSH
from layerkit.registry.transport import Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.digest import Digest
    from layerkit.oci import Descriptor
    from layerkit.reference import Reference
    from layerkit.registry.answer import Answer
    from layerkit.registry.client import Client

_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9._-]", re.ASCII)
_EMPTY = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": []}


def referrers(
    client: Client, reference: Reference, digest: Digest, artifact_type: str = ""
) -> list[Descriptor]:
    """The manifests in the reference's repository whose subject has this digest.

    With `artifact_type`, only those of that type. Raises `RegistryError` and its kinds.
    """
    found: dict[Digest, Descriptor] = {}
    for index in _indexes(client, reference, digest, artifact_type):
        found.update({each.digest: each for each in index.manifests})
        listing.check_number(len(found), f"referrers of {digest}")
    # Not every registry filters, and those that do need not say so.
    return [each for each in found.values() if artifact_type in ("", each.artifact_type)]


def fallback_tag(digest: Digest) -> str:
    """The tag under which clients keep the referrers of a manifest."""
    return _NOT_IN_TAG.sub("-", f"{digest.algorithm[:32]}-{digest.hex[:64]}")


def record(
    client: Client, reference: Reference, media_type: str, raw: bytes, answer: Answer
) -> None:
    """After a manifest was pushed, list it with its subject unless the registry does.

    `answer` is that of `push.push_manifest`. Raises as that does.
    """
    subject = _subject(raw)
    if subject is not None and not answer.header("OCI-Subject"):
        entry = _entry(media_type, raw)
        tag = fallback_tag(subject)
        client.repeat(lambda: _append(client, reference, tag, entry))


def _indexes(
    client: Client, reference: Reference, digest: Digest, artifact_type: str
) -> Iterable[oci.Index]:
    query = f"?{urlencode({'artifactType': artifact_type})}" if artifact_type else ""
    what = f"referrers of {digest}"
    pages = listing.pages(
        client, reference, f"referrers/{digest}{query}", what, accept=oci.OCI_INDEX
    )
    try:
        first = _index(next(pages))
    except UnavailableError:
        raise
    except (RegistryError, NotFoundError, DocumentError):
        # No such list, a page for people, a login: all of them mean that it is not supported.
        return _fallback(client, reference, digest)
    return itertools.chain([first], map(_index, pages))


def _fallback(client: Client, reference: Reference, digest: Digest) -> list[oci.Index]:
    tagged = replace(reference, tag=fallback_tag(digest), digest=None)
    try:
        _, raw = client.resolve_document(tagged)
    except NotFoundError:
        return []
    return [_index(raw)]


def _index(raw: bytes) -> oci.Index:
    document = oci.parse_document(raw, "")
    if not isinstance(document, oci.Index):
        raise DocumentError("invalid list of referrers: not an index")
    return document


def _subject(raw: bytes) -> Digest | None:
    """The digest of what a manifest is attached to."""
    subject = _document(raw).get("subject")
    if subject is None:
        return None
    try:
        return digests.parse(subject["digest"])
    except (TypeError, KeyError, ValueError):
        raise DocumentError("invalid manifest: its subject has no digest") from None


def _entry(media_type: str, raw: bytes) -> dict[str, Any]:
    """How an index of referrers describes a manifest."""
    document = _document(raw)
    entry: dict[str, Any] = {
        "mediaType": media_type,
        "digest": str(digests.of_bytes(raw)),
        "size": len(raw),
    }
    config = document.get("config")
    own_type = config.get("mediaType") if isinstance(config, dict) else None
    entry["artifactType"] = document.get("artifactType") or own_type or ""
    if document.get("annotations"):
        entry["annotations"] = document["annotations"]
    return entry


def _append(client: Client, reference: Reference, tag: str, entry: dict[str, Any]) -> None:
    """Add an entry to the index under a tag, unless it is there; raises `UnavailableError` if
    somebody else changed the index meanwhile.
    """
    index, etag = _read(client, reference, tag)
    listed = index.get("manifests")
    if not isinstance(listed, list):
        raise RegistryError(f"tag {tag} of {reference.familiar_repository} is no index")
    if any(isinstance(each, dict) and each.get("digest") == entry["digest"] for each in listed):
        return
    raw = json.dumps({**index, "manifests": [*listed, entry]}, separators=(",", ":")).encode()
    push.push_manifest(client, reference, tag, oci.OCI_INDEX, raw, etag)


def _read(client: Client, reference: Reference, tag: str) -> tuple[dict[str, Any], str]:
    """The index under a tag, an empty one where there is none, and what its version is called."""
    what = f"referrers in {reference.familiar_repository}:{tag}"
    request = Request(client.url(reference, f"manifests/{tag}"), {"Accept": oci.OCI_INDEX})
    missing = (HTTPStatus.NOT_FOUND,)
    with client.ask(reference, request, what, also=missing, access=PUSH) as answer:
        if answer.status == HTTPStatus.NOT_FOUND:
            return _EMPTY, ""
        return _document(answer.read_past(oci.DOCUMENT_LIMIT)), answer.header("ETag")


def _document(raw: bytes) -> dict[str, Any]:
    try:
        return strictjson.parse_object(raw, oci.DOCUMENT_LIMIT)
    except ValueError as error:
        raise DocumentError(f"invalid manifest: {error}") from None
