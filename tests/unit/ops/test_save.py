"""What is saved is byte for byte what was brought in, and always the same archive."""

import hashlib
import io
import json
import os
import tarfile

import pytest
from support import homes, stores, tars

from layerkit.errors import IntegrityError, LayerkitError, NotFoundError, StoreError, UsageError
from layerkit.oci import OCI_INDEX, OCI_MANIFEST
from layerkit.ops.home import Home
from layerkit.ops.images import find_image
from layerkit.ops.load import load
from layerkit.ops.save import save, save_directory
from layerkit.ops.tag import tag
from layerkit.store.records import NameRecord

BASE = tars.archive(tars.directory("etc"), tars.file("etc/motd", b"hello\n"))
TOP = tars.archive(tars.file("etc/issue", b"x" * 5000))
FORMATS = ["oci-archive", "docker-archive"]


@pytest.fixture
def images(home, tmp_path):
    """Two images that share a layer: app:1 (also app:2 and other:1), and small:1."""
    app = homes.load_layers(home, tmp_path / "app", [BASE, TOP], name="app:1")
    small = homes.load_layers(home, tmp_path / "small", [BASE], name="localhost:5000/small:1")
    tag(home, "app:1", "app:2")
    tag(home, "app:1", "other:1")
    return app, small


def saved(home, *names, form="oci-archive"):
    """The archive as bytes."""
    return b"".join(save(home, names, form))


def members(archive):
    """Name and content of each regular file."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar if each.isreg()}


def document(archive, name):
    """A JSON document of an archive."""
    return json.loads(members(archive)[name])


def names_in_index(archive):
    """Digest and names of each entry of an archive's index."""
    return [
        (entry["digest"], *sorted(entry.get("annotations", {}).items()))
        for entry in document(archive, "index.json")["manifests"]
    ]


def both_names(name):
    """The annotations with a name."""
    return (
        ("io.containerd.image.name", name),
        ("org.opencontainers.image.ref.name", name),
    )


def test_an_oci_archive_is_a_layout_and_a_docker_archive(home, images):
    """Every blob has its digest and is as it came; docker's list names the same blobs."""
    app, _ = images

    archive = saved(home, "app:1")

    found = members(archive)
    blobs = {name: data for name, data in found.items() if name.startswith("blobs/sha256/")}
    assert {name.removeprefix("blobs/sha256/") for name in blobs} == {
        hashlib.sha256(data).hexdigest() for data in blobs.values()
    }
    assert set(blobs) == {
        f"blobs/sha256/{digest.hex}"
        for digest in (app.manifest, app.config, *(layer.blob for layer in app.layers))
    }
    assert found["oci-layout"] == b'{"imageLayoutVersion":"1.0.0"}'
    assert names_in_index(archive) == [(str(app.manifest), *both_names("docker.io/library/app:1"))]
    assert document(archive, "manifest.json") == [
        {
            "Config": f"blobs/sha256/{app.config.hex}",
            "RepoTags": ["docker.io/library/app:1"],
            "Layers": [f"blobs/sha256/{layer.blob.hex}" for layer in app.layers],
        }
    ]


