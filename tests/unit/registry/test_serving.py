"""What a read-only registry answers, without a network and a store."""

import json

import pytest

from layerkit import digest as digests
from layerkit.oci import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from layerkit.registry.message import parse_head
from layerkit.registry.serving import Document, Repository, answer

MANIFEST = Document(OCI_MANIFEST, digests.of_bytes(b"manifest"), b"manifest")
INDEX = Document(OCI_INDEX, digests.of_bytes(b"index"), b"index")
BLOB = digests.of_bytes(b"0123456789")
OTHER = digests.of_bytes(b"other")
REFERRERS = [{"digest": "sha256:1", "artifactType": "a"}, {"digest": "sha256:2"}]


class Shelf:
    """A catalog with one repository, `a/b`, of a registry `r` if it is asked for by name."""

    def __init__(self, folder):
        self.path = folder / "blob"
        self.path.write_bytes(b"0123456789")

    def repositories(self):
        return ["z", "a/b"]

    def tags(self, repository):
        known = (Repository("a/b"), Repository("a/b", "r"))
        return ["2", "latest", "1"] if repository in known else None

    def documents(self, repository, reference):
        if reference == "2":
            return [INDEX, MANIFEST]
        return [MANIFEST] if reference in ("1", MANIFEST.digest) else []

    def blob(self, repository, digest):
        return self.path if digest == BLOB else None

    def referrers(self, repository, subject):
        return REFERRERS if subject == MANIFEST.digest else []


@pytest.fixture
def ask(tmp_path):
    """Gives the answer to a request line, with headers."""
    shelf = Shelf(tmp_path)

    def ask(line, *fields):
        given = answer(
            shelf, parse_head("\r\n".join([f"{line} HTTP/1.1", *fields, "", ""]).encode())
        )
        if given.file is not None:
            with given.file as file:
                file.seek(given.part.start)
                assert len(file.read(given.length)) == given.length
        return given

    ask.shelf = shelf
    return ask


