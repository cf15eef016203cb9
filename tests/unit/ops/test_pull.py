"""A pull brings the whole image under its name, or nothing under a name."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import signal
import subprocess
import sys

import pytest
from msgspec.structs import replace
from support import stores, tars
from support.faults import cut, ignore_range, more_bytes, stall, status, with_headers, wrong_bytes
from support.processes import until
from support.registry import LIMITS

from layerkit import digest as digests
from layerkit import oci, platforms, reference
from layerkit.digest import DiffID
from layerkit.errors import (
    DocumentError,
    IntegrityError,
    NotFoundError,
    RegistryError,
    UnavailableError,
)
from layerkit.events import LayerDone, LayerProgress, Notice, Resolved
from layerkit.ops import layers as ops_layers
from layerkit.ops.images import find_image, list_images
from layerkit.ops.pull import pull
from layerkit.store.ingest import EXTENT
from layerkit.tree import walk

AMD64 = platforms.parse("amd64")
NOISE = random.Random(9).randbytes(12 << 20)
LOW = tars.archive(tars.directory("d/"), tars.file("d/a", "A"), tars.file("b", "B"))
HIGH = tars.archive(tars.whiteout("d/a"), tars.file("d/n", "N"))
LARGE = tars.archive(tars.file("noise", NOISE))


@pytest.fixture
def fetch(home, registry, client):
    """Pulls an image by the part of its name behind the registry."""

    def fetch(name="app:1", **options):
        options.setdefault("platform", AMD64)
        parsed = reference.parse(f"{registry.host}/{name}")
        return pull(home, parsed, client=client, **options)

    return fetch


def digest_of(descriptor):
    """The digest of a descriptor, as it stands in a path."""
    return str(descriptor.digest)


def add_manifest(registry, layers, config):
    """Hold an image whose documents say just this; `layers` are descriptors as JSON."""
    raw_config = json.dumps(config).encode()
    described = registry.add_blob("app", raw_config, oci.OCI_CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": oci.OCI_MANIFEST,
        "config": wire(described),
        "layers": layers,
    }
    return registry.add_manifest("app", json.dumps(document).encode(), oci.OCI_MANIFEST, "1")


def wire(descriptor, **fields):
    """A descriptor as JSON."""
    return {
        "mediaType": descriptor.media_type,
        "digest": digest_of(descriptor),
        "size": descriptor.size,
        **fields,
    }


def config_of(*diff_ids, **fields):
    """A config with these diffIDs."""
    rootfs = {"type": "layers", "diff_ids": list(diff_ids)}
    return {"os": "linux", "architecture": "amd64", "rootfs": rootfs, **fields}


def diff_id(tar):
    """The diffID of a layer tar."""
    return str(digests.of_bytes(tar))


def add_layer(registry, tar):
    """Hold a layer, gzipped."""
    return registry.add_blob("app", tars.gzipped(tar), tars.GZIP_LAYER)


def blob_requests(registry, descriptor=None):
    """The requests for one blob, or for all."""
    part = digest_of(descriptor) if descriptor else "/blobs/"
    return [request for request in registry.requests if part in request.path]


def assert_nothing_came(home):
    """No image has a name, and nothing in the store is broken."""
    assert home.store.database.images() == []
    assert home.store.database.names() == []
    assert stores.faults(home.store.root) == []


def test_an_image_comes_with_all_its_content(home, registry, fetch):
    """Documents and layers are in the store under their digests, the name points to the image."""
    added = registry.add_image("app", "1", [LOW, HIGH])

    result = fetch()

    image = home.store.database.image(added.descriptor.digest)
    assert result.image == image
    assert (result.name, result.target, result.updated) == (
        f"{registry.host}/app:1",
        added.descriptor.digest,
        True,
    )
    assert image.config == added.config.digest
    assert [(layer.blob, str(layer.diff_id)) for layer in image.layers] == [
        *zip([blob.digest for blob in added.layers], added.diff_ids, strict=True)
    ]
    assert (image.platform, image.created, image.size) == ("linux/amd64", "2001-09-09T01:46:40Z", 3)
    tree = ops_layers.tree(home.store, [layer.diff_id for layer in image.layers])
    assert [path for path, _ in walk(tree)] == [b"b", b"d", b"d/n"]
    assert home.store.blobs.read(added.descriptor.digest, 1 << 20) == added.raw
    assert stores.faults(home.store.root) == []
    assert stores.partials(home.store.root) == []


def test_a_second_pull_transfers_no_blob(registry, fetch):
    """K13: only the manifest is asked for; the name is as it was."""
    registry.add_image("app", "1", [LOW, HIGH])
    first = fetch()
    registry.requests.clear()

    second = fetch()

    assert (second.updated, second.image) == (False, first.image)
    assert blob_requests(registry) == []


@pytest.mark.parametrize("indexed", [False, True], ids=["manifest", "index"])
def test_what_is_current_is_not_fetched(registry, fetch, indexed):
    """M15: a HEAD tells that the name means what it did; Docker Hub counts no HEAD as a pull."""
    added = registry.add_image("app", None if indexed else "1", [LOW])
    if indexed:
        registry.add_index("app", "1", {"linux/amd64": added.descriptor})
    first = fetch()
    registry.requests.clear()

    second = fetch()

    assert (second.updated, second.image, second.target) == (False, first.image, first.target)
    assert [(each.method, each.path) for each in registry.requests] == [
        ("HEAD", "/v2/app/manifests/1")
    ]


@pytest.mark.parametrize(
    "fault",
    [
        status(404),
        status(405),
        status(501),
        status(401),
        with_headers({"Docker-Content-Digest": ""}),
    ],
    ids=["M06-404", "M06-405", "M06-501", "A15-401", "M06-no-digest"],
)
def test_a_registry_that_does_not_know_head(registry, fetch, fault):
    """What a HEAD does not tell, the manifest itself does, in one more request."""
    registry.add_image("app", "1", [LOW])
    first = fetch()
    registry.requests.clear()

    def head_only(request, serve):
        return (fault if request.method == "HEAD" else lambda *_: serve(request))(request, serve)

    registry.fault("manifests", head_only)

    assert not fetch().updated
    asked = [each.method for each in registry.requests if "/manifests/" in each.path]
    assert asked == ["HEAD", "GET"]
    newer = registry.add_image("app", "1", [HIGH])
    assert fetch().target == newer.descriptor.digest != first.target


def test_another_platform_is_no_current_one(registry, fetch):
    """M15: of an index that is here for one platform, another one's manifest is fetched."""
    images = {
        f"linux/{name}": registry.add_image("app", None, [LOW], {"architecture": name}).descriptor
        for name in ("amd64", "arm64")
    }
    registry.add_index("app", "1", images)
    fetch()

    other = fetch(platform=platforms.parse("arm64")).image

    assert other.manifest == images["linux/arm64"].digest


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.unlink(), lambda path: path.write_bytes(b"x")],
    ids=["missing", "rotted"],
)
def test_a_manifest_that_was_damaged_is_fetched(home, registry, fetch, damage):
    """M15: what is current has to be here, too."""
    added = registry.add_image("app", "1", [LOW])
    fetch()
    path = home.store.blobs.path(added.descriptor.digest)
    path.chmod(0o644)
    damage(path)
    registry.requests.clear()

    assert fetch().target == added.descriptor.digest
    assert sum(each.method == "GET" for each in registry.requests) == 1
    assert home.store.blobs.sound(added.descriptor.digest, oci.DOCUMENT_LIMIT) is not None


