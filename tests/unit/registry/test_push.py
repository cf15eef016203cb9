"""A blob reaches the registry once, byte for byte, whatever happens on the way."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import CancelledError
from urllib.parse import parse_qs

import pytest
from support.faults import hang_up, redirect, status, with_headers
from support.registry import PASSWORD, USERNAME
from support.uploads import UploadRegistry, only, take

from layerkit import digest as digests
from layerkit import oci
from layerkit.digest import BlobDigest, Digest
from layerkit.errors import (
    AuthError,
    IntegrityError,
    NotFoundError,
    RegistryError,
    StoreError,
    UnavailableError,
)
from layerkit.oci import Descriptor
from layerkit.registry import Client, Credentials, push
from layerkit.registry.push import Blob, How, Pushed

SMALL = b"a small blob"
LARGE = random.Random(4).randbytes((3 << 20) + 17)
UPLOADS = "/v2/app/blobs/uploads/"
SENT = Pushed(How.SENT)


@pytest.fixture
def registry():
    """A registry on loopback that takes pushes from everybody."""
    with UploadRegistry() as registry:
        yield registry


@pytest.fixture
def other():
    """A second origin, which takes pushes."""
    with UploadRegistry() as registry:
        yield registry


@pytest.fixture
def make(tmp_path):
    """Makes a blob of bytes."""

    def make(data, *sources, algorithm="sha256"):
        path = tmp_path / "blob"
        path.write_bytes(data)
        digest = BlobDigest(Digest(algorithm, hashlib.new(algorithm, data).hexdigest()))
        return Blob(Descriptor("application/octet-stream", digest, len(data)), path, sources)

    return make


@pytest.fixture
def send(registry, client, refer):
    """Pushes a blob into the repository `app`."""

    def send(blob, tell=lambda _done: None, client=client):
        return push.push_blob(client, refer(registry, "app:1"), blob, tell)

    return send


def test_a_small_blob_goes_along_with_the_end_of_its_upload(registry, send, make):
    """P01: three requests: is it there, begin, end."""
    blob = make(SMALL)

    assert send(blob) == SENT
    assert registry.said() == [
        f"HEAD /v2/app/blobs/{blob.descriptor.digest}",
        f"POST {UPLOADS}",
        f"PUT {UPLOADS}N",
    ]
    assert registry.blob("app", blob.descriptor.digest) == SMALL


def test_a_large_blob_is_one_stream(registry, send, make):
    """P01: one PATCH brings all bytes, and an empty PUT ends the upload; progress is told."""
    blob = make(LARGE)
    told = []

    assert send(blob, told.append) == SENT
    assert [line.split()[0] for line in registry.said()] == ["HEAD", "POST", "PATCH", "PUT"]
    assert registry.blob("app", blob.descriptor.digest) == LARGE
    assert told == sorted(told)
    assert told[-1] == len(LARGE)
    assert len(told) > 3


def test_an_empty_blob_is_pushed(registry, send, make):
    """A blob of no bytes is a blob."""
    blob = make(b"")

    assert send(blob) == SENT
    assert registry.blob("app", blob.descriptor.digest) == b""


def test_a_blob_that_is_there_is_not_sent(registry, send, make):
    """P01: the second push asks, and uploads nothing."""
    blob = make(LARGE)
    send(blob)
    registry.requests.clear()

    assert send(blob) == Pushed(How.EXISTED)
    assert registry.said() == [f"HEAD /v2/app/blobs/{blob.descriptor.digest}"]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 501])
def test_no_word_about_a_blob_only_means_not_known(registry, send, make, code):
    """A15: some registries refuse every HEAD; then the blob is sent."""
    registry.fault("/blobs/sha256", only("HEAD", status(code)))

    assert send(make(SMALL)) == SENT


def test_another_digest_algorithm_is_announced(registry, send, make):
    """The upload of a sha512 blob begins with the algorithm's name."""
    blob = make(SMALL, algorithm="sha512")

    assert send(blob) == SENT
    assert registry.requests[1].query == "digest-algorithm=sha512"
    assert registry.blob("app", blob.descriptor.digest) == SMALL


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    "locate",
    [
        pytest.param(lambda path: path, id="P02-relative"),
        pytest.param(lambda path: path.rpartition("/")[2], id="P02-relative-to-the-folder"),
        pytest.param(lambda path: f"{path}?_state=a%2Fb=&x", id="P02-with-query"),
    ],
)
def test_a_location_is_followed_as_it_is_written(registry, send, make, locate, data):
    """P02: what the Location says is asked, its query unchanged, the digest behind it."""
    registry.locate = locate
    blob = make(data)
    query = locate("/x").partition("?")[2]

    assert send(blob) == SENT
    assert registry.blob("app", blob.descriptor.digest) == data
    last = registry.requests[-1].query
    digest = f"digest=sha256%3A{blob.descriptor.digest.hex}"
    assert last == (f"{query}&{digest}" if query else digest)


