"""The index that a name came from is kept, so that what names it still works without a registry."""

from __future__ import annotations

import hashlib
import json

import pytest
from support import stores, tars
from support.faults import status, with_headers, wrong_bytes
from support.uploads import only

from layerkit import oci, platforms, reference
from layerkit.errors import NotFoundError, RegistryError
from layerkit.ops.images import find_image, list_images
from layerkit.ops.inspect import inspect
from layerkit.ops.kept import kept_index
from layerkit.ops.pull import pull
from layerkit.ops.remove import remove_image
from layerkit.ops.tag import tag
from layerkit.store.records import NameRecord

LAYER = tars.archive(tars.file("a", "A"))
AMD64, ARM64 = platforms.parse("amd64"), platforms.parse("arm64")


@pytest.fixture
def fetch(home, registry, client):
    """Pulls an image by the part of its name behind the registry."""

    def fetch(name="app:1", platform=AMD64):
        parsed = reference.parse(f"{registry.host}/{name}")
        return pull(home, parsed, client=client, platform=platform)

    return fetch


@pytest.fixture
def images(registry):
    """Two images without a tag, by platform."""
    return {
        f"linux/{text}": registry.add_image("app", None, [LAYER], {"architecture": text}).descriptor
        for text in ("amd64", "arm64")
    }


@pytest.fixture
def index(registry, images):
    """The digest of the index of both images, which is `app:1`."""
    return registry.add_index("app", "1", images).digest


def raw_of(registry, digest):
    """The bytes of a document in the registry."""
    return registry._repository("app").manifests[str(digest)][1]


def asked(registry):
    """Methods and names of manifests that were asked for since this was called last."""
    found = [
        (each.method, each.path.rpartition("/")[2])
        for each in registry.requests
        if "/manifests/" in each.path
    ]
    registry.requests.clear()
    return found


def is_empty(home):
    """Whether nothing of any image is left."""
    folders = ("blobs/sha256", "layers", "trees", "ingest")
    return not any(any((home.store.root / folder).iterdir()) for folder in folders)


def test_the_exact_bytes_are_kept(home, registry, fetch, index):
    """Under the digest that the name has as its target."""
    result = fetch()

    assert result.target == index
    assert home.store.blobs.path(index).read_bytes() == raw_of(registry, index)
    assert stores.faults(home.store.root) == []


def test_indexes_inside_are_kept(home, registry, fetch, images):
    """Those on the way, no others."""
    inner = registry.add_index("app", None, images)
    other = registry.add_index("app", None, {"linux/arm64": images["linux/arm64"]})
    outer = registry.add_index("app", "1", {"linux/amd64": inner, "linux/arm64": other})

    fetch()

    here = [home.store.blobs.has(each.digest) for each in (inner, outer, other)]
    assert here == [True, True, False]
    remove_image(home, f"{registry.host}/app:1")
    assert is_empty(home)


def test_an_index_by_its_sha512_digest(home, registry, fetch, index):
    """It is kept under the digest it was asked by, which is the name."""
    digest = f"sha512:{hashlib.sha512(raw_of(registry, index)).hexdigest()}"

    result = fetch(f"app@{digest}")

    assert home.store.blobs.has(result.target)
    remove_image(home, f"{registry.host}/app@{digest}")
    assert not home.store.blobs.has(result.target)


def test_it_goes_with_the_last_name(home, registry, fetch, index):
    """A second tag of it keeps it; it is told of by its digest as docker does."""
    fetch()
    first, second = f"{registry.host}/app:1", f"{registry.host}/app:2"
    tag(home, first, second)

    remove_image(home, first)
    assert home.store.blobs.has(index)
    told = remove_image(home, second)

    assert told[:2] == [f"Untagged: {second}", f"Untagged: {registry.host}/app@{index}"]
    assert is_empty(home)


def test_a_tag_that_moved_takes_it_along(home, registry, fetch, images, index):
    """The old index goes, the new one comes; the image, which both list, stays."""
    fetch()
    new = registry.add_index("app", "1", {"linux/amd64": images["linux/amd64"]})

    result = fetch()

    assert (result.target, result.updated) == (new.digest, False)
    assert [home.store.blobs.has(each) for each in (index, new.digest)] == [False, True]


def test_what_docker_shows_is_the_digest_of_the_index(home, registry, fetch, index):
    """In `images --digests` and as RepoDigests, also when another platform is pulled over it."""
    for platform in (AMD64, ARM64):
        fetch(platform=platform)
        (row,) = [row for row in list_images(home) if row.tag == "1"]
        assert row.digest == str(index)
        assert inspect(home, f"{registry.host}/app:1")["RepoDigests"] == [
            f"{registry.host}/app@{index}"
        ]


def test_an_unchanged_image_costs_a_head(home, registry, fetch, index):
    """M15: when the digest is here, no manifest is asked for; by tag and by digest."""
    fetch()
    asked(registry)

    for name in ("1", f"@{index}"):
        result = fetch(f"app{name}" if "@" in name else f"app:{name}")
        assert (result.updated, result.target) == (False, index)
        assert asked(registry) == [("HEAD", name.removeprefix("@"))]


