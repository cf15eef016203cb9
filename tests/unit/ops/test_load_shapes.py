"""`load` takes what real tools write, in all the shapes they have had, and nothing that is broken."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import re
import tarfile
import threading

import pytest
import zstandard
from support import archives, stores, tars
from support.archives import Image

from layerkit.errors import DocumentError, IntegrityError, NotFoundError, UsageError
from layerkit.events import Notice
from layerkit.oci import Platform
from layerkit.ops.images import find_image
from layerkit.ops.load import load

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
BASE = tars.archive(tars.directory("etc"), tars.file("etc/motd", b"hello\n"))
TOP = tars.archive(tars.file("etc/issue", random.Random(1).randbytes(3 << 20)))
APP = Image([BASE, TOP], ["app:1"])
TWICE = Image([BASE, TOP, BASE], ["twice:1", "localhost:5000/more/twice:2"])
PLAIN = Image([BASE], [], {"created": "2020-01-01T00:00:00Z"})


class Loader:
    """Loads archives; keeps what it was told."""

    def __init__(self, home, folder):
        self.home = home
        self.path = folder / "image.tar"
        self.warnings = []

    def __call__(self, archive, **options):
        """What was loaded, as (kind, name, id)."""
        self.path.write_bytes(archive)
        found = load(self.home, self.path, observe=self.observe, **{"platform": AMD64, **options})
        return [(each.kind, each.name, str(each.id)) for each in found]

    def observe(self, event):
        """Keep the text of warnings."""
        if isinstance(event, Notice):
            self.warnings.append(event.text)


@pytest.fixture
def loaded(home, tmp_path):
    """Loads the bytes of an archive."""
    return Loader(home, tmp_path)


def empty(home):
    """Whether there is no image, and nothing else either."""
    root = home.store.root
    left = [*(root / "blobs/sha256").iterdir(), *(root / "layers").iterdir()]
    return not home.store.database.images() and left == [] and stores.faults(root) == []


SHAPES = {
    "docker 1.10": archives.docker_1_10,
    "docker 1.10 with hard links": lambda *images: archives.docker_1_10(*images, links="hard"),
    "podman": archives.podman,
    "docker 25": archives.docker_25,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_images(loaded, home, shape):
    """Names and ids are those of the archive, layers that occur twice or are links included."""
    found = loaded(SHAPES[shape](APP, TWICE, PLAIN))

    kind = "OCI archive" if shape == "docker 25" else "docker archive"
    assert found == [
        (kind, "app:1", APP.id),
        (kind, "twice:1", TWICE.id),
        (kind, "localhost:5000/more/twice:2", TWICE.id),
        (kind, None, PLAIN.id),
    ]
    assert loaded.warnings == []
    assert len(find_image(home, "twice:1").layers) == 3
    assert stores.faults(home.store.root) == []
    assert stores.partials(home.store.root) == []


def test_compressed_layers_of_a_docker_archive_stay_so(loaded, home):
    """The blob is the file of the archive, and the manifest says how it is compressed."""
    (found,) = loaded(archives.jib(APP))

    assert found == ("docker archive", "app:1", APP.id)
    manifest = home.store.blobs.read(find_image(home, "app:1").manifest, 10_000)
    layers = json.loads(manifest)["layers"]
    assert {layer["mediaType"] for layer in layers} == {
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    }
    assert layers[0]["digest"] == f"sha256:{archives.sha256(tars.gzipped(BASE))}"


@pytest.mark.parametrize("layers", ["none", "reversed"])
def test_the_broken_layouts_of_docker_25(loaded, home, layers):
    """A layout without layers, or in a wrong order, is told; `manifest.json` has the image."""
    found = loaded(archives.docker_25(APP, PLAIN, layers=layers))

    assert ("docker archive", "app:1", APP.id) in found
    assert {each[2] for each in found} == {APP.id, PLAIN.id}
    (warning,) = loaded.warnings
    assert warning.startswith("the OCI layout is broken (")
    assert stores.faults(home.store.root) == []


@pytest.mark.parametrize("with_named", [True, False], ids=["beside a named one", "alone"])
def test_images_that_are_not_in_the_index_of_docker_25(loaded, with_named):
    """What only `manifest.json` lists is loaded, too, whether the index is short or null."""
    images = [APP, PLAIN] if with_named else [PLAIN]

    found = loaded(archives.docker_25(*images, unnamed=False))

    assert found[-1] == ("docker archive", None, PLAIN.id)
    assert [each[2] for each in found] == [image.id for image in images]


def test_the_layout_before_docker_1_10_is_refused(loaded):
    """It has no config to make an image of; what to do is said."""
    with pytest.raises(UsageError, match="saved by a docker before 1") as caught:
        loaded(archives.docker_1_9(APP))
    assert caught.value.hint


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress],
    ids=["gzip", "bzip2", "xz", "zstd"],
)
def test_the_archive_may_be_compressed(loaded, pack):
    """Users compress archives by what they like."""
    assert loaded(pack(archives.podman(APP))) == [("docker archive", "app:1", APP.id)]


def test_an_archive_packed_by_hand(loaded, tmp_path):
    """Somebody unpacked an archive and packed it again: names begin with `./`, holes are sparse."""
    folder = tmp_path / "unpacked"
    loaded.path.write_bytes(archives.docker_25(APP))
    with tarfile.open(loaded.path) as tar:
        tar.extractall(folder, filter="data")
    with tarfile.open(loaded.path, "w") as tar:
        tar.add(folder, ".")

    assert loaded(loaded.path.read_bytes()) == [("OCI archive", "app:1", APP.id)]
    assert [each.name for each in load(loaded.home, folder, platform=AMD64)] == ["app:1"]


def test_a_layer_that_is_sparse_in_the_archive(loaded):
    """GNU tar packs long zeros as holes; the layer is the bytes with them."""
    layer = tars.archive(tars.file("f", bytes(1 << 20)))
    image = Image([layer], ["sparse:1"])
    item = {"Config": "c", "RepoTags": ["sparse:1"], "Layers": ["l"]}
    archive = tars.archive(
        tars.gnu_sparse("l", [(0, 512), (len(layer), 0)], len(layer), layer[:512]),
        tars.file("c", image.raw_config),
        tars.file("manifest.json", archives.as_json([item])),
    )

    assert loaded(archive) == [("docker archive", "sparse:1", image.id)]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_from_a_pipe(home, packed):
    """Nothing needs to be a file."""
    archive = archives.podman(APP)
    data = gzip.compress(archive) if packed else archive
    reader, writer = os.pipe()

    def feed():
        with open(writer, "wb") as pipe:
            pipe.write(data)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        (found,) = load(home, reader, platform=AMD64)
    finally:
        feeder.join()
        os.close(reader)

    assert (found.name, str(found.id)) == ("app:1", APP.id)


# -- names ----------------------------------------------------------------------------------------


def named(name, **more):
    """A descriptor's field with these annotations."""
    return {"annotations": {"org.opencontainers.image.ref.name": name, **more}}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (named("1"), "image:1"),
        (named("latest"), "image:latest"),
        (named("app:1"), "app:1"),
        (named("localhost/app"), "localhost/app:latest"),
        (named("docker.io/library/app:1"), "app:1"),
        (named("1", **{"io.containerd.image.name": "quay.io/app:2"}), "quay.io/app:2"),
        ({}, None),
    ],
)
def test_the_name_in_a_layout(loaded, fields, name):
    """A full name is taken as it is; a mere tag belongs to what the archive is called."""
    assert loaded(archives.oci((APP, fields))) == [("OCI archive", name, APP.id)]


