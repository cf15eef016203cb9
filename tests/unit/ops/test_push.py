"""A push brings the image of a name to its registry as it is here, the manifest last."""

from __future__ import annotations

import json
import random

import pytest
from support import homes, stores, tars
from support.faults import status, with_headers
from support.uploads import UploadRegistry, only, take

from layerkit import oci, platforms, reference
from layerkit.errors import NotFoundError, RegistryError, UsageError
from layerkit.events import LayerDone, LayerProgress, Notice, Phase, Resolved
from layerkit.ops.pull import pull
from layerkit.ops.push import choose, push
from layerkit.ops.remove import remove_image
from layerkit.ops.tag import tag

LAYERS = [
    tars.archive(tars.file(f"n{number}", random.Random(number).randbytes(2_000_000)))
    for number in range(3)
]
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


@pytest.fixture
def registry():
    """A registry on loopback that takes pushes from everybody."""
    with UploadRegistry() as registry:
        yield registry


@pytest.fixture
def image(home, tmp_path):
    """An image of three layers, by name `app:1`."""
    return homes.load_layers(home, tmp_path / "layout", LAYERS)


@pytest.fixture
def send(home, registry, client, image):
    """Names the image and pushes it; the result and what was told."""

    def send(name, **more):
        tag(home, "app:1", f"{registry.host}/{name}")
        events = []
        ref = reference.parse(f"{registry.host}/{name}")
        result = push(home, ref, client=client, observe=events.append, **more)
        return result, events

    return send


def test_the_registry_gets_the_image_as_it_is(home, registry, send, image):
    """P01: manifest, config and layers are byte for byte those of the store."""
    result, events = send("app:2")

    read = home.store.blobs.path
    assert (result.digest, result.size) == (image.manifest, image.manifest_size)
    assert registry.manifest("app", "2") == (image.media_type, read(image.manifest).read_bytes())
    for digest in (image.config, *(layer.blob for layer in image.layers)):
        assert registry.blob("app", digest) == read(digest).read_bytes()
    assert stores.faults(home.store.root) == []
    assert isinstance(events[0], Resolved)
    assert {each.layer for each in events[1:]} == {layer.blob for layer in image.layers}
    assert all(each.phase is Phase.UPLOAD for each in events if isinstance(each, LayerProgress))
    assert sum(isinstance(each, LayerDone) for each in events) == 3


def test_the_manifest_comes_last(registry, send):
    """P08: a manifest never stands there before its blobs."""
    send("app:2")

    assert registry.said()[-1] == "PUT /v2/app/manifests/2"
    assert sum(line.startswith("PUT") for line in registry.said()) == 5


def test_without_a_blob_there_is_no_manifest(home, registry, send, image):
    """P08: when a blob fails, the name does not appear, and the next push sends only the rest."""
    registry.fault("uploads/[0-9]", only("PATCH", take(0)))
    with pytest.raises(RegistryError):
        send("app:2")
    assert not any("/manifests/" in path for path in registry.sent("PUT"))

    registry._faults.clear()
    result, _ = send("app:2")
    assert result.digest == image.manifest
    assert stores.faults(home.store.root) == []


def test_the_second_push_uploads_nothing(registry, send):
    """P01: of what is there, only the question is sent."""
    send("app:2")
    registry.requests.clear()
    _, events = send("app:2")

    assert [line.split()[0] for line in registry.said()] == ["HEAD"] * 4 + ["PUT"]
    assert all(each.reused for each in events[1:])


def test_a_layer_that_is_twice_in_the_image_goes_once(home, registry, client, tmp_path):
    """The same blob is pushed once, and told once."""
    homes.load_layers(home, tmp_path / "twice", [LAYERS[0], LAYERS[0]], name=f"{registry.host}/t:1")
    events = []
    ref = reference.parse(f"{registry.host}/t:1")
    push(home, ref, client=client, observe=events.append)

    assert len(registry.sent("POST")) == 2
    assert sum(isinstance(each, LayerDone) for each in events) == 1


def test_what_the_store_knows_of_a_neighbour_is_mounted(registry, send, image):
    """P05: a repository of the same registry whose image shares the layers is the source."""
    send("library/base:1")
    _, events = send("team/app:2")

    done = [each for each in events if isinstance(each, LayerDone)]
    assert {each.source for each in done} == {"library/base"}
    assert not any(each.reused for each in done)
    assert registry.blob("team/app", image.config) is not None


