"""Documents are read by the specification, and anything else is a `DocumentError`."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from layerkit import digest as digests
from layerkit import oci
from layerkit.errors import DocumentError
from layerkit.oci import Index, Manifest, Platform

D1, D2, D3 = (str(digests.of_bytes(name)) for name in (b"1", b"2", b"3"))
LAYER = oci.LAYER_TYPES[1]


def described(media_type=LAYER, digest=D1, size=7, **fields):
    """A descriptor as JSON has it."""
    return {"mediaType": media_type, "digest": digest, "size": size, **fields}


def manifest(**fields):
    """A good manifest with one layer, with `fields` over it; None takes one away."""
    document = {
        "schemaVersion": 2,
        "mediaType": oci.OCI_MANIFEST,
        "config": described(oci.OCI_CONFIG, D2, 10),
        "layers": [described()],
        **fields,
    }
    return {key: value for key, value in document.items() if value is not None}


def index(**fields):
    """A good index with one manifest, with `fields` over it; None takes one away."""
    entry = described(oci.OCI_MANIFEST, platform={"os": "linux", "architecture": "amd64"})
    document = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [entry], **fields}
    return {key: value for key, value in document.items() if value is not None}


def config(**fields):
    """A good image config with one layer, with `fields` over it."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [D1]},
        **fields,
    }


def raw(document):
    """The bytes of a document; bytes stay."""
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def test_a_manifest_is_read_with_its_exact_bytes():
    """Config and layers come in order, and the digest is that of the bytes, not of the fields."""
    data = raw(manifest(layers=[described(), described(digest=D3)])) + b"\n "

    parsed = oci.parse_document(data, oci.OCI_MANIFEST)

    assert isinstance(parsed, Manifest)
    assert [str(layer.digest) for layer in parsed.layers] == [D1, D3]
    assert (str(parsed.config.digest), parsed.config.size) == (D2, 10)
    assert parsed.raw == data
    assert parsed.descriptor == oci.Descriptor(oci.OCI_MANIFEST, digests.of_bytes(data), len(data))


def test_an_index_is_read_with_platforms_and_annotations():
    """Entries come in order, with all that choosing one needs."""
    entry = described(
        oci.DOCKER_MANIFEST,
        platform={"os": "linux", "architecture": "arm", "variant": "v7", "os.version": "1"},
        annotations={"a": "b"},
        artifactType="x/y",
    )

    parsed = oci.parse_document(raw(index(manifests=[entry])))

    assert isinstance(parsed, Index)
    assert parsed.manifests[0].platform == Platform("linux", "arm", "v7")
    assert (parsed.manifests[0].annotations, parsed.manifests[0].artifact_type) == (
        {"a": "b"},
        "x/y",
    )


@pytest.mark.parametrize(
    ("document", "announced"),
    [
        pytest.param(manifest(), "", id="own-type-only"),
        pytest.param(manifest(mediaType=None), oci.OCI_MANIFEST, id="announced-only"),
        pytest.param(manifest(mediaType=None), "", id="no-type-at-all"),
        pytest.param(manifest(mediaType=oci.DOCKER_MANIFEST), oci.DOCKER_MANIFEST, id="docker"),
        pytest.param(manifest(layers=[]), "", id="no-layers"),
        pytest.param(
            manifest(subject=described(), annotations={"a": "b"}), "", id="unknown-fields"
        ),
        pytest.param(index(mediaType=None), "", id="index-without-type"),
        pytest.param(index(mediaType=oci.DOCKER_INDEX), oci.DOCKER_INDEX, id="docker-list"),
        pytest.param(index(manifests=[]), "", id="empty-index"),
    ],
)
def test_documents_that_the_specifications_allow(document, announced):
    """OCI and docker's schema 2 are read, with or without the type that may be left out."""
    assert oci.parse_document(raw(document), announced).raw == raw(document)


