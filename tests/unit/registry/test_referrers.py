"""What is attached to a manifest is found wherever a registry keeps it."""

from __future__ import annotations

import json

import pytest
from support.faults import redirect, status, with_headers
from support.registry import Reply
from support.uploads import UploadRegistry, only

from layerkit import digest as digests
from layerkit import oci
from layerkit.digest import Digest
from layerkit.errors import AuthError, RegistryError, UnavailableError
from layerkit.registry import push, referrers

SUBJECT = digests.of_bytes(b"subject")
FALLBACK = f"sha256-{SUBJECT.hex}"
SBOM, SIGNATURE = "application/spdx+json", "application/vnd.example.signature"


def artifact(kind, text=""):
    """The manifest of an artifact attached to `SUBJECT`."""
    document = {
        "schemaVersion": 2,
        "mediaType": oci.OCI_MANIFEST,
        "artifactType": kind,
        "layers": [],
        "subject": {"mediaType": oci.OCI_MANIFEST, "digest": str(SUBJECT), "size": 7},
        "annotations": {"text": text},
    }
    return json.dumps(document).encode()


@pytest.fixture
def registry():
    """A registry without referrers."""
    with UploadRegistry() as registry:
        yield registry


@pytest.fixture
def attach(registry, client, refer):
    """Pushes an artifact as `push` does; its digest."""

    def attach(kind, text=""):
        reference, raw = refer(registry, "app:1"), artifact(kind, text)
        digest = digests.of_bytes(raw)
        answer = push.push_manifest(client, reference, str(digest), oci.OCI_MANIFEST, raw)
        referrers.record(client, reference, oci.OCI_MANIFEST, raw, answer)
        return digest

    return attach


@pytest.fixture
def listed(registry, client, refer):
    """The digests of what is attached to `SUBJECT`."""

    def listed(kind=""):
        found = referrers.referrers(client, refer(registry, "app:1"), SUBJECT, kind)
        return [each.digest for each in found]

    return listed


@pytest.mark.parametrize("supported", [True, False], ids=["X02-listed", "P09-fallback"])
def test_what_was_attached_is_listed(registry, attach, listed, supported):
    """X02, P09: with the registry's own list and with a tag, all and by type."""
    registry.has_referrers = supported
    sbom, signature = attach(SBOM), attach(SIGNATURE)

    assert set(listed()) == {sbom, signature}
    assert listed(SBOM) == [sbom]
    assert listed("application/other") == []
    tags = registry._repository("app").tags
    assert list(tags) == ([] if supported else [FALLBACK])


def test_the_fallback_index_grows_and_has_nothing_twice(registry, attach):
    """P09: the second artifact is appended, the first one again changes nothing."""
    first = attach(SBOM, "first")
    attach(SIGNATURE)
    before = registry.manifest("app", FALLBACK)
    attach(SBOM, "first")

    kind, raw = registry.manifest("app", FALLBACK)
    entries = json.loads(raw)["manifests"]
    assert (kind, raw) == before
    assert kind == oci.OCI_INDEX
    assert entries[0] == {
        "mediaType": oci.OCI_MANIFEST,
        "digest": str(first),
        "size": len(artifact(SBOM, "first")),
        "artifactType": SBOM,
        "annotations": {"text": "first"},
    }
    assert [each["artifactType"] for each in entries] == [SBOM, SIGNATURE]


def test_what_others_wrote_into_the_index_stays(registry, attach):
    """P09: entries and fields that we do not know are kept."""
    other = {"mediaType": "x/y", "digest": str(digests.of_bytes(b"o")), "size": 1, "new": [1]}
    index = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [other], "more": 1}
    registry.add_manifest("app", json.dumps(index).encode(), oci.OCI_INDEX, FALLBACK)
    attach(SBOM)

    document = json.loads(registry.manifest("app", FALLBACK)[1])
    assert document["more"] == 1
    assert document["manifests"][0] == other
    assert len(document["manifests"]) == 2


def test_somebody_else_at_the_same_index_is_not_overwritten(registry, attach):
    """P09: with an ETag the change is conditional; when another one came first, it is done again."""
    earlier = attach(SBOM, "mine")
    foreign = {"mediaType": "x/y", "digest": str(digests.of_bytes(b"o")), "size": 1}

    def meanwhile(request, serve):
        reply = serve(request)
        document = json.loads(registry.manifest("app", FALLBACK)[1])
        etag = f'"{registry._repository("app").tags[FALLBACK]}"'
        if foreign not in document["manifests"]:
            document["manifests"].append(foreign)
            registry.add_manifest("app", json.dumps(document).encode(), oci.OCI_INDEX, FALLBACK)
        return Reply(reply.status, {**reply.headers, "ETag": etag}, reply.body)

    registry.fault(FALLBACK, only("GET", meanwhile))
    mine = attach(SIGNATURE)

    entries = json.loads(registry.manifest("app", FALLBACK)[1])["manifests"]
    assert [each["digest"] for each in entries] == [str(earlier), foreign["digest"], str(mine)]


