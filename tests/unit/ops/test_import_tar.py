"""A tar becomes an image: the layer as it came, the config as asked for, nothing of the moment."""

import bz2
import gzip
import hashlib
import json
import lzma
import os
import subprocess
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
import zstandard
from support import homes, stores, tars
from support.listing import entries_of

from layerkit.errors import ArchiveError, IntegrityError, StoreError, UsageError
from layerkit.limits import Limits
from layerkit.oci import Platform
from layerkit.ops import history, layers
from layerkit.ops.images import find_image
from layerkit.ops.import_tar import ImportOptions, import_tar
from layerkit.tree import find

TAR = tars.archive(tars.directory("etc"), tars.file("etc/motd", b"hello\n", uid=5))
TIME = datetime(2001, 9, 9, 1, 46, 40, 999, tzinfo=UTC)
PLAIN = "application/vnd.oci.image.layer.v1.tar"


def options(**changed):
    """Options with these differences."""
    wanted = {"platform": homes.AMD64, "created": TIME, "message": "a test", "name": "mine:1"}
    return ImportOptions(**{**wanted, **changed})


@pytest.fixture
def imported(home, tmp_path):
    """Imports bytes from a file; gives the image's record."""

    def run(data=TAR, **changed):
        path = tmp_path / "rootfs.tar"
        path.write_bytes(data)
        image_id = import_tar(home, path, options(**changed))
        return home.store.database.images_by_id(image_id.hex)[0]

    return run


def manifest_of(home, image):
    """The manifest as a document."""
    return json.loads(home.store.blobs.read(image.manifest, 100_000))


def test_the_config_says_what_was_asked_for(home, imported):
    """Platform, time, history and changes are there; the document has no other field."""
    image = imported(
        platform=Platform("linux", "arm", "v7"),
        changes=('CMD ["sh"]', "ENV A=1", "LABEL b=ü"),
    )

    config = history.read_config(home, image)
    assert config.document == {
        "created": "2001-09-09T01:46:40Z",
        "architecture": "arm",
        "variant": "v7",
        "os": "linux",
        "config": {"Cmd": ["sh"], "Env": ["A=1"], "Labels": {"b": "ü"}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(TAR).hexdigest()}"]},
        "history": [{"created": "2001-09-09T01:46:40Z", "comment": "a test"}],
    }
    assert find_image(home, "mine:1") == image
    assert find(layers.tree(home.store, config.diff_ids), b"etc/motd").entry.uid == 5
    assert stores.faults(home.store.root) == []


def test_the_same_input_gives_the_same_image(home, imported):
    """Nothing but the arguments is in the digests, not even the time zone."""
    first = imported()
    east = timezone(timedelta(hours=5))

    assert imported(created=TIME.astimezone(east), name="again").manifest == first.manifest
    assert str(first.config) == (
        "sha256:5dba6929583e2a9078806e79652619fa38a7bf46800205b9734f22e7ceae0820"
    )


@pytest.mark.parametrize(
    ("pack", "media_type", "is_kept"),
    [
        (bytes, PLAIN, True),
        (gzip.compress, f"{PLAIN}+gzip", True),
        (zstandard.ZstdCompressor().compress, f"{PLAIN}+zstd", True),
        (bz2.compress, PLAIN, False),
        (lzma.compress, PLAIN, False),
    ],
    ids=["plain", "gzip", "zstd", "bzip2", "xz"],
)
@pytest.mark.parametrize("source", ["file", "pipe"])
def test_the_layer_is_what_came(home, tmp_path, pack, media_type, is_kept, source):
    """What a layer may be is stored as it is, everything else as the plain tar."""
    data = pack(TAR)
    if source == "file":
        path = tmp_path / "rootfs"
        path.write_bytes(data)
        image_id = import_tar(home, path, options())
    else:
        image_id = from_pipe(home, data)

    image = home.store.database.images_by_id(image_id.hex)[0]
    (layer,) = manifest_of(home, image)["layers"]
    blob = data if is_kept else TAR
    assert layer == {
        "mediaType": media_type,
        "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}",
        "size": len(blob),
    }
    assert home.store.layers.tar(image.layers[0].diff_id).read_bytes() == TAR
    assert stores.faults(home.store.root) == []
    assert stores.partials(home.store.root) == []


