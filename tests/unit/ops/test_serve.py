"""Which repository a client means, what of the store it gets, and where the server listens."""

import json
import socket

import pytest
from support import homes, tars

from layerkit import digest as digests
from layerkit.errors import LayerkitError, UsageError
from layerkit.events import Notice
from layerkit.oci import DOCKER_INDEX, OCI_CONFIG, OCI_MANIFEST
from layerkit.ops.remove import remove_image
from layerkit.ops.serve import HomeCatalog, listen, url
from layerkit.ops.tag import tag
from layerkit.registry.serving import Repository
from layerkit.store.records import ImageRecord, NameRecord

LAYERS = [tars.archive(tars.file("a", b"a"))]
OTHERS = [tars.archive(tars.file("b", b"b"))]
NAMES = (
    "docker.io/library/centos:7",
    "docker.io/library/centos:8",
    "quay.io/some/app:1",
    "quay.io/both/app:1",
    "ghcr.io/both/app:2",
    "localhost:5000/mine:1",
    "localhost:5000/library/centos:9",
)


@pytest.fixture
def image(home, tmp_path):
    """An image with all the names."""
    image = homes.load_layers(home, tmp_path / "layout", LAYERS, name=NAMES[0])
    for name in NAMES[1:]:
        tag(home, NAMES[0], name)
    return image


@pytest.fixture
def catalog(home, image):
    """What is served of the state directory."""
    return HomeCatalog(home)


@pytest.mark.parametrize(
    ("name", "registry", "tags"),
    [
        ("library/centos", "", ["7", "8"]),
        ("centos", "", ["7", "8"]),
        ("docker.io/library/centos", "", ["7", "8"]),
        ("library/centos", "docker.io", ["7", "8"]),
        ("centos", "docker.io", None),
        ("library/centos", "localhost:5000", ["9"]),
        ("quay.io/some/app", "", ["1"]),
        ("some/app", "", ["1"]),
        ("some/app", "quay.io", ["1"]),
        ("some/app", "ghcr.io", None),
        ("both/app", "", None),
        ("both/app", "ghcr.io", ["2"]),
        ("ghcr.io/both/app", "", ["2"]),
        ("mine", "", ["1"]),
        ("mine", "localhost:5000", ["1"]),
        ("library/mine", "", None),
        ("nothing", "", None),
        ("0" * 64, "", None),
    ],
)
def test_a_repository_is_meant(catalog, name, registry, tags):
    """As docker reads the name, else the only one of that name; exactly, if the registry is given."""
    found = catalog.tags(Repository(name, registry))

    assert (found and sorted(found)) == tags


def test_the_catalog_has_the_shortest_names(catalog):
    """Every name that it lists means the repository it is listed for."""
    assert sorted(catalog.repositories()) == [
        "ghcr.io/both/app",
        "library/centos",
        "localhost:5000/library/centos",
        "mine",
        "quay.io/both/app",
        "some/app",
    ]


def test_a_manifest_is_found(catalog, image, home):
    """By tag and by digest it is the one that was loaded, byte for byte."""
    repository = Repository("library/centos")
    (found,) = catalog.documents(repository, "7")

    assert [found] == catalog.documents(repository, image.manifest)
    assert (found.digest, found.media_type) == (image.manifest, OCI_MANIFEST)
    assert digests.of_bytes(found.raw) == image.manifest
    assert catalog.documents(repository, "9") == []
    assert catalog.documents(repository, image.config) == []
    assert catalog.documents(Repository("nothing"), image.manifest) == []


def test_a_name_with_a_digest_has_no_tag(home, image):
    """What was pulled by digest is found by digest alone."""
    name = f"docker.io/library/app@{image.manifest}"
    home.store.name_image(image, [NameRecord(name, image.manifest, image.manifest)])
    repository = Repository("library/app")

    assert HomeCatalog(home).tags(repository) == []
    assert len(HomeCatalog(home).documents(repository, image.manifest)) == 1


def add_index(home, image, *more, name="docker.io/library/app:i"):
    """Give an image a name that came from an index of it and of more; its digest and bytes."""
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": str(digest), "size": 1}
        for digest in (image.manifest, *more)
    ]
    document = {"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": entries}
    raw = json.dumps(document).encode()
    index = digests.of_bytes(raw)
    home.store.name_image(image, [NameRecord(name, image.manifest, index)])
    return index, raw


def test_an_index_that_was_kept_is_served(home, image):
    """By tag it goes before the manifest, so the digest is that of its registry; by digest, too."""
    index, raw = add_index(home, image)
    home.store.blobs.put(raw)
    catalog, repository = HomeCatalog(home), Repository("app")

    first, second = catalog.documents(repository, "i")
    assert (first.media_type, first.digest, first.raw) == (DOCKER_INDEX, index, raw)
    assert second.digest == image.manifest
    assert catalog.documents(repository, index) == [first]
    assert catalog.documents(Repository("centos"), index) == []


def test_an_index_that_was_not_kept_is_no_matter(home, image):
    """The tag is the manifest, as earlier versions left it; by digest the index is not there."""
    index, _ = add_index(home, image)
    catalog, repository = HomeCatalog(home), Repository("app")

    assert [each.digest for each in catalog.documents(repository, "i")] == [image.manifest]
    assert catalog.documents(repository, index) == []


