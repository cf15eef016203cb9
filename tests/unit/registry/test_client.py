"""Documents and blobs from a real server, also from one that misbehaves."""

from __future__ import annotations

import gzip
import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from msgspec import structs
from support.faults import (
    chunked,
    cut,
    hang_up,
    ignore_range,
    more_bytes,
    redirect,
    reset,
    stall,
    status,
    with_headers,
    wrong_bytes,
)
from support.registry import TestRegistry

from layerkit import oci, reference
from layerkit.digest import BlobDigest, parse
from layerkit.errors import (
    DocumentError,
    IntegrityError,
    NotFoundError,
    RegistryError,
    UnavailableError,
)
from layerkit.oci import Descriptor
from layerkit.registry import Client, Limits

DATA = random.Random(5).randbytes(3_000_000)


@pytest.fixture
def image(registry):
    """An image `app:1` with one layer of noise, stored as it is."""
    return registry.add_image("app", "1", [DATA], compression="")


@pytest.fixture
def blob(image):
    """The descriptor of the layer."""
    return image.layers[0]


@pytest.fixture
def app(registry, image, refer):
    """The reference `app:1`."""
    return refer(registry, "app:1")


def read(stream):
    """All bytes of a stream."""
    with stream:
        return b"".join(stream)


def test_a_tag_names_a_document(registry, client, app, image):
    """A tag is resolved to descriptor and exact bytes, in one request."""
    assert client.resolve_document(app) == (image.descriptor, image.raw)
    assert registry.paths() == ["/v2/app/manifests/1"]


def test_every_type_of_document_is_accepted(registry, client, app):
    """M01: the request lists index, manifest, docker's forms, and schema 1 for a clear error."""
    client.resolve_document(app)

    accepted = registry.requests[0].headers["Accept"].split(", ")
    assert set(accepted) >= {*oci.INDEX_TYPES, *oci.MANIFEST_TYPES, *oci.SCHEMA1_TYPES}


def test_an_index_is_resolved_as_such(registry, client, refer, image):
    """An index is given as it is; choosing from it is not the registry's matter."""
    descriptor = registry.add_index("app", "all", {"linux/amd64": image.descriptor}, docker=True)

    got, raw = client.resolve_document(refer(registry, "app:all"))

    assert got == descriptor
    assert isinstance(oci.parse_document(raw, got.media_type), oci.Index)


def test_the_digest_of_now_is_asked_for_by_head(registry, client, app, refer, image):
    """M15: with all types, and of a name with a digest only whether it is there."""
    other = refer(registry, f"app@sha512:{hashlib.sha512(image.raw).hexdigest()}")

    assert client.current_digest(app) == image.descriptor.digest
    assert client.current_digest(other) == other.digest
    assert client.current_digest(refer(registry, "app:nope")) is None
    assert {request.method for request in registry.requests} == {"HEAD"}


@pytest.mark.parametrize(
    "fault",
    [
        *(pytest.param(status(code), id=f"M15-{code}") for code in (400, 403, 404, 405, 429, 500)),
        pytest.param(hang_up, id="M15-no-answer"),
        pytest.param(with_headers({"Docker-Content-Digest": ""}), id="M15-says-no-digest"),
        pytest.param(with_headers({"Docker-Content-Digest": "x"}), id="M15-says-no-such-digest"),
    ],
)
def test_no_digest_of_now_is_no_error(registry, client, app, image, sleeps, fault):
    """M15: nor is it asked for again: that is for whoever needs the document."""
    registry.fault("/manifests/", fault)

    assert client.current_digest(app) is None
    assert sleeps == []


def test_with_a_digest_the_tag_is_not_asked_for(registry, client, refer, image):
    """R05: a digest decides, wherever the tag points by now."""
    other = registry.add_image("app", "1", [b"newer"])
    assert other.descriptor != image.descriptor

    got = client.resolve_document(refer(registry, f"app:1@{image.descriptor.digest}"))

    assert got == (image.descriptor, image.raw)
    assert registry.paths() == [f"/v2/app/manifests/{image.descriptor.digest}"]


def test_a_sha512_reference_keeps_its_digest(registry, client, refer, image):
    """Another algorithm is verified and kept, although the registry's header says sha256."""
    digest = f"sha512:{hashlib.sha512(image.raw).hexdigest()}"

    got, raw = client.resolve_document(refer(registry, f"app@{digest}"))

    assert (str(got.digest), raw) == (digest, image.raw)