@pytest.mark.parametrize("compression", ["gzip", "zstd", ""])
@pytest.mark.parametrize("docker", [False, True], ids=["OCI", "docker"])
def test_layers_of_every_compression_and_type(registry, fetch, compression, docker):
    """OCI's and docker's documents, with gzip, zstd or no compression, give the same layers."""
    added = registry.add_image("app", "1", [LOW], compression=compression, docker=docker)

    image = fetch().image

    assert [str(layer.diff_id) for layer in image.layers] == [diff_id(LOW)]
    assert image.media_type == added.descriptor.media_type


def test_of_an_index_the_manifest_for_the_platform_is_taken(home, registry, fetch):
    """The name's target is the index; the other platforms are not fetched."""
    images = {
        text: registry.add_image("app", None, [LOW], {"architecture": text.split("/")[1]})
        for text in ("linux/amd64", "linux/arm64")
    }
    index = registry.add_index("app", "1", {text: each.descriptor for text, each in images.items()})

    result = fetch(platform=platforms.parse("arm64"))

    assert result.target == index.digest
    assert result.image.manifest == images["linux/arm64"].descriptor.digest
    assert result.image.platform == "linux/arm64"
    assert blob_requests(registry, images["linux/amd64"].config) == []


def test_an_index_in_an_index_is_followed(registry, fetch):
    """DG-17: up to a depth that no sensible index has."""
    inner = registry.add_image("app", None, [LOW]).descriptor
    for depth in range(12):
        tag = "good" if depth == 5 else "deep" if depth == 11 else None
        inner = registry.add_index("app", tag, {"linux/amd64": inner})

    assert fetch("app:good").image.layers
    with pytest.raises(DocumentError, match="nested more than 8 deep"):
        fetch("app:deep")