SCHEMA1 = {"schemaVersion": 1, "name": "app", "tag": "1", "fsLayers": [{"blobSum": D1}]}
DEEP = b'{"schemaVersion":2,"x":' + b"[" * 100_000
BAD_DOCUMENTS = {
    "no-bytes": b"",
    "no-JSON": b"<html>",
    "no-object": b"[]",
    "null": b"null",
    "no-UTF-8": b'{"schemaVersion":2,"\xff":1}',
    "UTF-16": json.dumps(manifest()).encode("utf-16"),
    "DG-20-BOM": b"\xef\xbb\xbf" + raw(manifest()),
    "DG-20-trailing": raw(manifest()) + b"{}",
    "DG-20-twice": raw(manifest())[:-1] + b',"layers":[]}',
    "DG-20-twice-inside": raw(manifest()).replace(b'"size": 7', b'"size": 7, "size": 8'),
    "DG-20-case": raw(manifest()).replace(b"layers", b"Layers"),
    "DG-20-SE-26-deep": DEEP,
    "DG-20-deep-objects": b'{"schemaVersion":2,"x":' + b'{"a":' * 100_000,
    "DG-20-NaN": raw(manifest(x=float("nan"))),
    "DG-20-Infinity": raw(manifest(x=float("-inf"))),
    "DG-20-5-MB": raw(manifest(x="x" * 5_000_000)),
    "endless-number": b'{"schemaVersion":' + b"2" * 10_000 + b"}",
    "number-beyond-floats": raw(manifest())[:-1] + b',"x":1e999}',
    "lone-surrogate": raw(manifest(x="\ud800")),
    "lone-surrogate-key": raw(manifest(**{"\udfff": 1})),
    "DG-15-schema-1": raw(manifest(schemaVersion=1)),
    "DG-15-schema-3": raw(manifest(schemaVersion=3)),
    "DG-15-schema-missing": raw(manifest(schemaVersion=None)),
    "DG-15-schema-text": raw(manifest(schemaVersion="2")),
    "DG-15-schema-huge": raw(manifest(schemaVersion=["x" * 1000] * 100)),
    "M02-schema-1": raw(SCHEMA1),
    "M02-fsLayers": raw({**SCHEMA1, "schemaVersion": 2}),
    "type-number": raw(manifest(mediaType=7)),
    "type-list": raw(manifest(mediaType=[oci.OCI_MANIFEST])),
    "type-huge": raw(manifest(mediaType="x" * 100_000)),
    "type-of-config": raw(manifest(mediaType=oci.OCI_CONFIG)),
    "type-of-the-other": raw(manifest(mediaType=oci.OCI_INDEX)),
    "index-type-of-the-other": raw(index(mediaType=oci.OCI_MANIFEST)),
    "both-index-and-manifest": raw(manifest(manifests=[])),
    "both-with-config": raw(index(config=described(oci.OCI_CONFIG))),
    "config-missing": raw(manifest(config=None)),
    "layers-missing": raw(manifest(layers=None)),
    "layers-object": raw(manifest(layers={})),
    "layers-of-text": raw(manifest(layers=[D1])),
    "manifests-text": raw(index(manifests="x")),
    "digest-missing": raw(manifest(layers=[{"mediaType": LAYER, "size": 1}])),
    "DG-08-digest-path": raw(manifest(layers=[described(digest="sha256:../../etc/passwd")])),
    "DG-08-digest-case": raw(manifest(layers=[described(digest=D1.upper())])),
    "DG-08-index-digest": raw(index(manifests=[described(oci.OCI_MANIFEST, "../x")])),
    "DG-11-size-negative": raw(manifest(layers=[described(size=-1)])),
    "DG-11-size-fraction": raw(manifest(layers=[described(size=1.5)])),
    "DG-11-size-text": raw(manifest(layers=[described(size="5")])),
    "DG-11-size-null": raw(manifest(layers=[described(size=None)])),
    "DG-11-size-2**63": raw(manifest(layers=[described(size=2**63)])),
    "DG-11-size-10**30": raw(manifest(layers=[described(size=10**30)])),
    "DG-11-size-bool": raw(manifest(layers=[described(size=True)])),
    "DG-11-index-size": raw(index(manifests=[described(oci.OCI_MANIFEST, size=-1)])),
    "DG-21-artifact": raw(manifest(config=described(oci.OCI_EMPTY, D2, 2))),
    "helm-chart": raw(manifest(config=described("application/vnd.cncf.helm.config.v1+json"))),
    "M13-two-sizes": raw(manifest(layers=[described(size=1), described(size=2)])),
    "M13-config-size": raw(manifest(config=described(oci.OCI_CONFIG, D1, 8))),
    "platform-text": raw(index(manifests=[described(oci.OCI_MANIFEST, platform="linux")])),
    "annotations-number": raw(index(manifests=[described(annotations={"a": 1})])),
}


