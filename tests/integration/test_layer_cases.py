"""Layers and their blobs, good and bad, on the whole way: `load` or `pull`, then `unpack`."""

from __future__ import annotations

import gzip
import json

import pytest
import zstandard
from support import stores, tars
from support.listing import merged, scan_of
from support.registry import TestRegistry
from support.tars import Blob, archive, directory, file, whiteout
from support.trees import differences, scan

from layerkit import digest, oci
from layerkit.store import layers as stored_layers

TAR = archive(file("a", "A" * 600), directory("d/"), file("d/b", "BB"))
OCI = "application/vnd.oci.image.layer.v1.tar"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
DOCKER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"


def gz(tar):
    """One gzip member."""
    return gzip.compress(tar, mtime=0)


def plain(tar):
    """The tar as it is."""
    return tar


def blob(data, tar, media_type=OCI + "+gzip"):
    """A layer's blob with the diffID of `tar`."""
    return Blob(data, str(digest.of_bytes(tar)), media_type)


@pytest.fixture
def load(cli, tmp_path):
    """Loads an image of these layers."""

    def run(*layers):
        tars.oci_layout(tmp_path / "layout", layers)
        return cli("load", "-q", "-i", tmp_path / "layout")

    return run


@pytest.fixture
def unpacked(cli, load, tmp_path):
    """What is in the directory after `load` and `unpack` of these layers."""

    def run(*layers):
        loaded = load(*layers)
        assert loaded.code == 0, loaded.err
        assert cli("unpack", "layout:test", tmp_path / "rootfs").code == 0
        return scan(tmp_path / "rootfs")

    return run


LABELS = {
    "DG-01 plain": (OCI, plain),
    "DG-01 gzip": (OCI + "+gzip", gz),
    "DG-01 zstd": (OCI + "+zstd", zstandard.compress),
    "DG-01 nondistributable": (FOREIGN, plain),
    "DG-01 nondistributable gzip": (FOREIGN + "+gzip", gz),
    "DG-01 nondistributable zstd": (FOREIGN + "+zstd", zstandard.compress),
    "DG-01 docker": (DOCKER, plain),
    "DG-01 docker gzip": (DOCKER + ".gzip", gz),
    "DG-01 docker foreign": (DOCKER_FOREIGN + ".gzip", gz),
    "CZ-15 gzip type, plain bytes": (OCI + "+gzip", plain),
    "CZ-15 plain type, gzip bytes": (OCI, gz),
    "CZ-15 gzip type, zstd bytes": (OCI + "+gzip", zstandard.compress),
    "CZ-15 zstd type, gzip bytes": (OCI + "+zstd", gz),
    "CZ-15 docker's type, zstd bytes": (DOCKER + ".gzip", zstandard.compress),
}


@pytest.mark.root
@pytest.mark.parametrize(("media_type", "pack"), LABELS.values(), ids=LABELS)
def test_the_bytes_count_and_not_their_label(unpacked, media_type, pack):
    """Each type that a layer may have unpacks, and whatever the bytes are in truth."""
    found = unpacked(blob(pack(TAR), TAR, media_type))

    assert differences(scan_of(merged([TAR]), [TAR]), found) == []


@pytest.mark.root
def test_a_blob_of_nothing_is_the_empty_layer(unpacked):
    """TE-12: with the diffID of nothing, no byte of gzip is needed."""
    found = unpacked(tars.Blob(TAR, str(digest.of_bytes(TAR)), OCI), blob(b"", b""))

    assert differences(scan_of(merged([TAR]), [TAR]), found) == []