def test_a_platform_that_is_not_offered(home, registry, fetch):
    """The error lists what there is."""
    image = registry.add_image("app", None, [LOW])
    registry.add_index("app", "1", {"linux/amd64": image.descriptor})

    with pytest.raises(NotFoundError, match="the index offers linux/amd64"):
        fetch(platform=platforms.parse("s390x"))

    assert_nothing_came(home)


def test_an_image_for_another_platform_is_told_or_refused(home, registry, fetch):
    """One that was asked for by name must fit; else a warning is enough, as docker has it."""
    registry.add_image("app", "1", [LOW], {"architecture": "arm64"})
    with pytest.raises(NotFoundError, match="is for platform linux/arm64, wanted linux/amd64"):
        fetch(explicit_platform=True)
    assert_nothing_came(home)
    seen = []

    fetch(observe=seen.append)

    (notice,) = [event for event in seen if isinstance(event, Notice)]
    assert notice.severity == "warning"
    assert "linux/arm64" in notice.text


def test_what_is_told_on_the_way(registry, fetch):
    """First what was resolved, then progress that never goes back, then each layer's end."""
    added = registry.add_image("app", "1", [LARGE, LOW])
    seen = []

    fetch(observe=seen.append)

    sizes = tuple((blob.digest, blob.size) for blob in added.layers)
    assert seen[0] == Resolved(f"{registry.host}/app:1", added.descriptor.digest, sizes)
    assert {event for event in seen if isinstance(event, LayerDone)} == {
        LayerDone(blob.digest, reused=False) for blob in added.layers
    }
    for blob in added.layers:
        for phase in {event.phase for event in seen if isinstance(event, LayerProgress)}:
            done = [
                event.done
                for event in seen
                if isinstance(event, LayerProgress)
                and (event.layer, event.phase) == (blob.digest, phase)
            ]
            assert done == sorted(done)
            assert done[-1] == blob.size
    seen.clear()
    fetch(observe=seen.append)
    assert {event for event in seen if isinstance(event, LayerDone)} == {
        LayerDone(blob.digest, reused=True) for blob in added.layers
    }


def test_a_config_may_be_embedded(registry, fetch):
    """M11: what a descriptor brings along, and is right, is not asked for."""
    raw = json.dumps(config_of(diff_id(LOW))).encode()
    config = registry.add_blob("app", raw, oci.OCI_CONFIG)
    add_embedding(registry, config, base64.b64encode(raw).decode())
    told = []

    fetch(observe=told.append)

    assert blob_requests(registry, config) == []
    assert [each for each in told if isinstance(each, Notice)] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: base64.b64encode(raw[:-1] + b" ").decode(),
        lambda raw: base64.b64encode(raw + b" ").decode(),
        lambda raw: base64.b64encode(raw).decode() + "?",
        lambda raw: "é",
    ],
    ids=["M11-wrong-bytes", "M11-wrong-length", "M11-no-base64", "M11-no-ascii"],
)
def test_what_is_embedded_and_wrong_is_fetched(registry, fetch, change):
    """It is warned of, and nothing of it is used."""
    raw = json.dumps(config_of(diff_id(LOW))).encode()
    config = registry.add_blob("app", raw, oci.OCI_CONFIG)
    add_embedding(registry, config, change(raw))
    told = []

    fetch(observe=told.append)

    assert len(blob_requests(registry, config)) == 1
    (notice,) = [each for each in told if isinstance(each, Notice)]
    assert (notice.severity, str(config.digest) in notice.text) == ("warning", True)