def test_a_docker_archive_has_plain_layers(home, images):
    """Layers are called and are what the config says, one that two images share is there once."""
    app, small = images

    archive = saved(home, "app:1", "localhost:5000/small:1", form="docker-archive")

    base, top = (hashlib.sha256(layer).hexdigest() for layer in (BASE, TOP))
    found = members(archive)
    assert found[f"{base}.tar"] == BASE
    assert found[f"{top}.tar"] == TOP
    assert set(found) == {
        "manifest.json",
        f"{base}.tar",
        f"{top}.tar",
        f"{app.config.hex}.json",
        f"{small.config.hex}.json",
    }
    assert document(archive, "manifest.json") == [
        {
            "Config": f"{app.config.hex}.json",
            "RepoTags": ["docker.io/library/app:1"],
            "Layers": [f"{base}.tar", f"{top}.tar"],
        },
        {
            "Config": f"{small.config.hex}.json",
            "RepoTags": ["localhost:5000/small:1"],
            "Layers": [f"{base}.tar"],
        },
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_two_saves_are_equal(home, images, form):
    """CZ-22: no time, no owner, no order of the moment is in the bytes."""
    archive = saved(home, "app", "localhost:5000/small", form=form)

    assert saved(home, "app", "localhost:5000/small", form=form) == archive
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        facts = {(each.mtime, each.uid, each.gid, each.uname, each.gname) for each in tar}
        blobs = [each.name for each in tar if each.size > 0 and each.name.count("/") == 2]
    assert facts == {(0, 0, 0, "", "")}
    assert blobs == sorted(blobs)


@pytest.mark.parametrize(
    ("texts", "app_names", "has_small"),
    [
        (["app:2"], ["app:2"], False),
        (["app"], ["app:1", "app:2"], False),
        (["app:2", "app:1", "app:2"], ["app:2", "app:1"], False),
        (["other:1", "localhost:5000/small", "app"], ["other:1", "app:1", "app:2"], True),
        (["{id}"], [], False),
        (["{short}", "other"], ["other:1"], False),
        (["docker.io/library/app:1"], ["app:1"], False),
    ],
    ids=str,
)
def test_which_names_are_saved(home, images, texts, app_names, has_small):
    """A name is saved with its image, a bare repository means all its tags, an id no name."""
    app, small = images
    texts = [text.format(id=app.config, short=app.config.short) for text in texts]

    archive = saved(home, *texts)

    wanted = [(str(app.manifest), *both_names(f"docker.io/library/{name}")) for name in app_names]
    wanted = wanted or [(str(app.manifest),)]
    if has_small:
        wanted.append((str(small.manifest), *both_names("localhost:5000/small:1")))
    assert names_in_index(archive) == wanted
    tags = [item["RepoTags"] for item in document(archive, "manifest.json")]
    assert tags[0] == ([f"docker.io/library/{name}" for name in app_names] or None)


def test_a_name_with_a_digest(home, images):
    """It is saved while it is that of the manifest; docker, which has no such tags, gets none."""
    app, small = images
    true, false = (f"docker.io/library/by@{image.manifest}" for image in (app, small))
    home.store.name_image(
        app, [NameRecord(name, app.manifest, app.manifest) for name in (true, false)]
    )

    archive = saved(home, true)
    assert names_in_index(archive) == [(str(app.manifest), *both_names(true))]
    assert document(archive, "manifest.json")[0]["RepoTags"] is None
    assert names_in_index(saved(home, false)) == [(str(app.manifest),)]


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_saved_is_loaded_again(home, images, form, tmp_path):
    """Elsewhere the images have the same ids, trees and names; in OCI form also the same digests."""
    path = tmp_path / "saved.tar"
    path.write_bytes(saved(home, "app", "localhost:5000/small:1", form=form))

    with Home(tmp_path / "elsewhere") as other:
        loaded = load(other, path, platform=homes.AMD64)
        again = [find_image(other, name) for name in ("app:1", "localhost:5000/small:1")]
        assert stores.faults(other.store.root) == []

    assert [each.name for each in loaded] == ["app:1", "app:2", "localhost:5000/small:1"]
    assert [image.config for image in again] == [image.config for image in images]
    if form == "oci-archive":
        assert [image.manifest for image in again] == [image.manifest for image in images]
        assert [image.layers for image in again] == [image.layers for image in images]


def test_a_directory_is_a_layout(home, images, tmp_path):
    """The same documents and blobs are there, without docker's."""
    target = tmp_path / "made/layout"

    save_directory(home, ["app:1"], target)

    archive = members(saved(home, "app:1"))
    found = {
        str(path.relative_to(target)): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file()
    }
    assert found == {name: data for name, data in archive.items() if name != "manifest.json"}
    with Home(tmp_path / "elsewhere") as other:
        (loaded,) = load(other, target, platform=homes.AMD64)
    assert (loaded.kind, loaded.name) == ("OCI image layout", "app:1")


@pytest.mark.parametrize("what", ["full", "file"])
def test_a_directory_with_something_in_it_is_refused(home, images, tmp_path, what):
    """Nothing is mixed with what is there, nothing overwritten."""
    target = tmp_path / "target"
    if what == "full":
        target.mkdir()
        (target / "index.json").write_text("mine")
    else:
        target.write_text("mine")

    with pytest.raises(UsageError, match="no empty directory"):
        save_directory(home, ["app:1"], target)
    assert (target / "index.json" if what == "full" else target).read_text() == "mine"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("damage", ["flip", "cut", "longer"])
def test_what_rotted_is_not_saved(home, images, tmp_path, form, damage):
    """An archive that nobody could load ends in an error, a directory is cleared again."""
    app, _ = images
    layer = app.layers[1]
    path = home.store.blobs.path(layer.blob)
    path = home.store.layers.tar(layer.diff_id) if form == "docker-archive" else path
    data = path.read_bytes()
    path.chmod(0o600)
    changed = {"flip": data[:-1] + b"?", "cut": data[:-1], "longer": data + b"?"}[damage]
    path.write_bytes(changed)

    with pytest.raises(IntegrityError, match="wrong"):
        saved(home, "app:1", form=form)
    if form == "oci-archive":
        with pytest.raises(IntegrityError, match="wrong"):
            save_directory(home, ["app:1"], tmp_path / "layout")
        assert list((tmp_path / "layout").iterdir()) == []


def test_a_missing_blob_is_told(home, images):
    """The file that is not there is named."""
    path = home.store.blobs.path(images[0].layers[0].blob)
    path.unlink()

    with pytest.raises(StoreError, match=path.name):
        saved(home, "app:1")


def test_an_unknown_image_is_told_at_once(home, images):
    """Not only when somebody reads, and before anything is written."""
    for text in ("nothing", "app:3", "0123456789ab"):
        with pytest.raises(NotFoundError, match=text):
            save(home, ["app:1", text], "oci-archive")


def test_a_target_that_cannot_be_written(home, images, tmp_path):
    """The path and the reason are told, and no state directory is blamed."""
    target = tmp_path / "file/below"
    (tmp_path / "file").touch()

    with pytest.raises(LayerkitError, match=r"cannot write .*: not a directory") as caught:
        save_directory(home, ["app:1"], target)
    assert caught.value.exit_code == 1


def test_nothing_stays_open(home, images):
    """Also a save that is given up in the middle closes what it read."""
    before = os.listdir("/proc/self/fd")

    pieces = save(home, ["app:1"], "oci-archive")
    for piece in pieces:
        if b"blobs/sha256/" in piece:
            next(pieces)
            break
    pieces.close()

    assert os.listdir("/proc/self/fd") == before


# -- indexes --------------------------------------------------------------------------------------


@pytest.fixture
def index(home, images, tmp_path):
    """The digest of an index `both:1` of which all is here: `app:1`, and another image inside."""
    app, _ = images
    arm = homes.load_layers(home, tmp_path / "arm", [BASE, BASE], name="arm:1")
    inner = put_index(home, arm)
    outer = put_index(home, app, {"mediaType": OCI_INDEX, "digest": str(inner), "size": 1})
    for name in ("both:1", f"both@{outer}"):
        full = f"docker.io/library/{name}"
        home.store.name_image(app, [NameRecord(full, app.manifest, outer)], [outer, inner])
    home.store.remove_names(["docker.io/library/arm:1"], [])
    return outer, inner, arm


def put_index(home, image, *more):
    """Put an index in; its digest."""
    entry = {
        "mediaType": OCI_MANIFEST,
        "digest": str(image.manifest),
        "size": image.manifest_size,
        "platform": {"os": "linux", "architecture": "amd64"},
    }
    document = {"schemaVersion": 2, "manifests": [entry, *more]}
    return home.store.blobs.put(json.dumps(document).encode())


def test_an_index_of_which_all_is_here_is_saved(home, images, index):
    """With all that it lists; docker's manifest.json has the one image that the name stands for."""
    outer, inner, arm = index
    archive = saved(home, "both:1")

    assert names_in_index(archive) == [(str(outer), *both_names("docker.io/library/both:1"))]
    blobs = {outer, inner}
    for image in (images[0], arm):
        blobs |= {image.manifest, image.config, *(layer.blob for layer in image.layers)}
    held = {name for name in members(archive) if name.startswith("blobs/")}
    assert held == {f"blobs/sha256/{digest.hex}" for digest in blobs}
    (item,) = document(archive, "manifest.json")
    assert item["Config"] == f"blobs/sha256/{images[0].config.hex}"
    digest_name = f"docker.io/library/both@{outer}"
    assert names_in_index(saved(home, digest_name)) == [(str(outer), *both_names(digest_name))]


def test_a_saved_index_is_loaded_again(home, images, index, tmp_path):
    """Elsewhere the name comes from the same index."""
    path = tmp_path / "saved.tar"
    path.write_bytes(saved(home, "both:1"))

    with Home(tmp_path / "elsewhere") as other:
        load(other, path, platform=homes.AMD64)
        name = other.store.database.name("docker.io/library/both:1")
        assert (name.manifest, name.target) == (images[0].manifest, index[0])
        assert other.store.blobs.has(index[0])


@pytest.mark.parametrize("why", ["with-holes", "not-kept", "docker-archive", "exclude-base"])
def test_else_the_image_alone_is_saved(home, images, index, why):
    """Where the index cannot be whole in the archive, and in docker's form, which has none."""
    outer, _, arm = index
    form, options = "oci-archive", {}
    if why == "with-holes":
        home.store.remove_names([], [arm])
    elif why == "not-kept":
        home.store.blobs.remove(outer)
    elif why == "docker-archive":
        form = why
    else:
        options = {"exclude_base": "localhost:5000/small:1"}

    archive = b"".join(save(home, ["both:1"], form, **options))

    assert not any(arm.config.hex in name for name in members(archive))
    if form == "oci-archive":
        (entry,) = document(archive, "index.json")["manifests"]
        assert entry["digest"] == str(images[0].manifest)
        (entry,) = names_in_index(b"".join(save(home, [f"both@{outer}"], form, **options)))
        assert "org.opencontainers.image.ref.name" not in dict(entry[1:])
