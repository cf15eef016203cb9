"""Images are loaded from layouts and archives, verified whole before a name appears.

The shapes that docker and podman give an archive are in `test_load_shapes`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile

import pytest
import zstandard
from support import homes, stores, tars

from layerkit import digest as digests
from layerkit import oci, platforms
from layerkit.errors import (
    ArchiveError,
    DocumentError,
    IntegrityError,
    NotFoundError,
    StoreError,
    UsageError,
)
from layerkit.events import LayerDone, Resolved
from layerkit.ops import layers as ops_layers
from layerkit.ops.home import Home
from layerkit.ops.images import find_image
from layerkit.ops.load import load
from layerkit.ops.remove import remove_image
from layerkit.tree import walk

LOW = tars.archive(tars.directory("d/"), tars.file("d/a", "A"), tars.file("b", "B"))
HIGH = tars.archive(tars.whiteout("d/a"), tars.file("d/n", "N"))
NAME = "example.com/team/app:1"


def pack(files, target):
    """A tar archive of files by name, as Python's `tarfile` writes it."""
    with tarfile.open(target, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target


def files_of(folder):
    """The files below a directory by name."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def layout(tmp_path):
    """An OCI layout with one image of two layers."""
    folder = tmp_path / "layout"
    tars.oci_layout(folder, [LOW, HIGH], name=NAME)
    return folder


@pytest.fixture
def bring(home):
    """Loads what is at a path."""

    def bring(path, **options):
        options.setdefault("platform", homes.AMD64)
        return load(home, path, **options)

    return bring


def paths(home, image):
    """What the image shows."""
    tree = ops_layers.tree(home.store, [layer.diff_id for layer in image.layers])
    return [path for path, _ in walk(tree)]


def assert_nothing_came(home):
    """No image is here, nothing in the store is broken, and nothing waits to go on."""
    assert home.store.database.images() == []
    assert stores.faults(home.store.root) == []
    assert stores.partials(home.store.root) == []


@pytest.mark.parametrize("form", ["directory", "tar", "gzip", "zstd", "no magic"])
def test_an_oci_layout_in_any_form(home, layout, bring, tmp_path, form):
    """A directory, and an archive of one, plain or compressed, give the same image."""
    files, path = files_of(layout), tmp_path / "app.tar"
    match form:
        case "directory":
            path = layout
        case "tar":
            pack(files, path)
        case "gzip":
            path.write_bytes(gzip.compress(pack(files, tmp_path / "plain").read_bytes()))
        case "zstd":
            path.write_bytes(zstandard.compress(pack(files, tmp_path / "plain").read_bytes()))
        case "no magic":
            entries = [tars.file(name, data, magic=tars.V7) for name, data in files.items()]
            path.write_bytes(tars.archive(*entries))

    (loaded,) = bring(path)

    kind = "OCI image layout" if form == "directory" else "OCI archive"
    assert (loaded.kind, loaded.name) == (kind, NAME)
    image = find_image(home, NAME)
    assert image.config == loaded.id
    assert paths(home, image) == [b"b", b"d", b"d/n"]
    assert stores.faults(home.store.root) == []
    assert stores.partials(home.store.root) == []


@pytest.mark.debian("skopeo")
@pytest.mark.parametrize(
    ("transport", "kind"),
    [
        ("docker-archive", "docker archive"),
        ("oci-archive", "OCI archive"),
        ("oci", "OCI image layout"),
    ],
)
def test_what_skopeo_writes(home, layout, bring, tmp_path, transport, kind):
    """The same image comes from each of its formats."""
    path = tmp_path / "copied"
    source, target = f"oci:{layout}:{NAME}", f"{transport}:{path}:{NAME}"
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", source, target]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    (loaded,) = bring(path)

    assert (loaded.kind, loaded.name) == (kind, NAME)
    assert paths(home, find_image(home, NAME)) == [b"b", b"d", b"d/n"]


def test_the_store_of_somebody_else_is_a_layout(layout, bring, tmp_path):
    """A state directory is an OCI layout itself, so it can be loaded."""
    with Home(tmp_path / "other") as other:
        load(other, layout, platform=homes.AMD64)

    (loaded,) = bring(tmp_path / "other")

    assert loaded.name == NAME


def test_strange_files_in_a_layout_are_nothing(layout, bring):
    """DG-22: what nobody points to is not looked at."""
    (layout / "README").write_text("x")
    (layout / "blobs/sha256/strange").write_text("x")
    (layout / "blobs/md5").mkdir()

    assert len(bring(layout)) == 1


def test_what_is_told_on_the_way(layout, bring):
    """What is loaded, and each layer's end, as in a pull."""
    seen = []
    bring(layout, observe=seen.append)

    told = [type(event) for event in seen if not hasattr(event, "phase")]
    assert told == [Resolved, LayerDone, LayerDone]


def test_loading_again_changes_nothing(home, layout, bring):
    """The same image is there once."""
    assert bring(layout) == bring(layout)
    assert len(home.store.database.images()) == 1


def test_a_layer_that_is_here_is_checked_all_the_same(home, layout, bring, tmp_path):
    """A config that names another layer of the store for a blob is refused (decision D26)."""
    bring(layout)
    swapped = [str(layer.diff_id) for layer in find_image(home, NAME).layers][::-1]
    config = {"rootfs": {"type": "layers", "diff_ids": swapped}}
    tars.oci_layout(tmp_path / "swapped", [LOW, HIGH], name="swapped:1", config=config)

    with pytest.raises(IntegrityError, match="bad layer"):
        bring(tmp_path / "swapped")

    assert [name.name for name in home.store.database.names()] == [NAME]


def blob_of(layout, what):
    """The path of the manifest, config or first layer in a layout."""
    index = json.loads((layout / "index.json").read_text())
    path = layout / "blobs/sha256" / index["manifests"][0]["digest"][7:]
    if what == "manifest":
        return path
    manifest = json.loads(path.read_text())
    descriptor = manifest["config"] if what == "config" else manifest["layers"][0]
    return layout / "blobs/sha256" / descriptor["digest"][7:]


def flip(path):
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "DG-22-no-version-file": (
        lambda layout: (layout / "oci-layout").unlink(),
        UsageError,
        "no image at",
    ),
    "version-file-huge": (
        lambda layout: os.truncate(layout / "oci-layout", 5 << 20),
        ArchiveError,
        "larger than",
    ),
    "no-index": (lambda layout: (layout / "index.json").unlink(), NotFoundError, r"index\.json"),
    "index-is-a-manifest": (
        lambda layout: (layout / "index.json").write_bytes(
            blob_of(layout, "manifest").read_bytes()
        ),
        DocumentError,
        "manifest|index",
    ),
    "DG-05-manifest": (lambda layout: flip(blob_of(layout, "manifest")), IntegrityError, "digest"),
    "DG-05-config": (lambda layout: flip(blob_of(layout, "config")), IntegrityError, "digest"),
    "DG-05-layer": (lambda layout: flip(blob_of(layout, "layer")), IntegrityError, "digest"),
    "layer-cut": (
        lambda layout: os.truncate(blob_of(layout, "layer"), 50),
        IntegrityError,
        "wrong size",
    ),
    "layer-longer": (
        lambda layout: os.truncate(blob_of(layout, "layer"), 5 << 20),
        IntegrityError,
        "wrong size",
    ),
    "layer-missing": (
        lambda layout: blob_of(layout, "layer").unlink(),
        NotFoundError,
        "layer is neither in it nor here",
    ),
    "config-missing": (lambda layout: blob_of(layout, "config").unlink(), NotFoundError, "blobs"),
}