@pytest.mark.parametrize(
    ("content_type", "wanted"),
    [
        (f"{oci.OCI_MANIFEST}; charset=utf-8", oci.OCI_MANIFEST),
        (oci.DOCKER_MANIFEST.upper(), oci.DOCKER_MANIFEST),
        ("", oci.OCI_MANIFEST),
        ("application/json", oci.OCI_MANIFEST),
        ("text/plain", oci.OCI_MANIFEST),
    ],
)
def test_the_media_type_is_the_announced_one(registry, client, app, content_type, wanted):
    """Content-Type counts without its parameters; a meaningless one gives way to the document's."""
    registry.fault("manifests", with_headers({"Content-Type": content_type}))

    assert client.resolve_document(app)[0].media_type == wanted


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b'{"mediaType": 1}', b"[" * 99_999])
def test_a_document_that_tells_no_type_has_none(registry, client, refer, raw):
    """What is no document is left to whoever parses it."""
    registry.add_manifest("app", raw, oci.OCI_MANIFEST, "odd")
    registry.fault("manifests", with_headers({"Content-Type": ""}))

    assert client.resolve_document(refer(registry, "app:odd")) == (
        Descriptor("", registry.add_blob("x", raw).digest, len(raw)),
        raw,
    )


@pytest.mark.parametrize("headers", [{"Docker-Content-Digest": ""}, {"Docker-Content-Digest": "x"}])
def test_the_digest_is_computed(registry, client, app, image, headers):
    """M06: what a registry says about the digest does not count."""
    registry.fault("manifests", with_headers(headers))

    assert client.resolve_document(app)[0] == image.descriptor


@pytest.mark.parametrize("named", ["1", "@{digest}"], ids=["tag", "digest"])
def test_a_wrong_word_about_the_digest_is_told(registry, refer, image, named):
    """M05: the bytes are right, so they are taken; the user hears that the header is not."""
    other = "sha256:" + "0" * 64
    registry.fault("manifests", with_headers({"Docker-Content-Digest": other}))
    told = []
    name = f"app{named.format(digest=image.descriptor.digest)}" if named != "1" else "app:1"

    with Client(warn=told.append) as client:
        assert client.resolve_document(refer(registry, name))[0] == image.descriptor

    (line,) = told
    assert registry.host in line
    assert other in line


def test_wrong_bytes_for_a_digest_are_refused(registry, client, refer, image):
    """M05: a document that is not the one asked for by digest is refused with both digests, once."""
    registry.fault("manifests", wrong_bytes)

    with pytest.raises(IntegrityError, match=f"wrong digest .*wanted {image.descriptor.digest}"):
        client.resolve_document(refer(registry, f"app@{image.descriptor.digest}"))
    with pytest.raises(IntegrityError, match="wrong digest of manifest sha256:"):
        client.document(refer(registry, "app:1"), image.descriptor)

    assert len(registry.requests) == 2


@pytest.mark.parametrize("said", ["", "x", "blake3:" + "0" * 64, "sha512:" + "0" * 128])
def test_a_word_that_says_nothing_is_not_told(registry, refer, image, said):
    """M06: without a digest, or with one of another kind, there is nothing to compare with."""
    registry.fault("manifests", with_headers({"Docker-Content-Digest": said}))
    told = []

    with Client(warn=told.append) as client:
        assert client.resolve_document(refer(registry, "app:1"))[0] == image.descriptor

    assert told == []


def test_documents_and_configs_are_verified(client, app, image):
    """A document or small blob comes whole, with the promised size and digest."""
    assert client.document(app, image.descriptor) == image.raw
    assert oci.parse_config(client.blob_bytes(app, image.config)).diff_ids


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_wrong_size_is_refused(client, app, image, difference):
    """A descriptor that promises another size than the bytes have is not believed."""
    manifest = structs.replace(image.descriptor, size=image.descriptor.size + difference)
    config = structs.replace(image.config, size=image.config.size + difference)

    with pytest.raises(IntegrityError, match="wrong size of manifest"):
        client.document(app, manifest)
    with pytest.raises(IntegrityError, match="wrong size of blob"):
        client.blob_bytes(app, config)