def test_a_fallback_tag_that_is_no_index_is_left_alone(registry, attach):
    """P09: what somebody else put under the tag is not replaced."""
    registry.add_manifest("app", b'{"schemaVersion": 2}', oci.OCI_INDEX, FALLBACK)

    with pytest.raises(RegistryError, match=f"{FALLBACK} of .* is no index"):
        attach(SBOM)


def test_a_manifest_without_a_subject_changes_no_other(registry, client, refer):
    """P09: most images are attached to nothing."""
    reference, raw = refer(registry, "app:1"), b'{"schemaVersion": 2}'
    answer = push.push_manifest(client, reference, "1", oci.OCI_MANIFEST, raw)
    referrers.record(client, reference, oci.OCI_MANIFEST, raw, answer)

    assert len(registry.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(status(404), id="X02-404"),
        pytest.param(status(400, "{}"), id="X02-400"),
        pytest.param(status(405), id="X02-405"),
        pytest.param(status(401), id="X02-401"),
        pytest.param(status(200, "<html>", Content_Type="text/html"), id="X02-html"),
        pytest.param(status(200, "{}"), id="X02-empty"),
        pytest.param(status(200, '{"schemaVersion":2,"manifests":null}'), id="X02-null"),
        pytest.param(redirect("ftp://login"), id="X02-login"),
    ],
)
def test_whatever_is_no_index_means_not_supported(registry, attach, listed, fault):
    """X02: then the tag is looked at."""
    sbom = attach(SBOM)
    registry.fault("/referrers/", fault)

    assert listed() == [sbom]


def test_a_registry_that_is_down_is_not_unsupported(registry, listed):
    """X02: no answer says nothing about the list."""
    registry.fault("/referrers/", status(503))

    with pytest.raises(UnavailableError):
        listed()


def test_neither_list_nor_tag_means_nothing(listed):
    """X02: nothing is attached, which is no error."""
    assert listed() == []


def test_a_login_that_is_missing_is_told(registry, listed):
    """X02: where the tag cannot be read either, it is not that nothing is attached."""
    registry.fault("/v2/", status(401, "", WWW_Authenticate="Basic"))

    with pytest.raises(AuthError):
        listed()


def test_all_pages_are_read(registry, listed):
    """X02: the list goes on at its Link; the type is looked at here, too."""
    entries = [
        {"mediaType": "x/y", "digest": str(digests.of_bytes(bytes([n]))), "size": 1,
         "artifactType": SBOM if n % 2 else SIGNATURE}
        for n in range(4)
    ]  # fmt: skip

    def page(request, _serve):
        number = 2 if "page=2" in request.query else 0
        index = {"schemaVersion": 2, "manifests": entries[number : number + 2]}
        link = {} if number else {"Link": f'<{request.path}?page=2>; rel="next"'}
        headers = {"Content-Type": oci.OCI_INDEX, **link}
        return Reply(200, headers, json.dumps(index).encode())

    registry.fault("/referrers/", page)

    assert [str(each) for each in listed()] == [each["digest"] for each in entries]
    assert [str(each) for each in listed(SBOM)] == [entries[1]["digest"], entries[3]["digest"]]
    assert registry.requests[2].query == "artifactType=application%2Fspdx%2Bjson"


def test_a_broken_second_page_is_an_error(registry, listed):
    """X02: half a list is not shown as a whole one."""
    registry.has_referrers = True
    first = with_headers({"Link": '</v2/app/referrers/more>; rel="next"'})
    registry.fault("/referrers/sha256", first)
    registry.fault("/referrers/more", status(400))

    with pytest.raises(RegistryError, match="status 400"):
        listed()


@pytest.mark.parametrize(
    ("digest", "tag"),
    [
        (Digest("sha256", "a" * 64), f"sha256-{'a' * 64}"),
        (Digest("sha512", "b" * 128), f"sha512-{'b' * 64}"),
        (Digest("a+b" * 20, "x=y"), f"{'a-ba-ba-ba-ba-ba-ba-ba-ba-ba-ba-b'[:32]}-x-y"),
    ],
)
def test_the_tag_is_made_of_the_digest(digest, tag):
    """distribution-spec "Referrers Tag Schema": 32 and 64 characters, what a tag cannot have is
    `-`.
    """
    assert referrers.fallback_tag(digest) == tag