def test_an_unchanged_manifest_costs_a_head(registry, fetch):
    """M15: also where no index is on the way."""
    registry.add_image("app", "1", [LAYER])
    fetch()
    asked(registry)

    assert not fetch().updated
    assert asked(registry) == [("HEAD", "1")]


def test_an_unknown_name_is_asked_for_at_once(registry, fetch, index, images):
    """M15: where nothing is known, a HEAD would only cost time."""
    fetch()

    assert asked(registry) == [("GET", "1"), ("GET", str(images["linux/amd64"].digest))]


def test_of_a_known_index_only_the_other_image_is_fetched(registry, fetch, index, images):
    """M15: the index is not asked for again, the manifest of another platform is."""
    fetch()
    asked(registry)

    assert fetch(platform=ARM64).image.manifest == images["linux/arm64"].digest

    assert asked(registry) == [("HEAD", "1"), ("GET", str(images["linux/arm64"].digest))]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(status(404), id="M15-404"),
        pytest.param(status(405), id="M15-405"),
        pytest.param(status(501), id="M15-501"),
        pytest.param(status(401), id="M15-401"),
        pytest.param(status(429), id="M15-429"),
        pytest.param(with_headers({"Docker-Content-Digest": ""}), id="M15-no-digest"),
        pytest.param(with_headers({"Docker-Content-Digest": "sha256:x"}), id="M15-no-such-digest"),
    ],
)
def test_a_registry_that_does_not_answer_a_head_is_asked_as_usual(registry, fetch, index, fault):
    """M15: what HEAD cannot say, GET does; no attempt is made twice."""
    fetch()
    asked(registry)
    registry.fault("/manifests/1", only("HEAD", fault))

    result = fetch()

    assert (result.updated, result.target) == (False, index)
    assert asked(registry) == [("HEAD", "1"), ("GET", "1")]


def test_a_changed_tag_is_fetched(registry, fetch, index):
    """M15: what HEAD says is not here, so the document is asked for."""
    fetch()
    new = registry.add_image("app", "1", [LAYER, LAYER])

    result = fetch()

    assert (result.updated, result.target) == (True, new.descriptor.digest)


def test_a_tag_that_is_gone_is_an_error(registry, fetch, index):
    """M15: what is here does not make up for what the registry does not have."""
    fetch()
    del registry._repository("app").tags["1"]

    with pytest.raises((NotFoundError, RegistryError)):
        fetch()


def test_an_index_that_is_missing_comes_with_the_next_pull(home, registry, fetch, index):
    """A name from before indexes were kept works, and gets its index."""
    fetch()
    home.store.blobs.remove(index)
    text = f"{registry.host}/app:1"
    assert find_image(home, text) == find_image(home, f"{registry.host}/app@{index}")
    assert inspect(home, text)["RepoDigests"] == [f"{registry.host}/app@{index}"]
    tag(home, text, "copy:1")

    assert not fetch().updated
    assert home.store.blobs.has(index)
    home.store.blobs.remove(index)
    for name in (text, "copy:1"):
        remove_image(home, name)
    assert is_empty(home)


def test_wrong_bytes_are_not_kept(home, registry, fetch, index):
    """An index by its digest is checked before anything of it is written."""
    registry.fault(str(index), wrong_bytes)

    with pytest.raises(Exception, match="digest"):
        fetch(f"app@{index}")

    assert is_empty(home)


def test_what_is_kept_of_an_index(home, registry, fetch, index, images):
    """It is complete when all manifests that it lists are here."""
    name = fetch().name
    record = home.store.database.name(name)
    one = kept_index(home, record)
    fetch(platform=ARM64)
    both = kept_index(home, home.store.database.name(name))

    assert [image.manifest for image in one.images] == [images["linux/amd64"].digest]
    assert (list(one.indexes), one.is_complete) == ([index], False)
    assert {image.manifest for image in both.images} == {each.digest for each in images.values()}
    assert both.is_complete


def test_nothing_is_kept_of_a_manifest(home, registry, fetch):
    """Nor of an index whose bytes are not here."""
    registry.add_image("app", "1", [LAYER])
    record = home.store.database.name(fetch().name)

    assert kept_index(home, record) is None
    absent = NameRecord(record.name, record.manifest, home.store.blobs.put(b"no index"))
    assert kept_index(home, absent) is None


def test_an_index_without_platforms(registry, fetch, images):
    """M09: the config says for which platform a manifest is; each manifest is asked for once."""
    entries = [oci.wire(each) for each in reversed(images.values())]
    raw = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    registry.add_manifest("app", raw, oci.OCI_INDEX, "1")

    result = fetch()

    assert result.image.manifest == images["linux/amd64"].digest
    assert len([path for _, path in asked(registry) if path == str(result.image.manifest)]) == 1
    with pytest.raises(NotFoundError, match="offers linux/arm64, linux/amd64"):
        fetch(platform=platforms.parse("s390x"))