def test_endless_documents_are_not_read(registry, client, app, image):
    """SE-25: no document is read further than four MiB, and a longer one is not even asked for."""
    registry.fault("manifests", more_bytes(b" " * oci.DOCUMENT_LIMIT))

    with pytest.raises(DocumentError, match="more than 4194304 bytes"):
        client.resolve_document(app)
    with pytest.raises(DocumentError, match="4194305 bytes, at most 4194304 allowed"):
        client.blob_bytes(app, structs.replace(image.config, size=oci.DOCUMENT_LIMIT + 1))

    assert len(registry.requests) == 1


def test_unknown_names(client, refer, registry, app):
    """What is not there is told with the name as the user knows it and the registry's words."""
    with pytest.raises(
        NotFoundError,
        match=f"^registry {registry.host} has no manifest {registry.host}/app:9: MANIFEST_UNKNOWN",
    ):
        client.resolve_document(refer(registry, "app:9"))
    missing = Descriptor("", BlobDigest(parse("sha256:" + "0" * 64)), 5)
    with pytest.raises(NotFoundError, match=r"has no blob sha256:000.* of 127.*/app: BLOB_UNKNOWN"):
        client.open_blob(app, missing)


@pytest.mark.parametrize("fault", [cut(5), cut(0)], ids=["cut", "empty"])
def test_an_error_counts_without_its_words(registry, client, app, sleeps, fault):
    """A final status is final, also when the explanation with it breaks off."""
    no = status(404, "there is no such thing", Content_Type="text/plain")
    registry.fault("manifests", lambda request, serve: fault(request, lambda r: no(r, serve)))

    with pytest.raises(NotFoundError, match="has no manifest"):
        client.resolve_document(app)

    assert sleeps == []


def test_types_for_documents_only(registry, client, app, image):
    """M01: blobs are asked for without a list of types, which some registries refuse."""
    client.blob_bytes(app, image.config)

    assert "Accept" not in registry.requests[0].headers


def test_ipv6_registries(client, refer):
    """R07: a registry may be an IPv6 address, and is called by it."""
    with TestRegistry(address="::1") as registry:
        image = registry.add_image("app", "1", [b"layer"])

        assert client.resolve_document(refer(registry, "app:1"))[0] == image.descriptor
        assert registry.requests[0].headers["Host"] == registry.host


@pytest.mark.parametrize(
    "fault",
    [
        status(500),
        status(503),
        status(429),
        status(408),
        hang_up,
        cut(10),
        cut(10, reset=True),
        stall(9),
    ],
    ids=["500", "503", "429", "408", "hang up", "cut", "reset", "stall"],
)
def test_passing_troubles_are_sat_out(registry, hasty, app, image, sleeps, fault):
    """What may be better later is asked again, with a pause before each time."""
    registry.fault("manifests", fault, times=2)

    assert hasty.resolve_document(app)[0] == image.descriptor
    assert len(sleeps) == 2
    assert all(0 <= pause <= 0.002 for pause in sleeps)


def test_patience_ends(registry, client, app, sleeps):
    """After the last attempt the error of that attempt is raised."""
    registry.fault("manifests", status(503, "down for work", Content_Type="text/plain"))

    with pytest.raises(
        UnavailableError,
        match=f"^registry {registry.host} cannot serve manifest .* now, status 503: down for work$",
    ):
        client.resolve_document(app)

    assert (len(registry.requests), len(sleeps)) == (3, 2)


@pytest.mark.parametrize("code", [400, 403, 404, 410, 501, 505])
def test_lasting_errors_are_not_repeated(registry, client, app, sleeps, code):
    """A final answer is asked for once."""
    registry.fault("manifests", status(code))

    with pytest.raises((RegistryError, NotFoundError)):
        client.resolve_document(app)

    assert (len(registry.requests), sleeps) == (1, [])


def test_a_wait_the_registry_asks_for_is_kept(registry, client, app, sleeps):
    """L02: Retry-After is waited for."""
    registry.fault("manifests", status(429, Retry_After="3"), times=1)

    client.resolve_document(app)

    assert sleeps == [3]


def test_a_long_wait_is_told_instead(registry, client, app, sleeps):
    """L02: a registry that asks for more patience than we have is not asked again."""
    registry.fault("manifests", status(429, Retry_After="86400"))

    with pytest.raises(UnavailableError, match="it asks to wait 86400 s"):
        client.resolve_document(app)

    assert sleeps == []


