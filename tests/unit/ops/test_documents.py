"""The way from a name's document to one platform's manifest, without a registry."""

from __future__ import annotations

import json

import pytest

from layerkit import digest as digests
from layerkit import oci, platforms
from layerkit.errors import DocumentError, IntegrityError, NotFoundError
from layerkit.ops import documents

AMD64 = platforms.parse("amd64")
ARTIFACT = "application/vnd.example.config.v1+json"


class Shelf:
    """Documents by digest; counts what is read."""

    def __init__(self):
        self.held = {}
        self.read_digests = []

    def put(self, document, media_type, **more):
        """Hold a document; its descriptor as JSON."""
        raw = json.dumps(document).encode()
        digest = digests.of_bytes(raw)
        self.held[digest] = raw
        return {"mediaType": media_type, "digest": str(digest), "size": len(raw), **more}

    def image(self, architecture, *, config_type=oci.OCI_CONFIG, system="linux", **more):
        """Hold an image without layers, for this architecture."""
        config = {"os": system, "architecture": architecture, "rootfs": {"diff_ids": []}}
        document = {
            "schemaVersion": 2,
            "config": self.put(config, config_type),
            "layers": [],
        }
        return self.put(document, oci.OCI_MANIFEST, **more)

    def index(self, *entries):
        """Hold an index; its descriptor as JSON."""
        return self.put({"schemaVersion": 2, "manifests": list(entries)}, oci.OCI_INDEX)

    def read(self, descriptor):
        """The bytes of a descriptor."""
        self.read_digests.append(descriptor.digest)
        if descriptor.digest not in self.held:
            raise NotFoundError(f"no {descriptor.digest}")
        return self.held[descriptor.digest]

    def follow(self, entry, wanted=AMD64):
        """The digests of the chosen manifest and of the way there."""
        digest = digests.parse(entry["digest"])
        document = oci.parse_document(self.held[digest])
        manifest, way = documents.follow(digest, document, wanted, self.read, "app")
        assert all(self.held[each] == raw for each, raw in way.items())
        return str(manifest.descriptor.digest), [str(each) for each in way]


@pytest.fixture
def shelf():
    """Nothing yet."""
    return Shelf()


def for_platform(architecture, system="linux"):
    """The platform of an entry."""
    return {"platform": {"os": system, "architecture": architecture}}


def test_the_way_is_told(shelf):
    """The indexes from the outermost to the one with the manifest; of a manifest there is none."""
    image = shelf.image("amd64", **for_platform("amd64"))
    inner = shelf.index(image)
    outer = shelf.index({**inner, **for_platform("amd64")})

    assert shelf.follow(outer) == (image["digest"], [outer["digest"], inner["digest"]])
    assert shelf.follow(image) == (image["digest"], [])


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        pytest.param("linux/arm64", 1, id="M09-that-of-the-config"),
        pytest.param("linux/amd64", 2, id="M09-not-the-first"),
        pytest.param("linux/amd64/v3", 2, id="M09-an-older-variant"),
        pytest.param("linux/s390x", 3, id="M09-one-that-names-it-goes-first"),
    ],
)
def test_an_entry_without_a_platform_has_that_of_its_config(shelf, wanted, number):
    """M09: as containerd does, so that an index without platforms is of use."""
    entries = [
        shelf.image("riscv64"),
        shelf.image("arm64"),
        shelf.image("amd64"),
        shelf.image("s390x", **for_platform("s390x")),
    ]

    assert (
        shelf.follow(shelf.index(*entries), platforms.parse(wanted))[0]
        == (entries[number]["digest"])
    )


def test_nothing_is_looked_into_without_need(shelf):
    """M09: where an entry names the platform, its manifest is all that is read."""
    named = shelf.image("amd64", **for_platform("amd64"))
    shelf.follow(shelf.index(shelf.image("amd64"), named))

    assert [str(each) for each in shelf.read_digests] == [named["digest"]]


def test_what_was_looked_into_is_not_read_again(shelf):
    """M09: a registry counts every manifest."""
    shelf.follow(shelf.index(shelf.image("arm64"), shelf.image("amd64")))

    assert len(shelf.read_digests) == len(set(shelf.read_digests)) == 4


def test_only_a_few_are_looked_into(shelf):
    """M09: a long list of such entries does not mean as many requests."""
    entries = [shelf.image(f"other{number}") for number in range(30)]
    unread = entries[8]["digest"]

    assert shelf.follow(shelf.index(*entries))[0] == unread
    assert len(set(shelf.read_digests)) == 8 * 2 + 1


@pytest.mark.parametrize(
    "kind",
    ["M09-artifact", "M09-absent", "M09-unknown-media-type", "M09-artifactType"],
)
def test_what_is_no_image_is_passed_over(shelf, kind):
    """M09: by its media type or artifactType unread, else when its manifest says so."""
    image = shelf.image("amd64")
    strange = {
        "M09-artifact": lambda: shelf.image("amd64", config_type=ARTIFACT),
        "M09-absent": lambda: {**image, "digest": f"sha256:{'0' * 64}"},
        "M09-unknown-media-type": lambda: {**image, "mediaType": "application/vnd.example"},
        "M09-artifactType": lambda: {**image, "artifactType": ARTIFACT},
    }[kind]()

    assert shelf.follow(shelf.index(strange, image))[0] == image["digest"]
    with pytest.raises(NotFoundError, match="the index offers nothing"):
        shelf.follow(shelf.index(strange))


def test_when_no_config_fits_the_error_lists_them(shelf):
    """M09: with the platforms that were found."""
    index = shelf.index(shelf.image("arm64"), shelf.image("s390x", **for_platform("s390x")))

    with pytest.raises(NotFoundError, match=r"offers linux/arm64, linux/s390x"):
        shelf.follow(index)


@pytest.mark.parametrize("inner", ["index", "image"])
def test_what_tells_no_platform_at_all_is_the_last_resort(shelf, inner):
    """M09: an index inside, or an image whose config names none."""
    image = shelf.image("amd64", system="" if inner == "image" else "linux")
    last = shelf.index(image) if inner == "index" else image

    assert shelf.follow(shelf.index(shelf.image("arm64"), last))[0] == image["digest"]


def test_wrong_bytes_are_not_passed_over(shelf):
    """M09: what is broken is told, not ignored."""
    image = shelf.image("amd64")
    manifest = json.loads(shelf.held[digests.parse(image["digest"])])
    shelf.held[digests.parse(manifest["config"]["digest"])] = b"{}"

    with pytest.raises(IntegrityError, match="image config"):
        shelf.follow(shelf.index(image))


def test_too_deep_is_refused(shelf):
    """DG-17: eight documents, the manifest among them."""
    entry = shelf.image("amd64")
    for _ in range(oci.INDEX_DEPTH - 1):
        entry = shelf.index(entry)

    assert len(shelf.follow(entry)[1]) == oci.INDEX_DEPTH - 1
    with pytest.raises(DocumentError, match="nested more than 8 deep"):
        shelf.follow(shelf.index(entry))