def test_names_in_other_registries_are_no_sources(registry, send, home):
    """P05: only the same registry can mount."""
    tag(home, "app:1", "registry.example.com/library/base:1")
    send("app:2")

    assert {each.query for each in registry.requests if each.method == "POST"} == {""}


def test_a_pulled_image_keeps_its_digests(home, registry, client):
    """P01: pulled from one name and pushed under another, the manifest is the same bytes."""
    pulled = registry.add_image("from", "1", LAYERS, compression="zstd", docker=True)
    source = reference.parse(f"{registry.host}/from:1")
    pull(home, source, client=client, platform=homes.AMD64)
    tag(home, f"{registry.host}/from:1", f"{registry.host}/to:1")
    push(home, reference.parse(f"{registry.host}/to:1"), client=client)

    assert registry.manifest("to", "1") == (oci.DOCKER_MANIFEST, pulled.raw)


@pytest.mark.parametrize("wanted", [False, True])
def test_foreign_layers_stay_here(home, registry, client, wanted):
    """What must not be distributed is sent only when that is asked for."""
    image = registry.add_image("from", None, LAYERS[:1], docker=True)
    document = json.loads(image.raw)
    document["layers"][0] |= {"mediaType": FOREIGN, "urls": ["https://example.com/layer"]}
    registry.add_manifest("from", json.dumps(document).encode(), oci.DOCKER_MANIFEST, "1")
    name = f"{registry.host}/from:1"
    pull(home, reference.parse(name), client=client, platform=homes.AMD64)
    tag(home, name, f"{registry.host}/to:1")
    events = []
    ref = reference.parse(f"{registry.host}/to:1")
    push(home, ref, client=client, with_foreign=wanted, observe=events.append)

    layer = image.layers[0].digest
    assert (registry.blob("to", layer) is not None) == wanted
    assert registry.manifest("to", "1")[1] == json.dumps(document).encode()
    assert any(isinstance(each, LayerDone) for each in events) == wanted


def test_an_image_for_another_platform_is_not_pushed(registry, send):
    """`--platform` says for which platform the name must be."""
    send("app:2", platform=platforms.parse("linux/amd64"))
    registry.requests.clear()

    with pytest.raises(NotFoundError, match="for platform linux/amd64, wanted linux/riscv64"):
        send("app:2", platform=platforms.parse("linux/riscv64"))
    assert registry.requests == []


def test_a_warning_of_the_registry_is_told_once(registry, send):
    """X04: the same text in every answer is one notice."""
    registry.fault("/v2/", with_headers({"Warning": '299 - "soon \x1b[1mgone"'}))
    _, events = send("app:2")

    (notice,) = [each for each in events if isinstance(each, Notice)]
    assert notice == Notice("warning", f"registry {registry.host} says: soon [1mgone")


def test_a_name_is_needed(home, registry, client, image):
    """Only names are pushed; the hint says how to give one."""
    ref = reference.parse(f"{registry.host}/nothing:1")
    with pytest.raises(NotFoundError, match="no such image") as caught:
        push(home, ref, client=client)
    assert "layerkit tag" in caught.value.hint
    assert registry.requests == []


def test_a_removed_name_is_no_source(home, registry, send, image):
    """P05: what the store does not know any more is not asked for."""
    send("base:1")
    remove_image(home, f"{registry.host}/base:1", force=False)
    registry.requests.clear()
    send("app:2")

    assert {each.query for each in registry.requests if each.method == "POST"} == {""}


@pytest.mark.parametrize(
    ("text", "all_tags", "wanted"),
    [
        ("app", False, None),
        ("app:1", False, ["app:1"]),
        ("r.example/a", True, ["r.example/a:1", "r.example/a:2"]),
        ("r.example/a:1", True, UsageError),
        ("r.example/b", True, NotFoundError),
        (f"app@sha256:{'0' * 64}", False, UsageError),
        (f"app@sha256:{'0' * 64}", True, UsageError),
    ],
)
def test_what_is_meant(home, image, text, all_tags, wanted):
    """One name, or all tags of a repository; a digest is no name to push to."""
    for name in ("r.example/a:2", "r.example/a:1", "r.example/ab:1"):
        tag(home, "app:1", name)
    if isinstance(wanted, list):
        assert [each.familiar for each in choose(home, text, all_tags=all_tags)] == wanted
        return
    with pytest.raises(wanted or NotFoundError):
        choose(home, text, all_tags=all_tags)