@pytest.mark.parametrize(
    "name", ["../../x", "a/Upper:1", "a b", "x:\x1b[2J", f"app@sha256:{'0' * 64}", "v1+build"]
)
def test_what_is_no_name_is_none(loaded, home, name):
    """DG-27, SE-17: an image whose name is none, or a lie, is loaded without it, and told so."""
    assert loaded(archives.oci((APP, named(name)))) == [("OCI archive", None, APP.id)]
    assert len(loaded.warnings) == 1
    assert "without its name" in loaded.warnings[0]
    assert home.store.database.names() == []


def test_bad_tags_of_a_docker_archive(loaded):
    """The good ones stay."""
    image = Image([BASE], ["Bad:1", f"app@sha256:{'0' * 64}", "good:1"])

    assert loaded(archives.podman(image)) == [("docker archive", "good:1", image.id)]
    assert len(loaded.warnings) == 2


def test_a_name_with_the_right_digest(loaded, home):
    """A name that says the digest of its manifest is true."""
    loaded(archives.oci((APP, {})))
    digest = home.store.database.images()[0].manifest

    found = loaded(archives.oci((APP, named(f"app@{digest}"))))

    assert found == [("OCI archive", f"app@{digest}", APP.id)]


def test_two_images_of_one_name(loaded, home):
    """Of two with the same name the last has it."""
    found = loaded(archives.oci((APP, named("x:1")), (PLAIN, named("x:1"))))

    assert [each[1:] for each in found] == [("x:1", APP.id), ("x:1", PLAIN.id)]
    assert str(find_image(home, "x:1").config) == PLAIN.id