def add_embedding(registry, config, data):
    """Hold an image whose config is embedded as `data`."""
    document = {
        "schemaVersion": 2,
        "mediaType": oci.OCI_MANIFEST,
        "config": wire(config, data=data),
        "layers": [wire(add_layer(registry, LOW))],
    }
    registry.add_manifest("app", json.dumps(document).encode(), oci.OCI_MANIFEST, "1")


def test_an_image_without_layers(registry, fetch):
    """It is an image all the same."""
    added = registry.add_image("app", "1", [])

    assert fetch().image.manifest == added.descriptor.digest


def test_one_layer_twice_is_fetched_once(registry, fetch):
    """M13: a layer may stand in a manifest more than once."""
    registry.add_image("app", "1", [LOW, HIGH, LOW])

    image = fetch().image

    assert len(image.layers) == 3
    assert len(blob_requests(registry)) == 3  # the config and two layers


def test_a_layer_of_another_image_is_not_fetched_again(registry, fetch):
    """K13: content is shared by its digest, over repositories too."""
    registry.add_image("app", "1", [LOW])
    other = registry.add_image("other", "1", [LOW, HIGH])
    fetch()
    registry.requests.clear()

    fetch("other:1")

    assert blob_requests(registry, other.layers[0]) == []
    assert len(blob_requests(registry, other.layers[1])) == 1


def test_two_tags_of_one_image(home, registry, fetch):
    """One image with two names; the second name costs no blob."""
    registry.add_image("app", "1", [LOW])
    registry.add_image("app", "2", [LOW])
    fetch("app:1")
    registry.requests.clear()

    assert fetch("app:2").updated

    assert blob_requests(registry) == []
    assert len(home.store.database.images()) == 1
    assert [name.name for name in home.store.database.names()] == [
        f"{registry.host}/app:{tag}" for tag in "12"
    ]


def test_a_tag_that_moved_leaves_its_image_without_a_name(home, registry, fetch):
    """DG-28: the name points to the new image, the old one is listed as docker lists it."""
    old = registry.add_image("app", "1", [LOW])
    fetch()
    new = registry.add_image("app", "1", [HIGH])

    assert fetch().updated

    assert find_image(home, f"{registry.host}/app:1").manifest == new.descriptor.digest
    rows = {str(row.id): (row.repository, row.tag) for row in list_images(home)}
    assert rows == {
        digest_of(new.config): (f"{registry.host}/app", "1"),
        digest_of(old.config): ("<none>", "<none>"),
    }


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_image_by_its_digest(home, registry, fetch, algorithm):
    """R05: the digest is checked and kept as the name; a tag before it is not asked for."""
    added = registry.add_image("app", "1", [LOW])
    digest = f"{algorithm}:{hashlib.new(algorithm, added.raw).hexdigest()}"

    result = fetch(f"app:nope@{digest}")

    assert result.name == f"{registry.host}/app@{digest}"
    assert registry.paths("/manifests/") == [f"/v2/app/manifests/{digest}"]
    assert find_image(home, f"{registry.host}/app@{digest}") == result.image


def test_digests_of_sha512_in_documents(home, registry, fetch):
    """The other registered algorithm is as good for config, layers and diffIDs."""

    def sha512(data):
        return f"sha512:{hashlib.sha512(data).hexdigest()}"

    config = json.dumps(config_of(sha512(LOW))).encode()
    blob = tars.gzipped(LOW)
    for data in (config, blob):
        registry._repository("app").blobs[sha512(data)] = data
    document = {
        "schemaVersion": 2,
        "config": {"mediaType": oci.OCI_CONFIG, "digest": sha512(config), "size": len(config)},
        "layers": [{"mediaType": tars.GZIP_LAYER, "digest": sha512(blob), "size": len(blob)}],
    }
    registry.add_manifest("app", json.dumps(document).encode(), oci.OCI_MANIFEST, "1")

    image = fetch().image

    assert {image.config.algorithm, image.layers[0].blob.algorithm} == {"sha512"}
    assert home.store.layers.has(image.layers[0].diff_id)
    assert not fetch().updated


# -- what is wrong with the registry's content -----------------------------------------------------


def wrong_manifest(registry):
    registry.fault("/manifests/", wrong_bytes)


def wrong_config(registry):
    registry.add_image("app", "1", [LOW])
    config = registry.add_image("app", "1", [LOW]).config
    registry.fault(digest_of(config), wrong_bytes)