def test_a_location_may_be_elsewhere_but_credentials_stay(other, make, refer, sleeps):
    """P02: an upload on another port gets the bytes, and no Authorization."""
    with UploadRegistry("basic") as registry:
        registry.locate = lambda path: f"{other.url}{path}"
        other._sessions = registry._sessions
        reference = refer(registry, "app:1")
        credentials = Credentials(USERNAME, PASSWORD)
        with Client(lambda *_names: credentials, sleep=sleeps.append) as client:
            assert push.push_blob(client, reference, make(LARGE), lambda _done: None) == SENT
    assert len(other.requests) == 2
    assert {each.authorization for each in other.requests} == {""}


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("", "names no address"),
        ("ftp://example.com/x", "neither http nor https"),
        ("http://user:secret@example.com/x", "credentials in it"),
    ],
    ids=["missing", "scheme", "userinfo"],
)
def test_a_location_that_must_not_be_asked_is_refused(registry, send, make, location, reason):
    """P02: no usable address is an error that says why, and shows no secret."""
    registry.fault("uploads/$", with_headers({"Location": location}))

    with pytest.raises(RegistryError, match=reason) as caught:
        send(make(SMALL))
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_broken_transfer_goes_on_where_the_registry_stopped(registry, send, make, reset):
    """P03: the registry is asked what it has, and gets the rest; no byte comes twice."""
    registry.fault("uploads/[0-9]", only("PATCH", take(1_000_000, reset=reset), times=2))
    blob = make(LARGE)

    assert send(blob) == SENT
    assert registry.blob("app", blob.descriptor.digest) == LARGE
    assert [line.split()[0] for line in registry.said()] == [
        "HEAD", "POST", "PATCH", "GET", "PATCH", "GET", "PATCH", "PUT",
    ]  # fmt: skip
    ranges = [
        each.headers.get("Content-Range") for each in registry.requests if each.method == "PATCH"
    ]
    end = len(LARGE) - 1
    assert ranges == [None, f"1000000-{end}", f"2000000-{end}"]


def test_more_breaks_than_attempts_do_not_matter_while_bytes_arrive(registry, send, make):
    """P03: a try that brought something does not count."""
    registry.fault("uploads/[0-9]", only("PATCH", take(300_000), times=9))
    blob = make(LARGE)

    assert send(blob) == SENT
    assert registry.blob("app", blob.descriptor.digest) == LARGE


def test_without_progress_the_attempts_end(registry, send, make, sleeps):
    """P03: a registry that takes nothing is given up after the usual attempts."""
    registry.fault("uploads/[0-9]", only("PATCH", take(0)))

    with pytest.raises(UnavailableError, match="connection"):
        send(make(LARGE))
    assert len(sleeps) == 2


@pytest.mark.parametrize("code", [400, 404, 405, 416])
def test_an_upload_that_the_registry_forgot_begins_anew(registry, send, make, code):
    """P03: without a word about how much is there, all is sent again in a new upload."""
    forgotten = only("GET", status(code))
    registry.fault("uploads/[0-9]", only("PATCH", take(1_000_000), 1, forgotten))
    blob = make(LARGE)

    assert send(blob) == SENT
    assert registry.blob("app", blob.descriptor.digest) == LARGE
    assert registry.sent("POST") == [UPLOADS] * 2


@pytest.mark.parametrize("said", ["0-99999999", "0-0", "x", "5-9", ""])
def test_a_state_that_cannot_be_is_not_believed(registry, send, make, said):
    """P03: more than the blob has, nothing, or nonsense means a new upload."""
    confused = only("GET", with_headers({"Range": said}))
    registry.fault("uploads/[0-9]", only("PATCH", take(1_000_000), 1, confused))
    blob = make(LARGE)

    assert send(blob) == SENT
    assert registry.blob("app", blob.descriptor.digest) == LARGE
    assert registry.sent("POST") == [UPLOADS] * 2


def test_an_end_without_an_answer_may_have_been_the_end(registry, send, make):
    """P03: when the answer to the last request is lost, the blob is looked for before all is sent
    again.
    """

    def serve_and_hang_up(request, serve):
        serve(request)
        return hang_up(request, serve)

    registry.fault("uploads/[0-9]", only("PUT", serve_and_hang_up, times=1))

    assert send(make(LARGE)) == SENT
    assert len(registry.sent("PATCH")) == 1