def code(given):
    """Status and the specification's code of a refusal."""
    (problem,) = json.loads(given.body)["errors"]
    assert problem["message"]
    assert given.headers["Content-Type"] == "application/json"
    return given.status, problem["code"]


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_it_is_a_registry(ask, path):
    """The version check is answered with 200."""
    assert ask(f"GET {path}").status == 200


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        pytest.param([], INDEX, id="says-nothing"),
        pytest.param(["*/*"], INDEX, id="anything"),
        pytest.param([f"{OCI_MANIFEST}, {OCI_INDEX}"], INDEX, id="both"),
        pytest.param([OCI_MANIFEST, f"{OCI_INDEX.upper()};q=0.5"], INDEX, id="two-lines-and-case"),
        pytest.param([OCI_MANIFEST], MANIFEST, id="manifests-only"),
        pytest.param([f"{DOCKER_INDEX}, {OCI_MANIFEST}"], MANIFEST, id="other-kind-of-index"),
        pytest.param([DOCKER_MANIFEST], MANIFEST, id="neither"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_gets_the_form_that_it_accepts(ask, method, accept, given):
    """The first form of a tag for whoever takes it, else the next; caches are told what it is by."""
    found = ask(f"{method} /v2/a/b/manifests/2", *(f"Accept: {each}" for each in accept))

    assert found.status == 200
    assert found.headers["Content-Type"] == given.media_type
    assert found.headers["Docker-Content-Digest"] == str(given.digest)
    assert found.headers["Vary"] == "Accept"
    assert found.body == given.raw


@pytest.mark.parametrize("reference", ["1", MANIFEST.digest])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_manifest_is_served(ask, method, reference):
    """By tag and digest it comes with its type, its digest and its ETag."""
    given = ask(f"{method} /v2/a/b/manifests/{reference}")

    assert (given.status, given.body) == (200, b"manifest")
    assert given.headers == {
        "Content-Type": OCI_MANIFEST,
        "Docker-Content-Digest": str(MANIFEST.digest),
        "ETag": f'"{MANIFEST.digest}"',
    }


@pytest.mark.parametrize(
    ("path", "digest"), [("manifests/1", MANIFEST.digest), (f"blobs/{BLOB}", BLOB)]
)
def test_known_content_is_not_sent_again(ask, path, digest):
    """With the ETag in If-None-Match there is no body."""
    given = ask(f"GET /v2/a/b/{path}", f'If-None-Match: "{digest}"')

    assert (given.status, given.length) == (304, 0)
    assert given.headers["ETag"] == f'"{digest}"'


@pytest.mark.parametrize(
    ("fields", "status", "part", "content_range"),
    [
        ([], 200, range(10), None),
        (["Range: bytes=2-4"], 206, range(2, 5), "bytes 2-4/10"),
        (["Range: bytes=-3"], 206, range(7, 10), "bytes 7-9/10"),
        (["Range: bytes=4-"], 206, range(4, 10), "bytes 4-9/10"),
        (["Range: bytes=0-1,3-4"], 200, range(10), None),
        (["Range: bytes=0-1", 'If-Range: "x"'], 200, range(10), None),
    ],
)
def test_a_blob_is_served(ask, fields, status, part, content_range):
    """Whole or in part, with the digest of the whole."""
    given = ask(f"GET /v2/a/b/blobs/{BLOB}", *fields)

    assert (given.status, given.part, given.length) == (status, part, len(part))
    assert given.headers.get("Content-Range") == content_range
    assert given.headers["Docker-Content-Digest"] == str(BLOB)
    assert given.headers["Accept-Ranges"] == "bytes"
    assert given.headers["Content-Type"] == "application/octet-stream"


def test_a_range_behind_the_end_is_refused(ask):
    """The refusal says how long the blob is."""
    given = ask(f"GET /v2/a/b/blobs/{BLOB}", "Range: bytes=10-")

    assert code(given) == (416, "SIZE_INVALID")
    assert given.headers["Content-Range"] == "bytes */10"


def test_a_blob_may_go_meanwhile(ask):
    """A blob that was removed a moment ago is not there."""
    ask.shelf.path.unlink()

    assert code(ask(f"GET /v2/a/b/blobs/{BLOB}")) == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize(
    ("path", "status", "problem"),
    [
        ("/", 404, "UNSUPPORTED"),
        ("/v1/search", 404, "UNSUPPORTED"),
        ("/v2/a/b", 404, "UNSUPPORTED"),
        ("/v2/a/b/manifests/", 404, "UNSUPPORTED"),
        ("/v2//manifests/1", 404, "UNSUPPORTED"),
        ("/v2/../../etc/passwd", 404, "UNSUPPORTED"),
        ("/v2/a/../b/manifests/1", 400, "NAME_INVALID"),
        ("/v2/a%2F..%2Fb/manifests/1", 400, "NAME_INVALID"),
        ("/v2/A/manifests/1", 400, "NAME_INVALID"),
        ("/v2/a:1/manifests/1", 400, "NAME_INVALID"),
        ("/v2/a@b/manifests/1", 400, "NAME_INVALID"),
        ("/v2/a%00/manifests/1", 400, "NAME_INVALID"),
        ("/v2/" + "a" * 256 + "/manifests/1", 400, "NAME_INVALID"),
        ("/v2/other/manifests/1", 404, "NAME_UNKNOWN"),
        ("/v2/a/b/manifests/1?ns=q", 404, "NAME_UNKNOWN"),
        ("/v2/other/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/a/b/tags/other", 404, "NAME_UNKNOWN"),
        ("/v2/a/b/manifests/3", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/a/b/manifests/{OTHER}", 404, "MANIFEST_UNKNOWN"),
        ("/v2/a/b/manifests/.hidden", 400, "DIGEST_INVALID"),
        ("/v2/a/b/manifests/..", 400, "DIGEST_INVALID"),
        ("/v2/a/b/manifests/sha256:00", 400, "DIGEST_INVALID"),
        ("/v2/a/b/blobs/1", 400, "DIGEST_INVALID"),
        ("/v2/a/b/blobs/sha256:..%2F..%2Fetc", 404, "UNSUPPORTED"),
        ("/v2/a/b/blobs/md5:00", 400, "DIGEST_INVALID"),
        (f"/v2/a/b/blobs/{OTHER}", 404, "BLOB_UNKNOWN"),
        ("/v2/a/b/referrers/1", 400, "DIGEST_INVALID"),
        ("/v2/a/b/tags/list?n=x", 400, "UNSUPPORTED"),
        ("/v2/a/b/tags/list?n=-1", 400, "UNSUPPORTED"),
    ],
)
def test_what_is_not_there_is_told_in_the_specifications_words(ask, path, status, problem):
    """Every refusal is JSON with a code; nothing of a path is used but what parsed."""
    assert code(ask(f"GET {path}")) == (status, problem)


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "OPTIONS", "get"])
def test_nothing_can_be_changed(ask, method):
    """Every method but GET and HEAD is refused, and the answer says which there are."""
    given = ask(f"{method} /v2/a/b/blobs/uploads/")

    assert code(given) == (405, "UNSUPPORTED")
    assert given.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("query", "tags", "link"),
    [
        ("", ["1", "2", "latest"], None),
        ("?n=0", [], None),
        ("?n=2", ["1", "2"], '</v2/a/b/tags/list?n=2&last=2>; rel="next"'),
        ("?n=2&last=2", ["latest"], None),
        ("?n=3", ["1", "2", "latest"], None),
        ("?last=latest", [], None),
        ("?n=1&ns=r", ["1"], '</v2/a/b/tags/list?ns=r&n=1&last=1>; rel="next"'),
    ],
)
def test_tags_are_listed(ask, query, tags, link):
    """In order, in pages of `n`, each with the way to the next."""
    given = ask(f"GET /v2/a/b/tags/list{query}")

    assert json.loads(given.body) == {"name": "a/b", "tags": tags}
    assert given.headers.get("Link") == link


def test_repositories_are_listed(ask):
    """The catalog is in order and has pages, too."""
    given = ask("GET /v2/_catalog?n=1")

    assert json.loads(given.body) == {"repositories": ["a/b"]}
    assert given.headers["Link"] == '</v2/_catalog?n=1&last=a%2Fb>; rel="next"'


@pytest.mark.parametrize(
    ("path", "found", "filtered"),
    [
        (MANIFEST.digest, REFERRERS, None),
        (f"{MANIFEST.digest}?artifactType=a", REFERRERS[:1], "artifactType"),
        (OTHER, [], None),
    ],
)
def test_referrers_are_an_index(ask, path, found, filtered):
    """Whether there are any or none, and all of them or those of one type."""
    given = ask(f"GET /v2/a/b/referrers/{path}")

    assert json.loads(given.body)["manifests"] == found
    assert given.headers["Content-Type"] == OCI_INDEX
    assert given.headers.get("OCI-Filters-Applied") == filtered
