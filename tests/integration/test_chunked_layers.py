"""Layers that lazy clients read in pieces, zstd:chunked and eStargz, are ordinary layers here."""

from __future__ import annotations

import json
import subprocess

import pytest
from support import tars
from support.estargz import INDEX, LANDMARK, estargz, footer
from support.listing import merged, scan_of
from support.registry import TestRegistry
from support.tars import Blob, directory, file, hardlink, symlink, whiteout
from support.trees import differences, scan

from layerkit import digest

pytestmark = pytest.mark.root

LOW = [
    directory("d/"),
    file("d/a", "A" * 5000),
    file("d/gone", "gone"),
    file("b", bytes(range(256)) * 500, mode=0o4755, uid=7),
    hardlink("h", "b", mode=0o4755, uid=7),
    symlink("s", "d/a"),
    file("empty", ""),
]
HIGH = [whiteout("d/gone"), file("d/n", "N" * 10_000)]
PLAIN = [tars.archive(*LOW), tars.archive(*HIGH)]
WANTED = scan_of(merged(PLAIN), PLAIN)
ZSTD_CHUNKED_MAGIC = b"GnUlInUx"


def blobs_of(layout):
    """The manifest of a layout with one image, and the blobs that it names, config first."""
    index = json.loads((layout / "index.json").read_text())
    folder = layout / "blobs/sha256"
    raw = (folder / index["manifests"][0]["digest"][7:]).read_bytes()
    manifest = json.loads(raw)
    named = [manifest["config"], *manifest["layers"]]
    return raw, [(folder / each["digest"][7:]).read_bytes() for each in named]


@pytest.fixture
def zstd_chunked(tmp_path):
    """A layout with layers as skopeo writes them."""
    tars.oci_layout(tmp_path / "plain", PLAIN)
    layout = tmp_path / "chunked"
    command = ["skopeo", "--insecure-policy", "copy", "--quiet"]
    command += ["--dest-compress-format", "zstd:chunked"]
    command += [f"oci:{tmp_path / 'plain'}:test", f"oci:{layout}:test"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    _, (_, *layers) = blobs_of(layout)
    assert all(layer.endswith(ZSTD_CHUNKED_MAGIC) for layer in layers)
    return layout


def estargz_layers():
    """The blobs of the image as eStargz, and the tars in them."""
    made = [estargz(entries) for entries in (LOW, HIGH)]
    blobs = [Blob(blob, str(digest.of_bytes(tar))) for blob, tar in made]
    return blobs, [tar for _, tar in made]


@pytest.fixture
def estargz_layout(tmp_path):
    """A layout with eStargz layers."""
    tars.oci_layout(tmp_path / "estargz", estargz_layers()[0])
    return tmp_path / "estargz"


@pytest.fixture
def bring(cli, tmp_path):
    """Brings the image of a layout in, in one of the two ways; gives its name."""

    def run(layout, way):
        if way == "load":
            assert cli("load", "-q", "-i", layout).code == 0
            return f"{layout.name}:test"
        with TestRegistry() as registry:
            raw, blobs = blobs_of(layout)
            for blob in blobs:
                registry.add_blob("app", blob)
            media_type = "application/vnd.oci.image.manifest.v1+json"
            registry.add_manifest("app", raw, media_type, "1")
            name = f"{registry.host}/app:1"
            pulled = cli("pull", "-q", name)
            assert pulled.code == 0, pulled.err
            return name

    return run


@pytest.fixture
def unpacked(cli, tmp_path):
    """What `unpack` makes of an image."""

    def run(name):
        done = cli("unpack", name, tmp_path / "rootfs")
        assert (done.code, done.err) == (0, "")
        return scan(tmp_path / "rootfs")

    return run


@pytest.mark.debian("skopeo")
@pytest.mark.parametrize("way", ["load", "pull"])
def test_zstd_chunked_is_zstd(zstd_chunked, bring, unpacked, way):
    """The skippable frames that hold its index are skipped: the tree is the plain image's."""
    assert differences(WANTED, unpacked(bring(zstd_chunked, way))) == []


@pytest.mark.parametrize("way", ["load", "pull"])
def test_estargz_is_gzip(estargz_layout, bring, unpacked, way):
    """Its many members are one tar, whose index and landmark are files like any other."""
    _, layers = estargz_layers()

    found = unpacked(bring(estargz_layout, way))

    assert differences(scan_of(merged(layers), layers), found) == []
    assert found[LANDMARK.encode()].size == 1
    index = found.pop(INDEX.encode()), found.pop(LANDMARK.encode())
    assert [each.kind for each in index] == ["file", "file"]
    assert differences(WANTED, found) == []


def test_the_footer_has_the_size_that_clients_look_for():
    """51 bytes from the end, as the format has it."""
    blob, tar = estargz(HIGH)

    assert blob.endswith(footer(blob.rindex(b"\x1f\x8b\x08", 0, len(blob) - 51)))
    assert len(footer(0)) == 51
    assert tar.count(INDEX.encode()) == 1


def test_a_damaged_footer_is_damage(cli, tmp_path):
    """It is part of the gzip stream: a layer whose footer is cut is refused."""
    (blob, other), _ = estargz_layers()
    cut = Blob(blob.data[:-4], blob.diff_id)
    tars.oci_layout(tmp_path / "cut", [cut, other])

    loaded = cli("load", "-q", "-i", tmp_path / "cut")

    assert loaded.code == 4
    assert "the gzip stream is cut off" in loaded.err