@pytest.mark.root
def test_the_empty_layer_of_docker_hides_nothing(unpacked):
    """TE-09: 1,024 zeros are a layer, with the diffID that everybody knows."""
    assert str(digest.of_bytes(tars.END)) == (
        "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    )

    found = unpacked(TAR, blob(gz(tars.END), tars.END))

    assert differences(scan_of(merged([TAR]), [TAR]), found) == []


HIGH = archive(whiteout("d/b"), file("new"))
DAMAGED = {
    "TE-12 nothing in the place of a layer": (blob(b"", TAR), "wrong digest of layer"),
    "TE-15 cut before the trailer": (blob(gz(HIGH)[:-8], HIGH), "stream is cut off"),
    "TE-15 cut in the trailer": (blob(gz(HIGH)[:-1], HIGH), "stream is cut off"),
    "CZ-03 junk behind": (blob(gz(HIGH) + b"junkjunk", HIGH), "damaged gzip stream"),
    "CZ-12 zstd cut": (blob(zstandard.compress(HIGH)[:-5], HIGH), "stream is cut off"),
    "CZ-19 gzip in gzip": (blob(gz(gz(HIGH)), HIGH), "wrong digest of layer"),
    "DG-03 another layer's diffID": (blob(gz(HIGH), TAR), "wrong digest of layer"),
    "PY-01 a wrong checksum behind the first entry": (
        archive(file("a"), b"x" + file("b")[1:]),
        "wrong header checksum",
    ),
    "PY-07 an unknown type": (archive(tars.header("x", b"Z"), file("a")), "unknown type flag"),
}


@pytest.mark.parametrize(("layer", "why"), DAMAGED.values(), ids=DAMAGED)
def test_nothing_of_a_damaged_layer_stays(cli, load, state_root, layer, why):
    """Whether its entries could be read or not: no image, no layer, nothing half done."""
    loaded = load(file("below") + tars.END, layer)

    assert loaded.code == 4
    assert why in loaded.err
    assert cli("images", "-q").out == ""
    kept = [path.name for path in (state_root / "layers").iterdir()]
    assert kept in ([], [digest.of_bytes(file("below") + tars.END).hex])
    assert stores.faults(state_root) == []


def test_a_bomb_stops_at_the_limit(load, state_root, tmp_path, monkeypatch):
    """CZ-18: no more is written than the limit and one piece, and none of it stays."""
    limit, written = 3 << 20, []
    write = stored_layers.LayerIngest.write

    def counted(self, chunk):
        write(self, chunk)
        written.append(self.size)

    (tmp_path / "config.toml").write_text(f"[limits]\nlayer_size = {limit}\n")
    monkeypatch.setenv("LAYERKIT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr(stored_layers.LayerIngest, "write", counted)
    tar = archive(file("z", bytes(100 << 20)))

    loaded = load(blob(gzip.compress(tar, 9, mtime=0), tar))

    assert loaded.code == 4
    assert f"more than {limit} bytes" in loaded.err
    assert 0 < max(written) <= limit
    assert not list((state_root / "layers").glob("*"))
    assert stores.faults(state_root) == []


@pytest.mark.root
def test_no_program_is_looked_for(unpacked, tmp_path, monkeypatch):
    """CZ-17, SE-14: what is called xz or unpigz, on the PATH or in the image, never runs."""
    names = ("unpigz", "pigz", "gzip", "zstd", "xz", "tar")
    for name in names:
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    script = f"#!/bin/sh\ntouch {tmp_path}/ran\n"
    evil = archive(*(file(f"usr/bin/{name}", script, mode=0o755) for name in names))

    found = unpacked(evil, blob(zstandard.compress(TAR), TAR, OCI + "+zstd"))

    assert found[b"usr/bin/xz"].size == len(script)
    assert not (tmp_path / "ran").exists()


def test_the_urls_of_a_layer_are_not_asked(cli):
    """DG-19: a layer comes from its registry; another host that it names learns nothing."""
    with TestRegistry() as registry, TestRegistry() as other:
        config = {"rootfs": {"type": "layers", "diff_ids": [str(digest.of_bytes(TAR))]}}
        raw = json.dumps({"architecture": "amd64", "os": "linux", **config}).encode()
        registry.add_blob("app", gz(TAR))
        registry.add_blob("app", raw)
        layer = {**wire(DOCKER_FOREIGN + ".gzip", gz(TAR)), "urls": [f"{other.url}/v2/x"]}
        manifest = {"schemaVersion": 2, "config": wire(oci.OCI_CONFIG, raw), "layers": [layer]}
        registry.add_manifest("app", json.dumps(manifest).encode(), oci.OCI_MANIFEST, "1")

        assert cli("pull", "-q", f"{registry.host}/app:1").code == 0
        assert other.requests == []


def wire(media_type, data):
    """The descriptor of these bytes, as in a manifest."""
    return {"mediaType": media_type, "digest": str(digest.of_bytes(data)), "size": len(data)}