def test_a_transient_refusal_is_tried_again(registry, send, make, sleeps):
    """P06: 503 in the middle of an upload is waited out."""
    registry.fault("uploads/[0-9]", only("PATCH", status(503), times=1))
    registry.fault("uploads/$", status(429, Retry_After="1"), times=1)

    assert send(make(LARGE)) == SENT
    assert len(sleeps) == 2


@pytest.mark.parametrize(
    ("code", "body", "kind", "words"),
    [
        (400, '{"errors":[{"code":"DIGEST_INVALID","message":"no match"}]}', RegistryError,
         "status 400: DIGEST_INVALID: no match"),
        (401, "{}", AuthError, "wants a login"),
        (403, '{"errors":[{"code":"DENIED","message":"no"}]}', AuthError, "denies push of blob"),
        (405, '{"errors":[{"code":"UNSUPPORTED","message":"read-only"}]}', RegistryError,
         r"status 405 \(it may be read-only\): UNSUPPORTED: read-only"),
        (413, "<html><h1>413 Too Large</h1><hr>nginx" + "x" * 999, RegistryError,
         r"status 413 \(too large for it\): 413 Too Large nginxx+…$"),
    ],
    ids=["P06-digest", "P06-login", "P06-denied", "P06-read-only", "P06-too-large"],
)  # fmt: skip
def test_a_refusal_is_told_once_and_clearly(registry, send, make, code, body, kind, words):
    """P06: the registry's own words are shown, shortened, and nothing is tried again."""
    kinds = {"Content_Type": "text/html" if body.startswith("<") else "application/json"}
    registry.fault("uploads/[0-9]", only("PUT", status(code, body, **kinds)))

    with pytest.raises(kind, match=words):
        send(make(SMALL))
    assert len(registry.sent("PUT")) == 1


def test_a_registry_without_the_repository_says_so(registry, send, make):
    """P06: 404 at the beginning is about the repository."""
    registry.fault("uploads/$", status(404))

    with pytest.raises(NotFoundError, match=r"no repository .*app to push to"):
        send(make(SMALL))


def test_wrong_bytes_are_refused_by_the_registry(registry, send, make):
    """P06: a file that rotted does not arrive under its old digest."""
    blob = make(SMALL)
    blob.path.write_bytes(b"A" + SMALL[1:])

    with pytest.raises(RegistryError, match="DIGEST_INVALID"):
        send(blob)
    assert registry.blob("app", blob.descriptor.digest) is None


def test_a_redirect_of_an_upload_is_refused(registry, other, send, make):
    """A request that changes something goes only where a Location says."""
    registry.fault("uploads/$", redirect(other.url))

    with pytest.raises(RegistryError, match="refused a redirect"):
        send(make(SMALL))
    assert other.requests == []


def test_a_blob_of_a_neighbour_is_mounted(registry, send, make):
    """P05: 201 means done; the sources are tried in turn, no byte is sent."""
    registry.add_blob("base", LARGE)

    assert send(make(LARGE, "none", "base")) == Pushed(How.MOUNTED, "base")
    assert [line.split()[0] for line in registry.said()] == ["HEAD", "POST", "POST"]
    assert "from=base" in registry.requests[-1].query


@pytest.mark.parametrize("code", [202, 404, 405], ids=["P05-202", "P05-404", "P05-405"])
def test_what_is_not_mounted_is_sent(registry, send, make, code):
    """P05: 202 is an upload to go on with; where there are no mounts one is begun."""
    registry.add_blob("base", SMALL)
    registry.mounts = code
    blob = make(SMALL, "base")

    assert send(blob) == SENT
    assert registry.blob("app", blob.descriptor.digest) == SMALL
    assert len(registry.sent("POST")) == (1 if code == 202 else 2)


@pytest.mark.parametrize("login", ["basic", "bearer"])
def test_a_push_logs_in(make, refer, sleeps, login):
    """Credentials open the way; a token is asked for with the actions of a push."""
    with UploadRegistry(login, anonymous=False) as registry:
        registry.add_blob("base", SMALL)
        reference = refer(registry, "app:1")
        credentials = Credentials(USERNAME, PASSWORD)
        with Client(lambda *_names: credentials, sleep=sleeps.append) as client:
            pushed = push.push_blob(client, reference, make(LARGE), lambda _done: None)
            mounted = push.push_blob(client, reference, make(SMALL, "base"), lambda _done: None)
    assert (pushed, mounted) == (SENT, Pushed(How.MOUNTED, "base"))