@pytest.mark.parametrize("form", [files_of, None], ids=["archive", "directory"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_broken_layout(home, layout, bring, damage, form):
    """The error has its class and says what is wrong; no image appears."""
    change, kind, message = damage
    change(layout)
    path = pack(form(layout), layout.with_name("app.tar")) if form else layout

    with pytest.raises(kind, match=message):
        bring(path)

    assert_nothing_came(home)


@pytest.mark.parametrize("size", [0, 100, 512, 1000, 5000])
def test_an_archive_that_is_cut(home, layout, bring, tmp_path, size):
    """Wherever an archive ends too early, it is refused."""
    path = pack(files_of(layout), tmp_path / "app.tar")
    os.truncate(path, size)

    with pytest.raises((IntegrityError, UsageError, NotFoundError)):
        bring(path)

    assert_nothing_came(home)


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"hello\n" * 1000, bytes(10_240), b"\x1f\x8b", b"BZh9" + bytes(1000)],
    ids=["nothing", "byte", "text", "zeros", "gzip", "bzip2"],
)
def test_a_file_that_is_no_archive(home, bring, tmp_path, content):
    """Anything else is refused, with the path or the reason."""
    path = tmp_path / "app.tar"
    path.write_bytes(content)

    with pytest.raises((IntegrityError, UsageError)):
        bring(path)

    assert_nothing_came(home)


