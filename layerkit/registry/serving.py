"""What a read-only registry answers to which request (distribution-spec, "Pull" and "Discovery")."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import quote, urlencode

from layerkit import digest as digests
from layerkit.digest import BlobDigest
from layerkit.oci import OCI_INDEX
from layerkit.registry import message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from layerkit.registry.message import Request

# distribution-spec, "Pulling manifests"; the longest name is that of distribution/reference.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_LONGEST_NAME = 255
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)
_ROUTE = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|referrers|tags)/(?P<item>[^/]+)")
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository that a client asks for, and the registry it means ("" if it does not say)."""

    name: str
    registry: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index to be sent."""

    media_type: str
    digest: BlobDigest
    raw: bytes


class Catalog(Protocol):
    """What there is to be served; None, or nothing in a list, is what is not there."""

    def repositories(self) -> Sequence[str]:
        """The names of all repositories."""

    def tags(self, repository: Repository) -> Sequence[str] | None:
        """The tags of a repository."""

    def documents(self, repository: Repository, reference: str | BlobDigest) -> Sequence[Document]:
        """The manifest or index with this tag or digest.

        Of a tag there may be several forms, and who does not accept the first gets the next.
        """

    def blob(self, repository: Repository, digest: BlobDigest) -> Path | None:
        """Where the blob is, if it belongs to an image of the repository."""

    def referrers(self, repository: Repository, subject: BlobDigest) -> Sequence[dict[str, Any]]:
        """The descriptors of the manifests that have this one as their subject."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is `body`, or `part` of `file`; who sends it closes the file."""

    status: HTTPStatus
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: BinaryIO | None = None
    part: range = range(0)

    @property
    def length(self) -> int:
        """The bytes of the body."""
        return len(self.body) if self.file is None else len(self.part)


def error(status: HTTPStatus, code: str, text: str, **headers: str) -> Answer:
    """A failure as the specification wants it told ("Error Codes")."""
    body = json.dumps({"errors": [{"code": code, "message": text}]}).encode()
    return Answer(status, {"Content-Type": _JSON, **headers}, body)