def wrong_layer(registry):
    registry.fault(digest_of(registry.add_image("app", "1", [LOW]).layers[0]), wrong_bytes)


def longer_layer(registry):
    registry.fault(digest_of(registry.add_image("app", "1", [LOW]).layers[0]), more_bytes())


def wrong_diff_id(registry):
    layer = add_layer(registry, LOW)
    add_manifest(registry, [wire(layer)], config_of(diff_id(HIGH)))


def two_diff_ids_of_one_layer(registry):
    layer = add_layer(registry, LOW)
    add_manifest(registry, [wire(layer)] * 2, config_of(diff_id(HIGH), diff_id(LOW)))


def size_too_large(registry):
    layer = add_layer(registry, LOW)
    add_manifest(registry, [wire(layer, size=layer.size + 1)], config_of(diff_id(LOW)))


def size_too_small(registry):
    layer = add_layer(registry, LOW)
    add_manifest(registry, [wire(layer, size=layer.size - 1)], config_of(diff_id(LOW)))


def too_few_diff_ids(registry):
    layer = add_layer(registry, LOW)
    add_manifest(registry, [wire(layer)], config_of())


def no_layer_type(registry):
    layer = replace(add_layer(registry, LOW), media_type="application/vnd.example")
    add_manifest(registry, [wire(layer)], config_of(diff_id(LOW)))


def no_archive(registry):
    layer = registry.add_blob("app", b"no archive" * 100, tars.PLAIN_LAYER)
    add_manifest(registry, [wire(layer)], config_of(digest_of(layer)))


def cut_archive(registry):
    cut_off = LOW[:700]
    add_manifest(registry, [wire(add_layer(registry, cut_off))], config_of(diff_id(cut_off)))


def cut_gzip(registry):
    layer = registry.add_blob("app", tars.gzipped(LOW)[:-9], tars.GZIP_LAYER)
    add_manifest(registry, [wire(layer)], config_of(diff_id(LOW)))


def unsafe_name(registry):
    registry.add_image("app", "1", [tars.archive(tars.file("../../x"))])


def link_to_nowhere(registry):
    registry.add_image("app", "1", [LOW, tars.archive(tars.hardlink("h", "nope"))])


def unknown_algorithm(registry):
    layer = add_layer(registry, LOW)
    add_manifest(registry, [wire(layer)], config_of(f"blake3:{diff_id(LOW)[7:]}"))


def artifact(registry):
    empty = registry.add_blob("app", b"{}", oci.OCI_EMPTY)
    document = {"schemaVersion": 2, "config": wire(empty), "layers": []}
    registry.add_manifest("app", json.dumps(document).encode(), oci.OCI_MANIFEST, "1")


def missing_layer(registry):
    layer = add_layer(registry, LOW)
    registry.fault(digest_of(layer), status(404))
    add_manifest(registry, [wire(layer)], config_of(diff_id(LOW)))


def missing_config(registry):
    registry.fault(digest_of(registry.add_image("app", "1", [LOW]).config), status(404))


def layer_always_cut(registry):
    registry.fault(digest_of(registry.add_image("app", "1", [LARGE]).layers[0]), cut(0))


def layer_server_error(registry):
    registry.fault(digest_of(registry.add_image("app", "1", [LOW]).layers[0]), status(500))


def layer_forbidden(registry):
    registry.fault(digest_of(registry.add_image("app", "1", [LOW]).layers[0]), status(403))


BROKEN = [
    (wrong_config, IntegrityError, "wrong digest"),
    (wrong_layer, IntegrityError, r"^registry 127\.0\.0\.1:\d+: wrong digest of blob"),
    (longer_layer, IntegrityError, "size"),
    (wrong_diff_id, IntegrityError, "bad layer .* wrong digest of layer"),
    (two_diff_ids_of_one_layer, IntegrityError, "bad layer .* wrong digest of layer"),
    (size_too_large, IntegrityError, "size"),
    (size_too_small, IntegrityError, "size"),
    (too_few_diff_ids, DocumentError, "1 layers, 0 diff_ids"),
    (no_layer_type, DocumentError, "application/vnd.example"),
    (no_archive, IntegrityError, "bad layer"),
    (cut_archive, IntegrityError, "bad layer .* cut off"),
    (cut_gzip, IntegrityError, "bad layer"),
    (unsafe_name, IntegrityError, "bad layer .* unsafe name"),
    (link_to_nowhere, IntegrityError, "bad layer .* hard link to 'nope'"),
    (unknown_algorithm, DocumentError, "unsupported digest algorithm blake3"),
    (artifact, DocumentError, "an artifact"),
    (missing_layer, NotFoundError, "blob"),
    (missing_config, NotFoundError, "blob"),
    (layer_always_cut, UnavailableError, "broke off"),
    (layer_server_error, UnavailableError, "500"),
    (layer_forbidden, RegistryError, "denies blob"),
]