def from_pipe(home, data):
    """Imports bytes that come through a pipe."""
    reader, writer = os.pipe()

    def feed():
        with open(writer, "wb") as pipe:
            pipe.write(data)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        return import_tar(home, reader, options())
    finally:
        feeder.join()
        os.close(reader)


def test_without_a_name(home, imported):
    """The image is there by its id alone, as with docker."""
    image = imported(name=None)

    assert home.store.database.names() == []
    assert find_image(home, image.config.short) == image


@pytest.mark.debian("tar")
def test_what_gnu_tar_packs(home, tmp_path):
    """The usual way to make such a tar."""
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    (tmp_path / "root/bin").symlink_to("usr/bin")
    path = tmp_path / "rootfs.tar.gz"
    subprocess.run(["tar", "-czf", path, "-C", tmp_path / "root", "."], check=True)

    image_id = import_tar(home, path, options())

    image = home.store.database.images_by_id(image_id.hex)[0]
    tar = home.store.layers.tar(image.layers[0].diff_id).read_bytes()
    assert {each.path for each in entries_of(tar)} == {b"", b"bin", b"usr", b"usr/bin"}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "nothing to import: the archive is empty"),
        (gzip.compress(b""), "nothing to import: the archive is empty"),
        (b"hello, this is no archive" * 100, "bad layer"),
        (TAR[:700], "bad layer"),
        (gzip.compress(TAR)[:-9], "cut off"),
        (tars.archive(tars.file("../escape")), "unsafe name"),
        (tars.archive(tars.hardlink("a", "b")), "hard link to 'b'"),
        (b"\x04\x22\x4d\x18" + bytes(100), "unsupported compression lz4"),
    ],
    ids=["empty", "empty gzip", "no tar", "cut", "cut gzip", "escape", "bad link", "lz4"],
)
def test_what_is_no_layer_leaves_nothing_behind(home, imported, data, error):
    """It is refused as any layer is, and the store is as it was."""
    with pytest.raises(IntegrityError, match=error):
        imported(data)

    root = home.store.root
    assert home.store.database.images() == []
    assert [*(root / "blobs/sha256").iterdir(), *(root / "layers").iterdir()] == []
    assert stores.faults(root) == []


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (Limits(layer_size=10_000), "more than 10000 bytes"),
        (Limits(expansion=5, expansion_from=0), "more than 5 times as many"),
    ],
    ids=["layer_size", "expansion"],
)
def test_a_bomb_is_stopped(home, imported, limits, error):
    """CZ-20: what is larger than a layer may be is refused while it is measured."""
    home.store.limits = limits

    with pytest.raises(ArchiveError, match=error):
        imported(gzip.compress(bytes(1 << 20)))

    assert stores.faults(home.store.root) == []


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"name": "Bad:1"}, "invalid image name"),
        ({"name": f"mine@sha256:{'0' * 64}"}, "a digest names an image already"),
        ({"changes": ("RUN x",)}, "unknown change"),
    ],
    ids=["name", "digest", "change"],
)
def test_a_bad_request_is_refused_before_anything_is_read(home, tmp_path, changed, error):
    """A mistake in the arguments costs no time."""
    with pytest.raises(UsageError, match=error):
        import_tar(home, tmp_path / "missing", options(**changed))


def test_a_file_that_cannot_be_read(home, tmp_path):
    """What is not there, and what is no file, is told with its path."""
    with pytest.raises(UsageError, match="missing: no such file"):
        import_tar(home, tmp_path / "missing", options())
    with pytest.raises((StoreError, ArchiveError), match="is a directory"):
        import_tar(home, tmp_path, options())