def test_a_blob_comes_in_chunks(registry, client, app, blob):
    """The whole blob comes in several chunks from one plain request."""
    with client.open_blob(app, blob) as stream:
        chunks = list(stream)

    assert stream.offset == 0
    assert b"".join(chunks) == DATA
    assert len(chunks) > 1
    assert [(request.range, request.status) for request in registry.requests] == [("", 200)]


@pytest.mark.parametrize("offset", [1, 1_000_000, len(DATA) - 1])
def test_a_blob_is_continued(registry, client, app, blob, offset):
    """From an offset on, a closed range is asked for."""
    stream = client.open_blob(app, blob, offset)

    assert (stream.offset, read(stream)) == (offset, DATA[offset:])
    assert registry.requests[0].range == f"bytes={offset}-{len(DATA) - 1}"


def test_nothing_left_needs_no_request(registry, client, app, blob):
    """An empty blob, and the end of any blob, are there already."""
    empty = registry.add_blob("app", b"")

    assert read(client.open_blob(app, empty)) == b""
    assert client.blob_bytes(app, empty) == b""
    assert read(client.open_blob(app, blob, len(DATA))) == b""
    assert registry.requests == []


@pytest.mark.parametrize("offset", [-1, len(DATA) + 1])
def test_an_offset_lies_in_the_blob(client, app, blob, offset):
    """An offset outside the blob is a mistake of the caller."""
    with pytest.raises(ValueError, match="are not in blob"):
        client.open_blob(app, blob, offset)


def test_a_registry_without_ranges(registry, client, app, blob):
    """A whole body for a range is taken as the whole body, in the same request."""
    registry.fault("blobs", ignore_range)

    stream = client.open_blob(app, blob, 1000)

    assert (stream.offset, read(stream)) == (0, DATA)
    assert len(registry.requests) == 1


def test_a_range_that_cannot_be_satisfied(registry, client, app, blob):
    """D09: after 416, whose length may be a lie, the whole blob is asked for."""
    lie = {"Content-Length": str(len(DATA)), "Content-Range": f"bytes */{len(DATA)}"}
    registry.fault("blobs", status(416, "unsatisfiable", **lie), times=1)

    stream = client.open_blob(app, blob, 1000)

    assert (stream.offset, read(stream)) == (0, DATA)
    assert [request.range != "" for request in registry.requests] == [True, False]


@pytest.mark.parametrize(
    "content_range",
    [
        "",
        "bytes",
        f"bytes 0-{len(DATA) - 1}/{len(DATA)}",
        f"bytes 999-{len(DATA) - 1}/{len(DATA)}",
        f"bytes 1000-{len(DATA)}/{len(DATA)}",
        f"bytes 1000-{len(DATA) - 1}/{len(DATA) + 1}",
        "bytes 1000-999/*",
        f"items 1000-{len(DATA) - 1}/{len(DATA)}",
        f"bytes 1000-{len(DATA) - 1}",
    ],
)
def test_the_wrong_part_is_refused(registry, client, app, blob, content_range):
    """D06: a part that does not say it begins at the offset of this blob is not taken for it."""
    registry.fault("blobs", with_headers({"Content-Range": content_range}))

    with pytest.raises(
        UnavailableError, match=f"{registry.host} sent the wrong part of blob .*1000-"
    ):
        client.open_blob(app, blob, 1000)

    assert len(registry.requests) == 3


@pytest.mark.parametrize(
    "content_range", [f"1000-{len(DATA) - 1}/{len(DATA)}", f"bytes 1000-{len(DATA) - 1}/*"]
)
def test_a_part_may_leave_out_unit_and_total(registry, client, app, blob, content_range):
    """D06: a range without unit or total is understood."""
    registry.fault("blobs", with_headers({"Content-Range": content_range}))

    assert read(client.open_blob(app, blob, 1000)) == DATA[1000:]


@pytest.mark.parametrize("at", [0, 1, 1_700_000])
@pytest.mark.parametrize("fault", [cut, stall], ids=["cut", "stall"])
def test_a_broken_body_gives_what_came(registry, hasty, app, blob, fault, at):
    """What came before the break is delivered, and the error says where it broke."""
    registry.fault("blobs", fault(at))
    chunks = []

    with hasty.open_blob(app, blob) as stream, pytest.raises(UnavailableError) as caught:
        chunks.extend(stream)

    got = b"".join(chunks)
    assert DATA.startswith(got)
    assert at - len(got) < 512 << 10
    assert f"registry {registry.host} broke off" in caught.value.message
    assert f"at byte {len(got)} of {len(DATA)} of blob {blob.digest}" in caught.value.message