@pytest.mark.parametrize(
    ("make", "kind", "message"), BROKEN, ids=[row[0].__name__ for row in BROKEN]
)
def test_an_image_that_is_not_what_it_promises(home, registry, fetch, make, kind, message):
    """The error has its class and says what is wrong; no image appears, nothing broken is kept."""
    make(registry)

    with pytest.raises(kind, match=message):
        fetch()

    assert_nothing_came(home)


@pytest.mark.parametrize(
    "make", [wrong_layer, longer_layer, layer_always_cut, layer_server_error, missing_layer]
)
def test_after_a_failure_a_sound_registry_is_enough(home, registry, fetch, make):
    """Nothing of the failed pull is in the way of the next one."""
    make(registry)
    with pytest.raises(Exception, match=r"."):
        fetch()
    registry._faults.clear()

    fetch()

    assert stores.faults(home.store.root) == []
    assert stores.partials(home.store.root) == []


def test_a_manifest_with_other_bytes_than_its_digest(home, registry, fetch):
    """M05: by digest, the bytes must be those."""
    added = registry.add_image("app", "1", [LOW])
    wrong_manifest(registry)

    with pytest.raises(IntegrityError, match="wrong digest of manifest"):
        fetch(f"app@{added.descriptor.digest}")

    assert_nothing_came(home)


def test_one_broken_layer_keeps_the_sound_ones(home, registry, fetch):
    """What was finished is not fetched again, and is no image."""
    added = registry.add_image("app", "1", [LOW, HIGH])

    def late(request, serve):
        until(lambda: home.store.blobs.has(added.layers[0].digest))
        return status(404)(request, serve)

    registry.fault(digest_of(added.layers[1]), late, times=1)
    with pytest.raises(NotFoundError):
        fetch()
    assert_nothing_came(home)

    fetch()

    assert len(blob_requests(registry, added.layers[0])) == 1


def test_a_wrong_diff_id_is_refused_whatever_is_here_already(home, registry, fetch):
    """DG-03, DG-28: that blob and layer are both in the store does not mean they belong together."""
    registry.add_image("app", "both", [LOW, HIGH])
    fetch("app:both")
    wrong_diff_id(registry)

    with pytest.raises(IntegrityError, match="bad layer"):
        fetch("app:1")

    assert [name.name for name in home.store.database.names()] == [f"{registry.host}/app:both"]


def test_a_layer_under_another_compression_is_checked(home, registry, fetch):
    """DG-03, DG-28: the same layer as another blob is fetched and checked against the layer that is here."""
    registry.add_image("app", "gzip", [LOW])
    registry.add_image("app", "zstd", [LOW], compression="zstd")

    first, second = (fetch(f"app:{tag}").image for tag in ("gzip", "zstd"))

    assert first.layers[0].diff_id == second.layers[0].diff_id
    assert first.layers[0].blob != second.layers[0].blob


# -- what is wrong with the connection -------------------------------------------------------------


def test_a_pull_goes_on_where_the_connection_broke(home, registry, fetch):
    """D11: a cut body costs one more request, for a closed range of what is missing."""
    blob = registry.add_image("app", "1", [LARGE], compression="").layers[0]
    registry.fault(digest_of(blob), cut(5_000_000), times=1)

    fetch()

    first, second = blob_requests(registry, blob)
    assert (first.range, second.range) == ("", f"bytes=5000000-{blob.size - 1}")
    assert first.sent + second.sent == blob.size