@pytest.mark.parametrize("data", BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS)
def test_broken_documents_are_refused(data):
    """What is not JSON, not a document or could be read in two ways raises one short line."""
    with pytest.raises(DocumentError) as raised:
        oci.parse_document(data)

    assert len(raised.value.message) < 1000
    assert raised.value.message.isprintable()


def test_docker_schema_1_is_named_with_advice():
    """M02: the error says which format it is, and what to do."""
    with pytest.raises(DocumentError, match="schema 1 is not supported") as raised:
        oci.parse_document(raw(SCHEMA1), oci.SCHEMA1_TYPES[1])

    assert "push the image again" in raised.value.hint


def test_an_artifact_is_called_one():
    """DG-21: a manifest whose config is no image's says so, instead of failing to unpack later."""
    with pytest.raises(DocumentError, match="an artifact, not a file system"):
        oci.parse_document(raw(manifest(config=described(oci.OCI_EMPTY, D2, 2))))


@pytest.mark.parametrize("announced", [oci.OCI_INDEX, oci.DOCKER_MANIFEST, "text/html"])
def test_a_document_is_what_it_was_announced_as(announced):
    """A type that contradicts the document's own is refused (CVE-2021-41190)."""
    with pytest.raises(DocumentError, match="ambiguous manifest"):
        oci.parse_document(raw(manifest()), announced)


def test_one_layer_twice_is_allowed():
    """M13: the same digest with the same size may stand in a manifest as often as it likes."""
    parsed = oci.parse_document(raw(manifest(layers=[described(), described()])))

    assert len(parsed.layers) == 2


def test_a_config_is_read_with_its_exact_bytes():
    """Platform, times, runtime settings, diffIDs and history come typed; all else by `document`."""
    data = raw(
        config(
            created="2001-09-09T01:46:40Z",
            author="me",
            variant="v2",
            config={
                "User": "1:2",
                "Env": ["A=b"],
                "Entrypoint": ["/e"],
                "Cmd": ["c"],
                "WorkingDir": "/w",
                "Labels": {"x": "y"},
            },
            history=[{"created_by": "RUN", "comment": "c"}, {"empty_layer": True}],
        )
    )

    parsed = oci.parse_config(data)

    assert parsed.raw == data
    assert parsed.platform == Platform("linux", "amd64", "v2")
    assert (parsed.created, parsed.author) == ("2001-09-09T01:46:40Z", "me")
    assert parsed.runtime == oci.RuntimeConfig(
        "1:2", ("A=b",), ("/e",), ("c",), "/w", labels=(("x", "y"),)
    )
    assert [str(each) for each in parsed.diff_ids] == [D1]
    assert [item.empty_layer for item in parsed.history] == [False, True]
    assert parsed.document["config"]["Labels"] == {"x": "y"}


@pytest.mark.parametrize(
    "fields",
    [
        {"config": None, "history": None, "created": None, "author": None, "variant": None},
        {"config": {"Env": None, "Cmd": None, "Entrypoint": None, "User": None}},
        {"architecture": None, "os": None},
        {"unknown": [1, {"x": None}]},
        {"history": [{"created": None, "created_by": None, "empty_layer": None}]},
    ],
    ids=["null-fields", "null-in-config", "no-platform", "unknown-field", "null-in-history"],
)
def test_go_writes_null_for_what_is_empty(fields):
    """A null field means the same as a missing one."""
    assert oci.parse_config(raw(config(**fields))).diff_ids


@pytest.mark.parametrize(
    "rootfs",
    [{"type": "layers"}, {"type": "layers", "diff_ids": None}, {"diff_ids": []}],
    ids=["missing", "null", "empty"],
)
def test_an_image_of_no_layers_has_no_diff_ids(rootfs):
    """docker leaves the empty list out, Go writes null: both are an image without layers."""
    assert oci.parse_config(raw(config(rootfs=rootfs))).diff_ids == ()


BAD_CONFIGS = {
    "no-bytes": b"",
    "list": b"[]",
    "no-rootfs": raw({"os": "linux"}),
    "rootfs-null": raw(config(rootfs=None)),
    "diff-ids-text": raw(config(rootfs={"diff_ids": D1})),
    "diff-id-number": raw(config(rootfs={"diff_ids": [1]})),
    "DG-08-diff-id": raw(config(rootfs={"diff_ids": ["sha256:../../x"]})),
    "env-text": raw(config(config={"Env": "A=b"})),
    "env-number": raw(config(config={"Env": [1]})),
    "cmd-text": raw(config(config={"Cmd": "sh"})),
    "history-text": raw(config(history=["RUN"])),
    "created-number": raw(config(created=1)),
    "surrogate": raw(config(created="\udc80")),
    "DG-20-twice": raw(config())[:-1] + b',"os":"windows"}',
    "DG-20-deep": DEEP,
    "DG-20-5-MB": raw(config(author="x" * 5_000_000)),
}