# -- platforms ------------------------------------------------------------------------------------

ON_ARM = Image([TOP], [], {"architecture": "arm64"})


def on(architecture, **more):
    """The platform of a descriptor, with further fields."""
    return {"platform": {"os": "linux", "architecture": architecture}, **more}


@pytest.mark.parametrize("nested", [True, False], ids=["in an index", "side by side"])
@pytest.mark.parametrize(
    ("platform", "image"), [(AMD64, PLAIN), (ARM64, ON_ARM)], ids=["amd64", "arm64"]
)
def test_of_several_platforms_ours_is_taken(loaded, nested, platform, image):
    """Of the manifests for one name the one that fits the machine is loaded, attachments never."""
    attached = (Image([], [], {"x": 1}), on("unknown"))
    attached[1]["platform"]["os"] = "unknown"
    archive = archives.oci((PLAIN, on("amd64")), (ON_ARM, on("arm64")), attached, nested=nested)

    assert [each[2] for each in loaded(archive, platform=platform)] == [image.id]


def test_an_index_that_was_saved_in_part(loaded):
    """docker lists all platforms and saves those it has: the others are not missed."""
    archive = archives.oci((PLAIN, on("amd64")), (ON_ARM, on("arm64")), nested=True)
    manifest = next(
        blob
        for blob in blobs_of(archive)
        if b"layers" in blob and PLAIN.id.encode() in blob and b"rootfs" not in blob
    )
    part = archives.without(archives.without(archive, BASE), manifest)

    assert loaded(part, platform=ARM64) == [("OCI archive", "multi:1", ON_ARM.id)]
    with pytest.raises(NotFoundError, match="the index offers linux/arm64"):
        loaded(part, platform=AMD64)


