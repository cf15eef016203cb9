"""A small archive that asks for much is stopped by a limit, which the error names; nothing stays."""

from __future__ import annotations

import gc
import gzip
import hashlib
import json
import lzma

import pytest
from support import disks, stores, tars

from layerkit.errors import ArchiveError, StoreFullError

MIB = 1 << 20


def zstd_zeros(mib: int) -> bytes:
    """Frames of 8 blocks, each of 4 bytes that stand for 128 KiB (RFC 8878, 3.1.1): a MiB each."""
    block = (1 << 1 | (128 << 10) << 3).to_bytes(3, "little") + b"\0"
    return (b"\x28\xb5\x2f\xfd\x00\x38" + block * 8 + b"\x01\0\0") * mib


def zeros(compressed: bytes, size: int) -> tars.Blob:
    """A layer that is nothing but `size` zeros, which is an empty archive."""
    hasher = hashlib.sha256()
    for _ in range(size // MIB):
        hasher.update(bytes(MIB))
    return tars.Blob(compressed, f"sha256:{hasher.hexdigest()}")


BOMBS = {
    "gzip, layer_size": (
        {"layer_size": "20MiB"},
        zeros(gzip.compress(bytes(32 * MIB)), 32 * MIB),
        "more than 20971520 bytes unpacked",
    ),
    "gzip, expansion": (
        {"expansion": 500, "expansion_from": "1MiB"},
        zeros(gzip.compress(bytes(32 * MIB)), 32 * MIB),
        "unpack to more than 500 times as many",
    ),
    "zstd, layer_size": (
        {"layer_size": "20MiB"},
        zeros(zstd_zeros(32), 32 * MIB),
        "more than 20971520 bytes unpacked",
    ),
    "zstd in tiny frames, expansion": (
        {"expansion": 1100, "expansion_from": "20MiB"},
        zeros(zstd_zeros(32), 32 * MIB),
        "unpack to more than 1100 times as many",
    ),
    "entries": (
        {"entries": 1000},
        tars.archive(*(tars.file(f"{number}", b"") for number in range(1001))),
        "more than 1000 entries in one layer",
    ),
    "entries of one name": (
        {"entries": 1000},
        tars.archive(*[tars.file("x", b"")] * 1001),
        "more than 1000 entries in one layer",
    ),
    "implied_folders": (
        {"implied_folders": 1000},
        tars.archive(*(tars.file(f"{number}/" + "d/" * 100, b"") for number in range(40))),
        "more than 1000 folders that only paths name",
    ),
}


@pytest.fixture
def configure(environment, tmp_path, monkeypatch):
    """Writes the limits of this test's configuration file."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("LAYERKIT_CONFIG", str(path))

    def write(limits):
        lines = (f"{key} = {json.dumps(value)}\n" for key, value in limits.items())
        path.write_text("[limits]\n" + "".join(lines))

    write({})
    return write


def is_empty(cli, root) -> bool:
    """Whether there is no image, blob or layer, and nothing half done."""
    assert stores.faults(root) == []
    folders = (root / "blobs/sha256", root / "layers", root / "ingest")
    return cli("images", "-q").out == "" and not any(any(each.iterdir()) for each in folders)


@pytest.mark.parametrize(("limits", "layer", "error"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_stopped(cli, configure, state_root, tmp_path, limits, layer, error):
    """CZ-18, CZ-20: the limit and its key are in the message; without it the layer is a layer."""
    tars.oci_layout(tmp_path / "layout", [layer])
    configure(limits)

    outcome = cli("load", "-q", "-i", tmp_path / "layout")

    assert outcome.code == ArchiveError.exit_code
    assert error in outcome.err
    assert f"{next(iter(limits))} in [limits]" in outcome.err
    assert is_empty(cli, state_root)

    configure({})
    assert cli("load", "-q", "-i", tmp_path / "layout").code == 0


@pytest.mark.root
@pytest.mark.debian("mkfs.ext4", "mount")
@pytest.mark.parametrize("form", ["layer", "archive"])
def test_a_bomb_does_not_fill_the_disk(cli, configure, tmp_path, monkeypatch, form):
    """CZ-18: what is kept free stays free, whether a layer is unpacked or an archive as a whole."""
    if form == "layer":
        tars.oci_layout(tmp_path / "bomb", [zeros(gzip.compress(bytes(96 * MIB)), 96 * MIB)])
    else:
        (tmp_path / "bomb").write_bytes(lzma.compress(bytes(96 * MIB), preset=0))
    configure({"keep_free": "30MiB"})
    with disks.small_ext4(tmp_path, 96 * MIB) as disk:
        monkeypatch.setenv("LAYERKIT_ROOT", str(disk / "state"))
        cli("images")

        outcome = cli("load", "-q", "-i", tmp_path / "bomb")

        assert outcome.code == StoreFullError.exit_code
        assert "no room to unpack: " in outcome.err
        assert "keep_free in [limits]" in outcome.err
        assert is_empty(cli, disk / "state")
        gc.collect()  # the error's traceback still has the blob open
