"""The test registry with the rest of distribution-spec: uploads, mounts, tags, referrers.

    with UploadRegistry() as registry:
        registry.fault("/blobs/uploads/", only("PATCH", take(1000)), times=1)
        … push …
        assert registry.blob("app", digest) == data

It appends whatever a PATCH brings, as real ones do, and so is broken by a client that guesses.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from layerkit import oci
from support.registry import TestRegistry
from support.web import Body, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.faults import Fault
    from support.web import Answer, Request

_UPLOAD = re.compile(r"/v2/(?P<repository>.+)/blobs/uploads/(?P<id>[0-9]*)")
_MANIFEST = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<name>[^/]+)")
_TAGS = re.compile(r"/v2/(?P<repository>.+)/tags/list")
_REFERRERS = re.compile(r"/v2/(?P<repository>.+)/referrers/(?P<digest>[^/]+)")
_JSON = {"Content-Type": "application/json"}


@dataclass
class _Session:
    repository: str
    data: bytearray = field(default_factory=bytearray)


class UploadRegistry(TestRegistry):
    """Takes pushes.

    `locate` makes the Location of an upload's path; `mounts` is the status for a mount that could
    be done; `has_referrers` says whether subjects are understood; `page` is the most tags of a page.
    """

    def __init__(self, login: str = "", **more) -> None:
        super().__init__(login, **more)
        self.locate: Callable[[str], str] = lambda path: path
        self.mounts = 201
        self.has_referrers = False
        self.filters = False
        self.page = 1000
        self._sessions: dict[str, _Session] = {}
        self._numbers = itertools.count(1)

    def blob(self, repository: str, digest: object) -> bytes | None:
        """The bytes of a blob in a repository, None if it is not there."""
        return self._repository(repository).blobs.get(str(digest))

    def manifest(self, repository: str, name: str) -> tuple[str, bytes]:
        """Media type and bytes of a manifest by tag or digest."""
        held = self._repository(repository)
        return held.manifests[held.tags.get(name, name)]

    def said(self) -> list[str]:
        """Each request so far as its method and path, without what differs from run to run."""
        with self._lock:
            return [
                f"{each.method} {re.sub('uploads/[0-9]+', 'uploads/N', each.path)}"
                for each in self.requests
            ]

    def sent(self, method: str) -> list[str]:
        """The paths that were asked for with a method."""
        with self._lock:
            return [each.path for each in self.requests if each.method == method]

    def _login_wanted(self, request: Request, repository: str) -> Reply | None:
        if self.login != "bearer" or not repository:
            return super()._login_wanted(request, repository)
        actions = "pull" if request.method in {"GET", "HEAD"} else "pull,push"
        scopes = [f"repository:{repository}:{actions}"]
        scopes += [f"repository:{name}:pull" for name in _query(request, "from")]
        _, _, value = request.headers.get("Authorization", "").partition(" ")
        if self._tokens.get(value, "").startswith(scopes[0]):
            return None
        realm = self.realm or self.url + "/token"
        challenge = f'Bearer realm="{realm}",service="test",scope="{" ".join(scopes)}"'
        return Reply(401, {**_JSON, "WWW-Authenticate": challenge}, b"{}")

    def _serve(self, request: Request) -> Reply:
        for pattern, serve in (
            (_UPLOAD, self._upload),
            (_MANIFEST, self._put_manifest),
            (_TAGS, self._list_tags),
            (_REFERRERS, self._list_referrers),
        ):
            match = pattern.fullmatch(request.path)
            if match and (pattern is not _MANIFEST or request.method == "PUT"):
                refusal = self._login_wanted(request, match["repository"])
                return refusal or serve(request, *match.groups())
        return super()._serve(request)

    # -- blobs ------------------------------------------------------------------------------------

    def _upload(self, request: Request, repository: str, number: str) -> Reply:
        if not number:
            return self._begin(request, repository)
        session = self._sessions.get(number)
        if session is None or session.repository != repository:
            return _error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
        if request.method == "PUT":
            return self._end(request, number, session)
        if request.method == "PATCH":
            while piece := request.body.read(64 << 10):
                session.data += piece
            return self._state(202, repository, number)
        return self._state(204, repository, number)

    def _begin(self, request: Request, repository: str) -> Reply:
        for digest, source in zip(_query(request, "mount"), _query(request, "from"), strict=True):
            data = self._repository(source).blobs.get(digest)
            if self.mounts not in {201, 202}:
                return _error(self.mounts, "UNSUPPORTED", "no mounts here")
            if data is not None and self.mounts == 201:
                self._repository(repository).blobs[digest] = data
                return Reply(201, {"Docker-Content-Digest": digest})
        number = str(next(self._numbers))
        self._sessions[number] = _Session(repository)
        return self._state(202, repository, number)

    def _state(self, status: int, repository: str, number: str) -> Reply:
        path = f"/v2/{repository}/blobs/uploads/{number}"
        last = max(0, len(self._sessions[number].data) - 1)
        return Reply(status, {"Location": self.locate(path), "Range": f"0-{last}"})

    def _end(self, request: Request, number: str, session: _Session) -> Reply:
        session.data += request.body.read()
        (digest,) = _query(request, "digest") or [""]
        data = bytes(session.data)
        algorithm, _, encoded = digest.partition(":")
        if algorithm not in {"sha256", "sha512"} or (
            hashlib.new(algorithm, data).hexdigest() != encoded
        ):
            return _error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        del self._sessions[number]
        self._repository(session.repository).blobs[digest] = data
        return Reply(201, {"Docker-Content-Digest": digest})

    # -- documents --------------------------------------------------------------------------------

    def _put_manifest(self, request: Request, repository: str, name: str) -> Reply:
        raw = request.body.read()
        document = json.loads(raw)
        held = self._repository(repository)
        for each in [*document.get("layers", []), *filter(None, [document.get("config")])]:
            if each["digest"] not in held.blobs and not each.get("urls"):
                detail = {"digest": each["digest"]}
                return _error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", detail)
        tag = None if ":" in name else name
        if (etag := request.headers.get("If-Match")) and etag != f'"{held.tags.get(name)}"':
            return _error(412, "PRECONDITION_FAILED", "it changed")
        descriptor = self.add_manifest(repository, raw, request.headers["Content-Type"], tag)
        headers = {"Docker-Content-Digest": str(descriptor.digest)}
        if self.has_referrers and "subject" in document:
            headers["OCI-Subject"] = document["subject"]["digest"]
        return Reply(201, headers)

    def _list_tags(self, request: Request, repository: str) -> Reply:
        names = sorted(self._repository(repository).tags)
        if not names:
            return _error(404, "NAME_UNKNOWN", "repository name not known to registry")
        (last,) = _query(request, "last") or [""]
        rest = [name for name in names if name > last]
        shown, headers = rest[: self.page], dict(_JSON)
        if len(rest) > len(shown):
            headers["Link"] = f'<{self.locate(request.path)}?last={quote(shown[-1])}>; rel="next"'
        return Reply(200, headers, json.dumps({"name": repository, "tags": shown}).encode())

    def _list_referrers(self, request: Request, repository: str, digest: str) -> Reply:
        if not self.has_referrers:
            return Reply(404, {"Content-Type": "text/plain"}, b"404 page not found\n")
        found = []
        for name, (media_type, raw) in self._repository(repository).manifests.items():
            document = json.loads(raw)
            if name.startswith("sha256:") and document.get("subject", {}).get("digest") == digest:
                kind = document.get("artifactType", document.get("config", {}).get("mediaType"))
                found.append({
                    "mediaType": media_type,
                    "digest": name,
                    "size": len(raw),
                    "artifactType": kind,
                })  # fmt: skip
        index = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": found}
        return Reply(200, {"Content-Type": oci.OCI_INDEX}, json.dumps(index).encode())


def only(
    method: str, fault: Fault, times: int | None = None, otherwise: Fault | None = None
) -> Fault:
    """The fault for the first `times` requests (None: all) of one method, and for the others
    `otherwise`.
    """
    left = (
        itertools.repeat(1) if times is None else itertools.chain([1] * times, itertools.repeat(0))
    )

    def choose(request: Request, serve: Answer) -> Reply:
        if request.method == method and next(left):
            return fault(request, serve)
        return serve(request) if otherwise is None else otherwise(request, serve)

    return choose


def take(amount: int, *, reset: bool = False) -> Fault:
    """Take so many bytes of the body, and end the connection without an answer."""

    def cut(request: Request, serve: Answer) -> Reply:
        serve(replace(request, body=Body(request.body, min(amount, request.body.left))))
        return Reply(0, end="reset" if reset else "close")

    return cut


def silent(request: Request, _serve: Answer) -> Reply:
    """Take the whole body, and never answer."""
    request.body.read()
    return Reply(0, end="stall")


def _query(request: Request, name: str) -> list[str]:
    return parse_qs(request.query).get(name, [])


def _error(code: int, name: str, message: str, detail: object = None) -> Reply:
    body = json.dumps({"errors": [{"code": name, "message": message, "detail": detail}]})
    return Reply(code, dict(_JSON), body.encode())