def test_of_an_index_all_that_is_here_is_served(home, image, tmp_path):
    """Another image that it lists is there with its blobs, though it has no name; strangers not."""
    other = homes.load_layers(home, tmp_path / "other", OTHERS, name="docker.io/library/other:1")
    absent = digests.of_bytes(b"absent")
    _, raw = add_index(home, image, other.manifest, absent)
    catalog, repository = HomeCatalog(home), Repository("app")
    assert catalog.documents(repository, other.manifest) == []
    home.store.blobs.put(raw)
    home.store.remove_names(["docker.io/library/other:1"], [])

    (found,) = catalog.documents(repository, other.manifest)
    assert found.digest == other.manifest
    assert catalog.blob(repository, other.config) == home.store.blobs.path(other.config)
    assert catalog.blob(repository, image.config) == home.store.blobs.path(image.config)
    assert catalog.documents(repository, absent) == []
    assert catalog.blob(repository, absent) is None
    assert catalog.tags(repository) == ["i"]


def test_only_blobs_of_the_repository_are_found(home, catalog, image, tmp_path):
    """Config and layers of its images are, those of another repository's and strays are not."""
    other = homes.load_layers(home, tmp_path / "other", OTHERS, name="docker.io/library/other:1")
    stray = home.store.blobs.put(b"stray")
    centos = Repository("library/centos")

    for blob in (image.config, image.layers[0].blob):
        assert catalog.blob(centos, blob) == home.store.blobs.path(blob)
        assert catalog.blob(Repository("other"), blob) is None
    assert catalog.blob(centos, other.config) is None
    assert catalog.blob(centos, stray) is None


def test_a_removed_image_is_not_served(home, catalog, image):
    """With its last name an image leaves the registry, while it runs."""
    for name in NAMES:
        remove_image(home, name)

    assert catalog.repositories() == []
    assert catalog.documents(Repository("centos"), "7") == []


def test_an_image_with_a_subject_is_its_referrer(home, catalog, image):
    """The descriptor has type, annotations and the kind of what refers (distribution-spec)."""
    subject = {"mediaType": OCI_MANIFEST, "digest": str(image.manifest), "size": 1}
    config = {"mediaType": OCI_CONFIG, "digest": str(image.config), "size": 1}
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "config": config,
            "layers": [],
            "subject": subject,
            "annotations": {"a": "b"},
        }
    ).encode()
    manifest = home.store.blobs.put(raw)
    record = ImageRecord(
        manifest, OCI_MANIFEST, len(raw), image.config, "linux/amd64", "", 0, image.layers
    )
    name = NameRecord("docker.io/library/centos:signed", manifest, manifest)
    home.store.name_image(record, [name])
    centos = Repository("centos")

    assert catalog.referrers(centos, image.manifest) == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": str(manifest),
            "size": len(raw),
            "artifactType": OCI_CONFIG,
            "annotations": {"a": "b"},
        }
    ]
    assert catalog.referrers(centos, manifest) == []
    assert catalog.referrers(Repository("some/app"), image.manifest) == []


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("127.0.0.1:0", "http://127.0.0.1:"),
        ("localhost:0", "http://"),
        ("[::1]:0", "http://[::1]:"),
    ],
)
def test_it_listens_here(text, start):
    """An address of this machine alone is no reason to warn; port 0 is a free one."""
    events = []
    with listen(text, events.append) as listener:
        port = listener.getsockname()[1]
        assert port != 0
        assert url(listener).startswith(start)
        assert url(listener).endswith(f":{port}")
    assert events == []


@pytest.mark.parametrize("text", ["0.0.0.0:0", ":0", "[::]:0"])
def test_an_open_address_is_warned_of(text):
    """Where others can reach the server, the user is told what that means."""
    events = []
    with listen(text, events.append) as listener:
        (event,) = events
        assert isinstance(event, Notice)
        assert event.severity == "warning"
        assert event.text.startswith(f"{url(listener)} is open to the network")
        with socket.create_connection(
            ("127.0.0.1" if text[0] != "[" else "::1", listener.getsockname()[1])
        ):
            pass


@pytest.mark.parametrize(
    "text",
    ["", "5000", "127.0.0.1", "::1:5000", "[::1]", "[::1:5000", "a:b:1", "a:", "a:x", "a:65536", "a:-1",
     "http://127.0.0.1:5000", "a:5000/", "a:99999999"],
)  # fmt: skip
def test_a_bad_address_is_refused(text):
    """What is not HOST:PORT is an error in the call."""
    with pytest.raises(UsageError, match="wanted HOST:PORT"):
        listen(text, print)


@pytest.mark.parametrize(
    "text", ["no.such.host.invalid:0", "[::g]:0", "a..b:0", "192.0.2.1:0", "[1.2]:0"]
)
def test_a_place_that_is_not_here_is_an_error(text):
    """A host that nobody knows or that is elsewhere is told in a line."""
    with pytest.raises(LayerkitError) as caught:
        listen(text, print)

    assert text in caught.value.message


def test_a_port_in_use_is_told():
    """The message says where and why."""
    with listen("127.0.0.1:0", print) as listener:
        text = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(LayerkitError, match=f"cannot listen at {text}: address already in use"):
            listen(text, print)
