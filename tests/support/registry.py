"""A registry in this process: real HTTP on loopback, contents in memory, and faults on request.

    with TestRegistry() as registry:
        image = registry.add_image("app", "1", [tar])
        registry.fault("/blobs/", cut(1000), times=2)
        … f"{registry.host}/app:1" …
        assert registry.requests[0].path == "/v2/app/manifests/1"

It has what pulling needs of distribution-spec: manifests by tag and digest, blobs with ranges, and
the three ways to log in. It is strict where registries are: a manifest whose type the client does
not accept is not found.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import secrets
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

import zstandard
from msgspec import structs

from layerkit import digest as digests
from layerkit import oci
from layerkit.oci import Descriptor, Platform
from layerkit.registry import Limits
from support.faults import (
    chunked,
    cut,
    hang_up,
    ignore_range,
    more_bytes,
    redirect,
    stall,
    status,
    with_headers,
    wrong_bytes,
)
from support.web import Reply, Request, Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from support.faults import Fault

__all__ = [
    "LIMITS",
    "PASSWORD",
    "USERNAME",
    "Image",
    "Reply",
    "Request",
    "TestRegistry",
    "chunked",
    "compress",
    "cut",
    "hang_up",
    "ignore_range",
    "more_bytes",
    "redirect",
    "stall",
    "status",
    "with_headers",
    "wrong_bytes",
]

LIMITS = Limits(connect=5, read=20, attempts=3, first_wait=0.001, longest_wait=5)
"""The little patience of a client whose registry is on loopback."""

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
USERNAME = "user"
PASSWORD = "secret-of-the-test"

_MANIFEST = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<name>[^/]+)")
_BLOB = re.compile(r"/v2/(?P<repository>.+)/blobs/(?P<name>[^/]+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Image:
    """What `add_image` put into the registry."""

    descriptor: Descriptor
    raw: bytes
    config: Descriptor
    layers: tuple[Descriptor, ...]
    diff_ids: tuple[str, ...]


@dataclass
class _Repository:
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class _Fault:
    path: re.Pattern[str]
    fault: Fault
    left: int | None


class TestRegistry:
    """A registry that serves while the `with` block runs.

    `login` is "" (everybody may pull), "basic", or "bearer" with a token server at `/token` that
    gives tokens to anybody (`anonymous`) or only for the right name and password, or to a POST for
    an identity token in `identity_tokens`. `tls` makes it serve https.
    """

    __test__ = False  # not a test class, whatever its name says

    def __init__(
        self,
        login: str = "",
        *,
        anonymous: bool = True,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.login = login
        self.anonymous = anonymous
        self.requests: list[Request] = []
        self.realm = ""  # "" is this registry's own token server
        self.token_fields: dict[str, Any] = {"expires_in": 300}
        self.identity_tokens: set[str] = set()
        self._tokens: dict[str, str] = {}
        self._repositories: dict[str, _Repository] = {}
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
        self._server = Server(self.answer, address, port, tls)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="registry"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.close()
        self._thread.join()

    @property
    def host(self) -> str:
        """The host and port, as in an image name."""
        address, port = self._server.server_address[:2]
        return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"

    @property
    def url(self) -> str:
        """The origin, as in a redirect."""
        return f"{self._server.scheme}://{self.host}"

    @property
    def connections(self) -> int:
        """How many connections clients have opened so far."""
        return self._server.connections

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._server.numbers)

    def paths(self, pattern: str = "") -> list[str]:
        """The paths asked for so far in which `pattern` (a regular expression) is found."""
        with self._lock:
            return [request.path for request in self.requests if re.search(pattern, request.path)]

    def fault(self, pattern: str, fault: Fault, times: int | None = None) -> None:
        """Let `fault` answer the next `times` requests (None: all) whose path has `pattern` in it."""
        with self._lock:
            self._faults.append(_Fault(re.compile(pattern), fault, times))

    def forget_tokens(self) -> None:
        """Accept none of the tokens given out so far."""
        self._tokens.clear()

    def add_blob(self, repository: str, data: bytes, media_type: str = "") -> Descriptor:
        """Hold these bytes as a blob."""
        digest = digests.of_bytes(data)
        self._repository(repository).blobs[str(digest)] = data
        return Descriptor(media_type or "application/octet-stream", digest, len(data))

    def add_manifest(
        self, repository: str, raw: bytes, media_type: str, tag: str | None = None
    ) -> Descriptor:
        """Hold these bytes as a manifest or index, under its digests and `tag`."""
        held = self._repository(repository)
        digest = digests.of_bytes(raw)
        for name in (str(digest), f"sha512:{hashlib.sha512(raw).hexdigest()}"):
            held.manifests[name] = (media_type, raw)
        if tag is not None:
            held.tags[tag] = str(digest)
        return Descriptor(media_type, digest, len(raw))

    def add_image(
        self,
        repository: str,
        tag: str | None,
        layers: Sequence[bytes],
        config: Mapping[str, Any] | None = None,
        *,
        compression: str = "gzip",
        docker: bool = False,
    ) -> Image:
        """Hold an image of these layer tars; `config` goes over a default one.

        `compression` is "gzip", "zstd" or "" for plain tars; `docker` takes docker's media types.
        """
        layer_type = _layer_type(compression, docker=docker)
        blobs = [
            self.add_blob(repository, compress(tar, compression), layer_type) for tar in layers
        ]
        diff_ids = tuple(str(digests.of_bytes(tar)) for tar in layers)
        described = self.add_blob(
            repository,
            json.dumps({**_default_config(diff_ids), **(config or {})}).encode(),
            oci.DOCKER_CONFIG if docker else oci.OCI_CONFIG,
        )
        media_type = oci.DOCKER_MANIFEST if docker else oci.OCI_MANIFEST
        raw = _document(media_type, config=_wire(described), layers=[_wire(blob) for blob in blobs])
        descriptor = self.add_manifest(repository, raw, media_type, tag)
        return Image(descriptor, raw, described, tuple(blobs), diff_ids)

    def add_index(
        self,
        repository: str,
        tag: str | None,
        images: Mapping[str, Descriptor],
        *,
        docker: bool = False,
    ) -> Descriptor:
        """Hold an index of manifests by platform (`linux/arm/v7`)."""
        media_type = oci.DOCKER_INDEX if docker else oci.OCI_INDEX
        entries = [
            _wire(structs.replace(descriptor, platform=Platform(*platform.split("/"))))
            for platform, descriptor in images.items()
        ]
        return self.add_manifest(
            repository, _document(media_type, manifests=entries), media_type, tag
        )

    def answer(self, request: Request) -> Reply:
        """The reply to `request`, which goes into the log, after faults."""
        with self._lock:
            self.requests.append(request)
            faults = [fault for fault in self._faults if fault.path.search(request.path)]
            fault = next((fault for fault in faults if fault.left != 0), None)
            if fault is not None and fault.left is not None:
                fault.left -= 1
        return self._serve(request) if fault is None else fault.fault(request, self._serve)

    def _repository(self, name: str) -> _Repository:
        return self._repositories.setdefault(name, _Repository())

    def _serve(self, request: Request) -> Reply:
        if request.path == "/token":
            return self._token(request)
        manifest, blob = _MANIFEST.fullmatch(request.path), _BLOB.fullmatch(request.path)
        match = manifest or blob
        refusal = self._login_wanted(request, match["repository"] if match else "")
        if refusal is not None:
            return refusal
        if match is None:
            known = request.path == "/v2/"
            return Reply(200, {}, b"{}") if known else Reply(404, {}, b"404 page not found\n")
        held = self._repositories.get(match["repository"], _Repository())
        if manifest:
            return _manifest_reply(request, held, manifest["name"])
        return _blob_reply(request, held, match["name"])

    def _login_wanted(self, request: Request, repository: str) -> Reply | None:
        """The refusal of a request without the right Authorization."""
        scope = f"repository:{repository}:pull" if repository else ""
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        if self.login == "basic" and not (kind == "Basic" and _is_right(value)):
            return _unauthorized('Basic realm="test"')
        if self.login == "bearer" and not (kind == "Bearer" and self._tokens.get(value) == scope):
            realm = f'Bearer realm="{self.realm or self.url + "/token"}",service="test"'
            return _unauthorized(f'{realm},scope="{scope}"' if repository else realm)
        return None

    def _token(self, request: Request) -> Reply:
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        request.form = request.body.read().decode()
        form = parse_qs(request.form or request.query)
        right = _is_right(value) if kind == "Basic" else self.anonymous
        if request.method == "POST":
            right = form.get("refresh_token", [""])[0] in self.identity_tokens
        if not right:
            return Reply(401, _JSON, b'{"details": "incorrect username or password"}')
        token = secrets.token_urlsafe()
        self._tokens[token] = form.get("scope", [""])[0]
        return Reply(200, _JSON, json.dumps({"token": token, **self.token_fields}).encode())


def compress(tar: bytes, compression: str) -> bytes:
    """A layer tar as its blob, the same bytes each time."""
    match compression:
        case "gzip":
            return gzip.compress(tar, mtime=0)
        case "zstd":
            return zstandard.compress(tar)
        case "":
            return tar
    raise ValueError(f"unknown compression {compression!r}")


_JSON = {"Content-Type": "application/json"}


def _error(code: int, name: str, message: str) -> Reply:
    body = json.dumps({"errors": [{"code": name, "message": message, "detail": None}]})
    return Reply(code, dict(_JSON), body.encode())


def _unauthorized(challenge: str) -> Reply:
    reply = _error(401, "UNAUTHORIZED", "authentication required")
    return replace(reply, headers={**reply.headers, "WWW-Authenticate": challenge})


def _is_right(basic: str) -> bool:
    return base64.b64decode(basic) == f"{USERNAME}:{PASSWORD}".encode()


def _manifest_reply(request: Request, held: _Repository, name: str) -> Reply:
    digest = held.tags.get(name, name)
    media_type, raw = held.manifests.get(digest, ("", b""))
    accepted = [item.strip() for item in request.headers.get("Accept", "").split(",")]
    if media_type not in accepted:
        return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
    return Reply(200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, raw)


def _blob_reply(request: Request, held: _Repository, name: str) -> Reply:
    data = held.blobs.get(name)
    if data is None:
        return _error(404, "BLOB_UNKNOWN", "blob unknown to registry")
    headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": name}
    asked = _RANGE.fullmatch(request.range)
    if asked is None:
        return Reply(200, headers, data)
    start, end = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
    if start >= len(data):
        return Reply(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
    headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
    return Reply(206, headers, data[start : end + 1])


def _layer_type(compression: str, *, docker: bool) -> str:
    if not compression:
        return DOCKER_LAYER if docker else OCI_LAYER
    return f"{DOCKER_LAYER}.{compression}" if docker else f"{OCI_LAYER}+{compression}"


def _default_config(diff_ids: Sequence[str]) -> dict[str, Any]:
    return {
        "created": "2001-09-09T01:46:40Z",
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": [{"created_by": f"layer {number}"} for number in range(len(diff_ids))],
    }


def _document(media_type: str, **fields: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, **fields}).encode()


def _wire(descriptor: Descriptor) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }
    platform = descriptor.platform
    if platform is not None:
        parts = {"architecture": platform.architecture, "os": platform.os}
        wire["platform"] = {**parts, "variant": platform.variant} if platform.variant else parts
    return wire