def answer(catalog: Catalog, request: Request) -> Answer:
    """The answer to one request."""
    if request.method not in ("GET", "HEAD"):
        text = f"{request.method} is not supported: this registry is read-only"
        return error(HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", text, Allow="GET, HEAD")
    if request.path in ("/v2", "/v2/"):
        return _json({})
    if request.path == "/v2/_catalog":
        return _list(request, {}, "repositories", catalog.repositories())
    match = _ROUTE.fullmatch(request.path)
    if match is None:
        return error(HTTPStatus.NOT_FOUND, "UNSUPPORTED", "there is nothing at this path")
    return _of_repository(catalog, request, *match.groups())


def _of_repository(catalog: Catalog, request: Request, name: str, kind: str, item: str) -> Answer:
    if _NAME.fullmatch(name) is None or len(name) > _LONGEST_NAME:
        return error(HTTPStatus.BAD_REQUEST, "NAME_INVALID", "invalid repository name")
    try:
        digest = None if kind == "tags" or _is_tag(kind, item) else _digest(item)
    except ValueError as problem:
        return error(HTTPStatus.BAD_REQUEST, "DIGEST_INVALID", str(problem))
    repository = Repository(name, request.query.get("ns", ""))
    tags = catalog.tags(repository)
    if tags is None or (kind == "tags" and item != "list"):
        return _unknown_name(repository)
    if kind == "tags":
        return _list(request, {"name": name}, "tags", tags)
    return _content(catalog, request, repository, kind, digest or item)


def _content(
    catalog: Catalog,
    request: Request,
    repository: Repository,
    kind: str,
    reference: str | BlobDigest,
) -> Answer:
    if kind == "manifests":
        return _manifest(request, catalog.documents(repository, reference), reference)
    assert not isinstance(reference, str)
    if kind == "blobs":
        return _blob(request, catalog.blob(repository, reference), reference)
    return _referrers(request, catalog.referrers(repository, reference))


def _is_tag(kind: str, item: str) -> bool:
    return kind == "manifests" and _TAG.fullmatch(item) is not None


def _digest(text: str) -> BlobDigest:
    digest = digests.parse(text)
    if digest.algorithm not in digests.ALGORITHMS:
        raise ValueError(f"unsupported digest algorithm {digest.algorithm[:100]}")
    return BlobDigest(digest)


def _unknown_name(repository: Repository) -> Answer:
    text = (
        f"no image of {repository.name} is here, or several registries have one "
        "and the request does not say which (?ns=REGISTRY)"
    )
    return error(HTTPStatus.NOT_FOUND, "NAME_UNKNOWN", text)


def _manifest(request: Request, forms: Sequence[Document], reference: str | BlobDigest) -> Answer:
    """The first form that the client accepts, else the last one: what to do with it is its matter."""
    if not forms:
        return error(HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", f"no manifest {reference} is here")
    accepted = (form for form in forms if message.accepts(request, form.media_type))
    document = next(accepted, forms[-1])
    headers = _validators(document.digest) | ({"Vary": "Accept"} if len(forms) > 1 else {})
    if message.knows(request, headers["ETag"]):
        return Answer(HTTPStatus.NOT_MODIFIED, headers)
    return Answer(HTTPStatus.OK, {"Content-Type": document.media_type, **headers}, document.raw)


def _blob(request: Request, path: Path | None, digest: BlobDigest) -> Answer:
    try:
        file = path.open("rb", buffering=0) if path is not None else None
    except FileNotFoundError:  # removed a moment ago
        file = None
    if file is None:
        return error(HTTPStatus.NOT_FOUND, "BLOB_UNKNOWN", f"no blob {digest} is here")
    headers = _validators(digest)
    if message.knows(request, headers["ETag"]):
        file.close()
        return Answer(HTTPStatus.NOT_MODIFIED, headers)
    size = os.fstat(file.fileno()).st_size
    part = message.wanted_range(request, size, headers["ETag"])
    headers |= {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    if part is None:
        return Answer(HTTPStatus.OK, headers, file=file, part=range(size))
    if not part:
        file.close()
        text = f"the blob has {size} bytes"
        total = {"Content-Range": f"bytes */{size}"}
        return error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "SIZE_INVALID", text, **total)
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, file=file, part=part)


def _validators(digest: BlobDigest) -> dict[str, str]:
    return {"Docker-Content-Digest": str(digest), "ETag": f'"{digest}"'}


def _referrers(request: Request, descriptors: Sequence[dict[str, Any]]) -> Answer:
    headers = {"Content-Type": OCI_INDEX}
    wanted = request.query.get("artifactType")
    if wanted is not None:
        descriptors = [each for each in descriptors if each.get("artifactType") == wanted]
        headers["OCI-Filters-Applied"] = "artifactType"
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(descriptors)}
    return _json(index, **headers)


def _list(request: Request, fixed: dict[str, str], key: str, names: Sequence[str]) -> Answer:
    """A list in ASCII order, of it at most `n` names behind `last`, and where the next ones are."""
    last = request.query.get("last", "")
    names = sorted(name for name in names if name > last)
    count = request.query.get("n", "")
    if count and _COUNT.fullmatch(count) is None:
        return error(HTTPStatus.BAD_REQUEST, "UNSUPPORTED", "n is not a number")
    page = names[: int(count)] if count else names
    headers = {}
    if page and len(page) < len(names):
        query = urlencode({**request.query, "last": page[-1]})
        headers["Link"] = f'<{quote(request.path)}?{query}>; rel="next"'
    return _json({**fixed, key: page}, **headers)


def _json(document: dict[str, Any], **headers: str) -> Answer:
    body = json.dumps(document).encode()
    return Answer(HTTPStatus.OK, {"Content-Type": _JSON, **headers}, body)