def test_a_registry_that_says_no_to_the_manifest(registry, send):
    """P06: the answer to the manifest is told as well."""
    registry.fault("/manifests/", status(403, '{"errors":[{"code":"DENIED","message":"no"}]}'))

    with pytest.raises(RegistryError, match=r"denies push of manifest 2 to .*app.*DENIED"):
        send("app:2")


# -- indexes --------------------------------------------------------------------------------------


@pytest.fixture
def offer(registry):
    """An index `from:1` of two images that share a layer, one of them by way of an index inside."""
    images = [
        registry.add_image("from", None, [LAYERS[0], LAYERS[1 + number]], {"architecture": text})
        for number, text in enumerate(("amd64", "arm64"))
    ]
    inner = registry.add_index("from", None, {"linux/arm64": images[1].descriptor})
    outer = registry.add_index(
        "from", "1", {"linux/amd64": images[0].descriptor, "linux/arm64": inner}
    )
    return [*(image.descriptor for image in images), inner, outer]


@pytest.fixture
def forward(home, registry, client, offer):
    """Pulls `from:1` for some platforms and pushes it as `to:2`; the result and the notes."""

    def forward(*texts, **more):
        source = reference.parse(f"{registry.host}/from:1")
        for text in texts:
            pull(home, source, client=client, platform=platforms.parse(text))
        tag(home, source.familiar, f"{registry.host}/to:2")
        registry.requests.clear()
        events = []
        ref = reference.parse(f"{registry.host}/to:2")
        result = push(home, ref, client=client, observe=events.append, **more)
        return result, [each.text for each in events if isinstance(each, Notice)], events

    return forward


@pytest.mark.parametrize("texts", [("amd64", "arm64"), ("arm64", "amd64")])
def test_an_index_of_which_all_is_here_is_pushed(registry, forward, offer, texts):
    """Byte for byte, after its manifests and the indexes inside; the tag names it."""
    result, notes, events = forward(*texts)

    amd64, arm64, inner, outer = offer
    assert (result.digest, result.size) == (outer.digest, outer.size)
    assert registry.manifest("to", "2") == registry.manifest("from", "1")
    pushed = [path.rpartition("/")[2] for path in registry.sent("PUT") if "/manifests/" in path]
    assert set(pushed[:2]) == {str(amd64.digest), str(arm64.digest)}
    assert pushed[2:] == [str(inner.digest), "2"]
    assert notes == [f"index {outer.digest.short} was pushed with all 2 images that it lists"]
    layers = [each.layer for each in events if isinstance(each, LayerDone)]
    assert len(layers) == len(set(layers)) == len(events[0].layers) == 3


def test_of_an_index_with_holes_the_image_is_pushed(registry, forward, offer):
    """As docker does, since registries refuse such an index; a note says so."""
    result, notes, _ = forward("amd64")

    assert result.digest == offer[0].digest
    assert registry.manifest("to", "2") == registry.manifest("from", str(offer[0].digest))
    (note,) = notes
    assert note.startswith("only the image for linux/amd64 was pushed: ")
    assert note.endswith(f"other manifests of index {offer[3].digest.short} are not here")


def test_with_a_platform_it_is_one_image(forward, offer):
    """Who asks for one platform gets that one, and needs no note about it."""
    result, notes, _ = forward("arm64", "amd64", platform=platforms.parse("amd64"))

    assert (result.digest, notes) == (offer[0].digest, [])


def test_of_an_index_that_was_not_kept_nothing_is_said(home, registry, forward, offer):
    """Names from before indexes were kept are pushed as they were."""
    forward("amd64")
    home.store.blobs.remove(offer[3].digest)

    result, notes, _ = forward()

    assert (result.digest, notes) == (offer[0].digest, [])


def test_no_index_without_its_manifests(registry, forward):
    """P08: when a manifest fails, the tag does not appear."""
    registry.fault("/v2/to/manifests/sha256:", only("PUT", status(500)))

    with pytest.raises(RegistryError):
        forward("amd64", "arm64")

    assert registry._repository("to").tags == {}