def test_a_pull_goes_on_as_long_as_each_try_brings_something(registry, fetch):
    """D11: the number of tries is only limited without progress."""
    blob = registry.add_image("app", "1", [LARGE], compression="").layers[0]
    registry.fault(digest_of(blob), cut(1_000_000))

    fetch()

    assert len(blob_requests(registry, blob)) == -(-blob.size // 1_000_000)


def test_a_registry_that_cannot_resume_is_read_anew(registry, fetch):
    """D03: an answer with the whole body is taken from its beginning."""
    blob = registry.add_image("app", "1", [LARGE], compression="").layers[0]
    registry.fault(digest_of(blob), cut(5_000_000), times=1)
    registry.fault(digest_of(blob), ignore_range)

    fetch()

    assert [request.status for request in blob_requests(registry, blob)] == [200, 200]


def test_the_next_pull_goes_on_where_the_last_one_gave_up(home, registry, fetch):
    """D14: what came is kept over the failure, and asked for no more."""
    blob = registry.add_image("app", "1", [LARGE], compression="").layers[0]
    registry.fault(digest_of(blob), cut(5_000_000), times=1)
    registry.fault(digest_of(blob), status(503), times=LIMITS.attempts)
    registry.fault(digest_of(blob), status(503), times=2 * LIMITS.attempts)
    with pytest.raises(UnavailableError):
        fetch()
    assert_nothing_came(home)
    assert stores.partials(home.store.root) == [f"sha256-{blob.digest.hex}"]
    registry._faults.clear()
    registry.requests.clear()

    fetch()

    requests = blob_requests(registry, blob)
    assert min(begin(request) for request in requests) == 5_000_000
    assert sum(request.sent for request in requests) == blob.size - 5_000_000
    assert stores.partials(home.store.root) == []


def test_a_few_bytes_are_no_progress(registry, fetch):
    """D14: a registry that cuts every body at once is given up after the usual number of tries."""
    blob = registry.add_image("app", "1", [LARGE], compression="").layers[0]
    registry.fault(digest_of(blob), cut(100))

    with pytest.raises(UnavailableError):
        fetch()

    assert len(blob_requests(registry, blob)) == LIMITS.blob_attempts


def test_wrong_bytes_of_a_broken_download_do_not_spoil_the_rest(registry, fetch):
    """D22: where what came in pieces turns out wrong, the whole is fetched once more by itself."""
    blob = registry.add_image("app", "1", [LARGE], compression="").layers[0]

    def wrong_and_cut(request, serve):
        return cut(5_000_000)(request, lambda asked: wrong_bytes(asked, serve))

    registry.fault(digest_of(blob), wrong_and_cut, times=1)

    fetch()

    ranges = [request.range for request in blob_requests(registry, blob)]
    assert ranges == ["", f"bytes=5000000-{blob.size - 1}", ""]


SCRIPT = """
import sys
from pathlib import Path
from layerkit import platforms, reference
from layerkit.ops.home import Home
from layerkit.ops.pull import pull
from layerkit.registry import Client

with Home(Path(sys.argv[1])) as home, Client() as client:
    pull(home, reference.parse(sys.argv[2]), client=client, platform=platforms.parse("amd64"))
"""


def begin(request):
    """The first byte that a request asks for."""
    return int(request.range.removeprefix("bytes=").split("-")[0])


def pulling(home, name):
    """A process that pulls."""
    command = [sys.executable, "-c", SCRIPT, str(home.store.root), name]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def test_after_kill_9_the_next_pull_goes_on(home, registry, fetch):
    """K01: of a pull that was killed in the middle of a blob, less than one extent is lost."""
    blob = registry.add_image("app", "1", [LARGE], compression="").layers[0]
    registry.fault(digest_of(blob), stall(2 * EXTENT + 1000), times=1)
    data = home.store.root / f"ingest/sha256-{blob.digest.hex}/data"
    with pulling(home, f"{registry.host}/app:1") as process:
        until(lambda: data.exists() and data.stat().st_size >= 2 * EXTENT)
        process.kill()
    assert_nothing_came(home)
    registry.requests.clear()

    fetch()

    requests = blob_requests(registry, blob)
    start = min(begin(request) for request in requests)
    assert EXTENT <= start <= 2 * EXTENT + 1000
    assert sum(request.sent for request in requests) == blob.size - start
    assert stores.partials(home.store.root) == []


def test_ctrl_c_keeps_what_came(home, registry, fetch, layerkit_command, environment):
    """K02: a pull that is interrupted ends, and the next one asks for the rest only."""
    blob = registry.add_image("app", "1", [LARGE], compression="").layers[0]
    registry.fault(digest_of(blob), stall(2 * EXTENT + 1000), times=1)
    command = [*layerkit_command, "--root", str(home.store.root), "pull"]
    with subprocess.Popen(
        [*command, f"{registry.host}/app:1"], stdin=subprocess.DEVNULL
    ) as process:
        until(lambda: home.store.blobs.arrived(blob.digest, blob.size) >= 2 * EXTENT)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert_nothing_came(home)
    kept = home.store.blobs.arrived(blob.digest, blob.size)
    registry.requests.clear()

    fetch()

    assert sum(each.sent for each in blob_requests(registry, blob)) == blob.size - kept


@pytest.mark.parametrize("fault", [None, ignore_range], ids=["part", "whole"])
def test_a_size_that_the_manifest_does_not_say(home, registry, fetch, fault):
    """D29: the registry is asked for it, and the user told; a layer of nothing has none."""
    empty = registry.add_blob("app", b"", tars.PLAIN_LAYER)
    blob = registry.add_blob("app", LOW, tars.PLAIN_LAYER)
    config = config_of(diff_id(LOW), diff_id(b""))
    add_manifest(registry, [wire(blob, size=0), wire(empty)], config)
    if fault is not None:
        registry.fault(digest_of(blob), fault)
    told = []

    fetch(observe=told.append)

    warnings = [event.text for event in told if isinstance(event, Notice)]
    assert any(
        f"the size of layer {blob.digest.short}: {len(LOW)} bytes" in each for each in warnings
    )
    assert home.store.blobs.has(blob.digest)


def test_ctrl_c_while_another_process_has_the_layer(home, registry, layerkit_command, environment):
    """K09: who waits for a layer that another one unpacks can be stopped; the other goes on."""
    tar = tars.archive(tars.file("f", NOISE[:300_000]))
    added = registry.add_image("app", "1", [tar], compression="")
    blob, layer = added.layers[0], DiffID(digests.of_bytes(tar))
    command = [*layerkit_command, "--root", str(home.store.root), "pull"]
    with (
        home.store.layers.ingest(layer) as owner,
        subprocess.Popen([*command, f"{registry.host}/app:1"], stdin=subprocess.DEVNULL) as process,
    ):
        until(lambda: home.store.blobs.arrived(blob.digest, blob.size) == blob.size)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        owner.write(tar)
        owner.finish()


def test_two_processes_pull_one_image(home, registry):
    """DG-26, K07: each blob is transferred once, and both end well."""
    added = registry.add_image("app", "1", [LARGE, LOW, HIGH], compression="")
    name = f"{registry.host}/app:1"

    with pulling(home, name) as one, pulling(home, name) as two:
        assert (one.wait(), two.wait()) == (0, 0)

    for blob in added.layers:
        assert sum(request.sent for request in blob_requests(registry, blob)) == blob.size
    assert stores.faults(home.store.root) == []
    assert stores.partials(home.store.root) == []
    assert len(home.store.database.images()) == 1


def test_two_processes_pull_images_with_the_same_layers_in_another_order(home, registry):
    """K10: nobody waits for a layer while he keeps another one from going on."""
    tars_ = [tars.archive(tars.file(f"f{number}", NOISE[:300_000])) for number in range(8)]
    registry.add_image("app", "1", tars_)
    registry.add_image("app", "2", tars_[::-1])

    with (
        pulling(home, f"{registry.host}/app:1") as one,
        pulling(home, f"{registry.host}/app:2") as two,
    ):
        assert (one.wait(), two.wait()) == (0, 0)

    assert len(home.store.database.images()) == 2
    assert stores.faults(home.store.root) == []


def test_a_pull_while_the_image_is_removed(home, registry, fetch):
    """Content that goes away meanwhile is an error, never a name for half an image."""
    registry.add_image("app", "1", [LOW])
    fetch()

    def meddle(event):
        if isinstance(event, LayerDone):
            blob = home.store.blobs.path(event.layer)
            blob.unlink()

    with pytest.raises(NotFoundError, match="was removed while"):
        fetch("app:1", observe=meddle)


def test_an_observer_that_raises_ends_the_pull(home, registry, fetch):
    """As Ctrl-C in the middle of a layer: the error comes out, no image appears."""
    registry.add_image("app", "1", [LARGE, LOW])

    def interrupt(event):
        if isinstance(event, LayerProgress):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(observe=interrupt)

    assert_nothing_came(home)
    fetch()