def test_a_token_names_what_a_push_does(make, refer, client):
    """Where a registry does not say which scope it wants, pushing is asked for, and reading the
    source of a mount.
    """
    with UploadRegistry("bearer") as registry:
        challenge = f'Bearer realm="{registry.url}/token",service="test"'
        hidden = with_headers({"Www-Authenticate": challenge})
        registry.fault("/v2/", lambda request, serve: (
            hidden(request, serve) if not request.authorization else serve(request)
        ))  # fmt: skip
        registry.add_blob("base", SMALL)
        reference = refer(registry, "app:1")
        pushed = push.push_blob(client, reference, make(SMALL, "base"), lambda _done: None)
        scopes = [
            parse_qs(each.query)["scope"] for each in registry.requests if each.path == "/token"
        ]
    assert pushed == Pushed(How.MOUNTED, "base")
    assert scopes[-1] == ["repository:app:pull,push", "repository:base:pull"]


def test_a_token_that_ends_meanwhile_does_not_break_the_blob(make, refer, sleeps):
    """When a transfer is refused for its token, all of it is sent again with a new one."""
    with UploadRegistry("bearer") as registry:
        registry.fault("uploads/[0-9]", only("PATCH", _forgetful(registry), times=1))
        blob = make(LARGE)
        with Client(sleep=sleeps.append) as client:
            reference = refer(registry, "app:1")
            assert push.push_blob(client, reference, blob, lambda _done: None) == SENT
        assert registry.blob("app", blob.descriptor.digest) == LARGE
    assert sleeps == []


def _forgetful(registry):
    def fault(request, serve):
        registry.forget_tokens()
        return serve(request)

    return fault


def test_without_credentials_the_hint_says_how_to_log_in(make, refer, client):
    """P06: a registry that wants a login is told so, with the next step."""
    with UploadRegistry("basic") as registry, pytest.raises(AuthError) as caught:
        push.push_blob(client, refer(registry, "app:1"), make(SMALL), lambda _done: None)
    assert "login" in caught.value.hint


def test_a_transfer_ends_when_nobody_wants_it(registry, send, make):
    """What the progress function raises ends the transfer, and comes out."""

    def refuse(done):
        if done:
            raise CancelledError

    with pytest.raises(CancelledError):
        send(make(LARGE), refuse)
    assert registry.sent("PUT") == []


def test_a_file_that_is_gone_is_told(send, make):
    """A blob that cannot be read is an error of the store, not of the network."""
    blob = make(SMALL)
    blob.path.unlink()

    with pytest.raises(StoreError, match="no such file"):
        send(blob)


def test_a_registry_may_take_long_over_a_transfer(send, make, client, monkeypatch):
    """Answers to bytes have a patience of their own, as a registry may hash and copy them."""
    seen, plain = [], client._transport.send

    def record(request, *more):
        seen.append((request.method, request.patience))
        return plain(request, *more)

    monkeypatch.setattr(client._transport, "send", record)
    send(make(LARGE))
    long = client.limits.assemble
    assert seen == [("HEAD", None), ("POST", None), ("PATCH", long), ("PUT", long)]


@pytest.fixture
def put(registry, client, refer):
    """Pushes a manifest into the repository `app`."""
    return lambda name, raw, kind=oci.OCI_MANIFEST, etag="": push.push_manifest(
        client, refer(registry, "app:1"), name, kind, raw, etag
    )


def test_a_manifest_arrives_byte_for_byte(registry, put):
    """P01: bytes and media type are those of the image."""
    raw = b'{ "schemaVersion":2 }'

    put("1", raw)
    assert registry.manifest("app", "1") == (oci.OCI_MANIFEST, raw)


def test_a_missing_blob_is_named(registry, put):
    """P08: when the registry misses a blob, the message has its digest."""
    digest = digests.of_bytes(b"nowhere")
    raw = b'{"layers":[{"digest":"%s"}]}' % str(digest).encode()

    with pytest.raises(RegistryError, match=f"MANIFEST_BLOB_UNKNOWN.*{digest}"):
        put("1", raw)


def test_another_digest_is_an_error(registry, put):
    """A registry that got other bytes says so in its answer."""
    other = digests.of_bytes(b"other")
    registry.fault("/manifests/1", with_headers({"Docker-Content-Digest": str(other)}))

    with pytest.raises(IntegrityError, match="wrong digest after push"):
        put("1", b"{}")


@pytest.mark.parametrize("said", ["", "nonsense", f"sha512:{'0' * 128}"])
def test_no_digest_or_one_of_another_kind_is_no_error(registry, put, said):
    """Not every registry says a digest, and some say one by another algorithm."""
    registry.fault("/manifests/1", with_headers({"Docker-Content-Digest": said}))

    put("1", b"{}")