def test_a_short_chunked_body_is_a_break(registry, client, app, blob):
    """D19: a body that says it is at its end before the promised size is broken off."""
    registry.fault(
        "blobs", lambda request, serve: replace(serve(request), body=DATA[:9], chunked=True)
    )

    with (
        client.open_blob(app, blob) as stream,
        pytest.raises(UnavailableError, match="ends at byte 9"),
    ):
        list(stream)


def test_a_chunked_body_is_counted(registry, client, app, blob):
    """D19: a body without a length is fine if it has the promised one."""
    registry.fault("blobs", chunked)

    assert read(client.open_blob(app, blob)) == DATA


def test_more_bytes_than_promised(registry, client, app, blob):
    """SE-25, DG-06, D19, D24: a body that goes on behind the promised size is refused there."""
    registry.fault(
        "blobs", lambda request, serve: chunked(request, lambda r: more_bytes()(r, serve))
    )

    with (
        client.open_blob(app, blob) as stream,
        pytest.raises(IntegrityError, match="sent more than the promised 3000000 bytes"),
    ):
        list(stream)


@pytest.mark.parametrize("difference", [-1, 1])
def test_another_length_is_refused_before_reading(client, app, blob, difference):
    """SE-25, D24: a blob that has another size than its descriptor says is refused at once."""
    promised = structs.replace(blob, size=blob.size + difference)

    with pytest.raises(IntegrityError, match=f"has 3000000 bytes, wanted {promised.size}"):
        client.open_blob(app, promised)


def test_bytes_pass_as_they_are(registry, client, app, blob):
    """A label of an encoding that was not asked for changes nothing."""
    registry.fault("blobs", with_headers({"Content-Encoding": "gzip"}))

    assert read(client.open_blob(app, blob)) == DATA


def test_blobs_are_redirected_without_credentials(known_client, refer, other):
    """T01: the storage behind a registry sees the range but no credentials."""
    with TestRegistry("basic") as registry:
        (blob,) = registry.add_image("app", "1", [DATA], compression="").layers
        other.add_blob("app", DATA)
        registry.fault("blobs", redirect(other.url, query="sig=%7E"))

        assert read(known_client.open_blob(refer(registry, "app:1"), blob, 5)) == DATA[5:]
        assert {request.authorization for request in other.requests} == {""}
        assert other.requests[-1].range == f"bytes=5-{len(DATA) - 1}"


def test_the_host_behind_a_redirect_is_named(registry, client, app, blob, other):
    """An error of the storage names it, and the registry that sent us there."""
    registry.fault("blobs", redirect(other.url))

    with pytest.raises(
        NotFoundError,
        match=rf"^{other.host} \(redirected from registry {registry.host}\) has no blob",
    ):
        client.open_blob(app, blob)


def test_closing_early_stops_the_transfer(registry, client, app):
    """A stream that is closed does not make the registry send the rest."""
    big = registry.add_blob("app", bytes(64 << 20))

    with client.open_blob(app, big) as stream:
        next(stream)

    assert registry.requests[0].sent < big.size
    assert list(stream) == []


def test_blobs_come_in_parallel(registry, client, refer):
    """Several threads may read through one client."""
    blobs = [registry.add_blob("app", bytes([n]) * 200_000) for n in range(20)]
    app = refer(registry, "app:1")

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda blob: read(client.open_blob(app, blob)), blobs))

    assert got == [bytes([n]) * 200_000 for n in range(20)]
    assert registry.connections <= 8


def test_docker_hub_is_asked_where_it_is(monkeypatch):
    """Docker Hub's images are asked for at its registry host, over TLS."""
    asked = []

    def refuse(host, port, *_args, **_kwargs):
        asked.append((host, port))
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with (
        Client(limits=Limits(attempts=1)) as client,
        pytest.raises(
            UnavailableError, match=r"^cannot reach registry registry-1\.docker\.io: network is un"
        ),
    ):
        client.resolve_document(reference.parse("centos:7"))

    assert asked == [("registry-1.docker.io", 443)]


GZIPPED = gzip.compress(bytes(5000), mtime=0)
BOMB = gzip.compress(bytes(64 << 20), mtime=0)