def test_a_path_that_is_not_there(bring, tmp_path):
    """The path is named, and why it cannot be read."""
    with pytest.raises(UsageError, match=r"nope\.tar: no such file"):
        bring(tmp_path / "nope.tar")


def test_a_directory_that_holds_no_image(bring, tmp_path):
    """An empty directory is told as such."""
    (tmp_path / "x").mkdir()

    with pytest.raises((UsageError, StoreError), match="no image at"):
        bring(tmp_path / "x")


def test_nothing_stays_open(layout, bring, tmp_path):
    """Whether it works or not, every file is closed again."""
    good = pack(files_of(layout), tmp_path / "good.tar")
    bad = tmp_path / "bad.tar"
    bad.write_bytes(gzip.compress(good.read_bytes())[:-20])
    bring(good)
    before = len(os.listdir("/proc/self/fd"))
    for path in (good, layout):
        bring(path)
    for path in (bad, tmp_path / "nope"):
        with pytest.raises((IntegrityError, UsageError)):
            bring(path)

    assert len(os.listdir("/proc/self/fd")) == before


# -- indexes --------------------------------------------------------------------------------------


def put_index(folder, entries):
    """Put an index of these entries into the layout, in place of what index.json lists."""
    raw = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    digest = digests.of_bytes(raw)
    (folder / "blobs/sha256" / digest.hex).write_bytes(raw)
    annotations = {"org.opencontainers.image.ref.name": "app:1"}
    entry = {"mediaType": oci.OCI_INDEX, "digest": str(digest), "size": len(raw)}
    listed = [{**entry, "annotations": annotations}]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))
    return digest, raw, entry


def manifest_of(folder):
    """The one entry of index.json."""
    (entry,) = json.loads((folder / "index.json").read_text())["manifests"]
    return {key: entry[key] for key in ("mediaType", "digest", "size")}


def test_an_index_is_kept(home, layout, bring):
    """With those inside, byte for byte, though not all that it lists is in the layout."""
    amd64 = {**manifest_of(layout), "platform": {"os": "linux", "architecture": "amd64"}}
    absent = {**amd64, "digest": f"sha256:{'0' * 64}", "platform": {"os": "a", "architecture": "b"}}
    inner, _, entry = put_index(layout, [amd64])
    outer, raw, _ = put_index(layout, [absent, entry])

    bring(layout)

    assert home.store.database.name("docker.io/library/app:1").target == outer
    assert home.store.blobs.path(outer).read_bytes() == raw
    assert home.store.blobs.has(inner)
    remove_image(home, "app:1")
    assert_nothing_came(home)


def test_of_a_broken_image_no_index_stays(home, layout, bring):
    """Nor when the image is refused by its layers."""
    layer = blob_of(layout, "layer")
    put_index(layout, [manifest_of(layout)])
    flip(layer)

    with pytest.raises(IntegrityError):
        bring(layout)

    assert_nothing_came(home)


def test_an_index_without_platforms_in_a_layout(home, layout, bring):
    """M09: the config says for which platform a manifest is."""
    put_index(layout, [manifest_of(layout)])

    with pytest.raises(NotFoundError, match="offers linux/amd64"):
        bring(layout, platform=platforms.parse("arm64"))
    bring(layout)

    assert find_image(home, "app:1").platform == "linux/amd64"