def blobs_of(archive):
    """The content of all files of an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return [tar.extractfile(member).read() for member in tar if member.isreg()]


def test_a_single_image_is_loaded_whatever_its_platform(loaded):
    """There is no other one to take."""
    assert loaded(archives.oci((ON_ARM, {}))) == [("OCI archive", None, ON_ARM.id)]
    assert loaded(archives.podman(ON_ARM)) == [("docker archive", None, ON_ARM.id)]


@pytest.mark.parametrize("shape", [archives.podman, archives.docker_25], ids=["podman", "docker"])
def test_an_explicit_platform_excludes_all_others(loaded, home, shape):
    """Asked for by name, only an image for it will do."""
    with pytest.raises(NotFoundError, match="linux/arm64"):
        loaded(shape(APP), platform=ARM64, explicit_platform=True)
    assert empty(home)


# -- what is broken -------------------------------------------------------------------------------

BAD_TAR = tars.archive(tars.file("../escape"))
GOOD_BLOB = tars.gzipped(BASE)


def broken_docker_archives():
    """Archives with something wrong, and the error it is."""
    item = {"Config": "c", "RepoTags": ["app:1"], "Layers": ["l"]}
    config = tars.file("c", Image([BASE]).raw_config)
    layer = tars.file("l", BASE)

    def archive(*entries, items=(item,)):
        return tars.archive(*entries, tars.file("manifest.json", archives.as_json(items)))

    return {
        "no config": (archive(layer), NotFoundError),
        "no layer": (archive(config), NotFoundError),
        "a layer that is a folder": (archive(config, tars.directory("l")), NotFoundError),
        "a link to nowhere": (archive(config, tars.symlink("l", "../x")), NotFoundError),
        "a link to itself": (archive(config, tars.symlink("l", "l")), NotFoundError),
        "another layer": (archive(config, tars.file("l", TOP)), IntegrityError),
        "too few layers": (archive(config, items=[{**item, "Layers": []}]), DocumentError),
        "too many layers": (
            archive(config, layer, items=[{**item, "Layers": ["l", "l"]}]),
            DocumentError,
        ),
        "no JSON": (tars.archive(tars.file("manifest.json", b"[")), DocumentError),
        "deep JSON": (tars.archive(tars.file("manifest.json", b"[" * 100_000)), DocumentError),
        "no list": (archive(items={"schemaVersion": 2}), DocumentError),
        "empty": (archive(items=[]), DocumentError),
        "null": (archive(items=None), DocumentError),
        "numbers": (archive(items=[1]), DocumentError),
        "a number for a name": (archive(items=[{**item, "Config": 1}]), DocumentError),
        "a name nobody can have": (archive(items=[{**item, "Config": "\ud800"}]), DocumentError),
        "a config that is none": (archive(tars.file("c", b"{}"), layer), DocumentError),
        "a layer that leaves the root": (
            archive(tars.file("c", Image([BAD_TAR]).raw_config), tars.file("l", BAD_TAR)),
            IntegrityError,
        ),
        "a second layer that is bad": (
            archive(
                tars.file("c", Image([BASE, BAD_TAR]).raw_config),
                layer,
                tars.file("m", BAD_TAR),
                items=[{**item, "Layers": ["l", "m"]}],
            ),
            IntegrityError,
        ),
        "cut off": (archives.podman(APP)[: 2 << 20], IntegrityError),
        "no archive": (b"hello" * 1000, IntegrityError),
        "nothing": (b"", UsageError),
        "something else": (BASE, UsageError),
    }


BROKEN = broken_docker_archives()


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_archive_leaves_nothing_behind(loaded, home, what):
    """It is refused with the error that it is, and the store is as it was."""
    archive, error = BROKEN[what]

    with pytest.raises(error):
        loaded(archive)
    assert empty(home)


@pytest.mark.parametrize("what", ["layer", "config", "manifest"])
def test_a_wrong_blob_in_a_layout_leaves_nothing_behind(loaded, home, what):
    """Every blob has its digest, or the image is refused, also when `manifest.json` is there."""
    archive = archives.docker_25(APP)
    target = {"layer": TOP, "config": APP.raw_config}.get(what) or next(
        blob for blob in blobs_of(archive) if b'"config"' in blob and b"layers" in blob
    )
    damaged = target[:-1] + bytes([target[-1] ^ 1])

    if what == "manifest":  # the other description is whole
        assert loaded(archive.replace(target, damaged)) == [("docker archive", "app:1", APP.id)]
        return
    with pytest.raises((IntegrityError, NotFoundError)):
        loaded(archive.replace(target, damaged))
    assert empty(home)


def test_what_was_there_before_stays(loaded, home):
    """A broken image takes nothing away that another one needs, or that a stopped pull has left."""
    loaded(archives.podman(Image([BASE], ["good:1"])))
    left = home.store.blobs.put(b"left by a pull")

    with pytest.raises(IntegrityError):
        loaded(archives.podman(Image([BASE, BAD_TAR], ["bad:1"])))

    assert home.store.blobs.has(left)
    assert [name.name for name in home.store.database.names()] == ["docker.io/library/good:1"]
    assert stores.faults(home.store.root) == []
    assert len(list((home.store.root / "layers").iterdir())) == 1


# -- directories ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../secret", "{root}/secret", "sub/../../secret"])
def test_a_directory_is_not_left(home, tmp_path, name):
    """What `manifest.json` names lies inside, whatever it says."""
    (tmp_path / "secret").write_bytes(Image([]).raw_config)
    folder = tmp_path / "layout"
    (folder / "sub").mkdir(parents=True)
    item = {"Config": name.format(root=tmp_path), "RepoTags": [], "Layers": []}
    (folder / "manifest.json").write_bytes(archives.as_json([item]))

    with pytest.raises(NotFoundError, match="has no file"):
        load(home, folder, platform=AMD64)


def test_a_fifo_in_a_directory_does_not_hang(home, tmp_path):
    """Only regular files count."""
    tars.oci_layout(tmp_path / "layout", [BASE])
    (tmp_path / "layout/index.json").unlink()
    os.mkfifo(tmp_path / "layout/index.json")

    with pytest.raises(NotFoundError, match=re.escape("index.json")):
        load(home, tmp_path / "layout", platform=AMD64)


@pytest.mark.parametrize(
    ("layout", "index", "error"),
    [
        (b"{}", None, "imageLayoutVersion"),
        (b'{"imageLayoutVersion": "2.0.0"}', None, "imageLayoutVersion"),
        (b"[]", None, "imageLayoutVersion"),
        (b"{", None, "not JSON"),
        (None, b'{"schemaVersion": 2, "manifests": []}', "holds no image"),
        (None, b'{"schemaVersion": 2, "manifests": null}', "invalid index"),
        (None, b"{}", "schemaVersion"),
    ],
)
def test_a_layout_that_is_none(home, tmp_path, layout, index, error):
    """The two documents of a layout are checked before anything is read."""
    tars.oci_layout(tmp_path / "layout", [BASE])
    if layout is not None:
        (tmp_path / "layout/oci-layout").write_bytes(layout)
    if index is not None:
        (tmp_path / "layout/index.json").write_bytes(index)

    with pytest.raises(DocumentError, match=error):
        load(home, tmp_path / "layout", platform=AMD64)
    assert empty(home)