def encoded(body, coding, **headers):
    """The answer of a proxy that compresses what passes."""
    return status(200, body, Content_Encoding=coding, **headers)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
@pytest.mark.parametrize("span", [None, (1000, 2000)], ids=["whole", "part"])
def test_d20_a_body_that_was_compressed_on_its_way_is_inflated(registry, client, app, coding, span):
    """D20: it is what its digest says again; a part of the compressed form is not taken for one."""
    blob = registry.add_blob("app", bytes(5000))
    if span is not None:
        part = {"Content_Range": f"bytes 1000-1999/{len(GZIPPED) + 9000}"}
        fault = status(206, bytes(1000), Content_Encoding=coding, **part)
        registry.fault("blobs", fault, times=1)
    registry.fault("blobs", encoded(GZIPPED, coding))

    with client.ask_blob(app, blob, span) as stream:
        assert (stream.offset, b"".join(stream)) == (0, bytes(5000))


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "br", "identity"])
@pytest.mark.parametrize("span", [None, (10, 20)], ids=["whole", "part"])
def test_d20_a_label_that_is_wrong_changes_nothing(registry, client, app, coding, span):
    """D20: what has the promised size as it is, is the blob."""
    blob = registry.add_blob("app", GZIPPED)
    registry.fault("blobs", labelled(coding))

    with client.ask_blob(app, blob, span) as stream:
        assert b"".join(stream) == GZIPPED[slice(*span or (None,))]


def labelled(coding):
    """The usual answer, with a Content-Encoding."""

    def fault(request, serve):
        reply = serve(request)
        return replace(reply, headers={**reply.headers, "Content-Encoding": coding})

    return fault


def test_d20_a_coding_that_nobody_knows_here_is_named(registry, client, app):
    """D20: the message says what was sent, and that it was not asked for."""
    blob = registry.add_blob("app", bytes(5000))
    registry.fault("blobs", encoded(b"short", "br"))

    with pytest.raises(RegistryError, match=f"{registry.host} sent a body with the Content-Encod"):
        client.ask_blob(app, blob)


def test_d20_a_bomb_is_read_to_the_promised_size(registry, client, app):
    """D20: one byte more than promised is an error, the rest is never inflated."""
    blob = registry.add_blob("app", bytes(100_000))
    registry.fault("blobs", encoded(BOMB, "gzip"))

    with client.ask_blob(app, blob) as stream, pytest.raises(IntegrityError, match="sent more"):
        list(stream)


@pytest.mark.parametrize(
    "body", [GZIPPED[:-20], GZIPPED[:15] + b"x" + GZIPPED[16:], b"none"], ids=["cut", "bad", "text"]
)
def test_d20_a_damaged_stream_is_a_break(registry, client, app, body):
    """D20: it may be right the next time."""
    blob = registry.add_blob("app", bytes(5000))
    registry.fault("blobs", encoded(body, "gzip"))

    with client.ask_blob(app, blob) as stream, pytest.raises(UnavailableError, match="gzip body"):
        list(stream)


def test_documents_that_were_compressed_on_their_way(registry, client, app, image):
    """D20: a manifest and a config are inflated as well, and errors are read."""

    def compress(request, serve):
        reply = serve(request)
        body = gzip.compress(reply.body)
        headers = {**reply.headers, "Content-Encoding": "gzip", "Content-Length": str(len(body))}
        return replace(reply, body=body, headers=headers)

    registry.fault("", compress)

    found, raw = client.resolve_document(app)
    config = oci.parse_document(raw).config
    assert found.digest == image.descriptor.digest
    assert len(client.blob_bytes(app, config)) == config.size


@pytest.mark.parametrize("how", [hang_up, reset], ids=["closed", "reset"])
def test_d13_a_kept_connection_may_end_when_it_is_used(registry, client, app, sleeps, how):
    """D13: the request is made again on a new one, and that does not count as an attempt."""
    client.resolve_document(app)
    registry.fault("manifests", how, times=1)

    client.resolve_document(app)
    assert sleeps == []


def test_d13_who_never_answers_is_not_asked_twice(registry, app, sleeps):
    """D13: on a new connection an end is an end."""
    registry.fault("", hang_up)

    with Client(limits=Limits(attempts=1)) as client, pytest.raises(UnavailableError):
        client.resolve_document(app)
    assert len(registry.requests) == 1