@pytest.mark.parametrize("data", BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_broken_configs_are_refused(data):
    """A config that is not what the specification says raises one short line."""
    with pytest.raises(DocumentError) as raised:
        oci.parse_config(data)

    assert len(raised.value.message) < 1000


def image(layers, diff_ids):
    """A manifest with layers of these (type, digest) and a config with these diffIDs."""
    described_ = [described(media_type, digest) for media_type, digest in layers]
    return (
        oci.parse_document(raw(manifest(layers=described_))),
        oci.parse_config(raw(config(rootfs={"type": "layers", "diff_ids": diff_ids}))),
    )


@pytest.mark.parametrize("media_type", oci.LAYER_TYPES, ids=lambda text: text.partition("vnd.")[2])
def test_layers_of_every_known_type_are_taken(media_type):
    """DG-01: OCI's and docker's types, compressed or not, distributable or not."""
    oci.check_image(*image([(media_type, D1)], [D2]))


@pytest.mark.parametrize(
    ("layers", "diff_ids", "message"),
    [
        ([("application/vnd.example.foo", D1)], [D2], "application/vnd.example.foo"),
        ([(f"{oci.LAYER_TYPES[0]}+lz4", D1)], [D2], "lz4"),
        ([(LAYER, D1)], [], "1 layers, 0 diff_ids"),
        ([(LAYER, D1)], [D2, D3], "1 layers, 2 diff_ids"),
        ([(LAYER, f"blake3:{'0' * 64}")], [D2], "unsupported digest algorithm blake3"),
        ([(LAYER, D1)], [f"md5:{D2[7:]}"], "unsupported digest algorithm md5"),
        ([(LAYER, D1)], [f"x:{'0' * 5000}"], "unsupported digest algorithm x"),
    ],
    ids=[
        "DG-02-type",
        "DG-02-lz4",
        "too-few-diff-ids",
        "too-many-diff-ids",
        "DG-10-layer",
        "DG-10-diff-id",
        "DG-10-long",
    ],
)
def test_an_image_that_cannot_be_made_is_refused_before_it_is_fetched(layers, diff_ids, message):
    """Unknown layer types, digests nobody can check and counts that disagree end at once."""
    with pytest.raises(DocumentError, match=message):
        oci.check_image(*image(layers, diff_ids))


@given(st.binary())
def test_any_bytes_are_a_document_or_refused(data):
    """Noise raises nothing but `DocumentError`; hypothesis may find a literal that is a document."""
    for parse in (oci.parse_document, oci.parse_config):
        with contextlib.suppress(DocumentError):
            parse(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([D1, ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def _places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, (*path, number))


def _replaced(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


@st.composite
def mutated(draw, document):
    """A good document with something else in one place."""
    place = draw(st.sampled_from(list(_places(document))))
    return json.dumps(_replaced(document, place, draw(JSON))).encode()


FULL_INDEX = index(manifests=[described(platform={"os": "linux"}, annotations={"a": "b"})])
FULL_CONFIG = config(
    created="", config={"Env": ["A"], "Cmd": [], "User": "x"}, history=[{"created_by": "x"}]
)


@given(st.one_of(mutated(manifest()), mutated(FULL_INDEX)))
def test_a_mutated_document_is_read_or_refused(data):
    """Whatever stands in a field, the parser gives a document or raises `DocumentError`."""
    try:
        parsed = oci.parse_document(data)
    except DocumentError:
        return
    assert parsed.raw == data


@given(mutated(FULL_CONFIG))
def test_a_mutated_config_is_read_or_refused(data):
    """Whatever stands in a field, what comes out can be written as text."""
    try:
        parsed = oci.parse_config(data)
    except DocumentError:
        return
    str(replace(parsed, raw=b"")).encode()


@given(st.data())
def test_a_document_with_flipped_bytes_is_read_or_refused(data):
    """Damage of single bytes raises nothing but `DocumentError`."""
    good = bytearray(raw(data.draw(st.sampled_from([manifest(), FULL_INDEX]))))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DocumentError):
        oci.parse_document(bytes(good))
