"""The state directory: a name needs its content, content that is shared stays, others can read it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from support import disks, records, tars
from support.processes import NOBODY, child, outcome, until

from layerkit import digest as digests
from layerkit import oci
from layerkit.digest import DiffID
from layerkit.errors import ConflictError, NotFoundError, StoreError, StoreFullError
from layerkit.store.records import ImageRecord, LayerRecord, NameRecord
from layerkit.store.store import Store

APP = records.image("app", "a", "b")
OTHER = records.image("other", "a", "c")


@pytest.fixture
def root(tmp_path):
    """A state directory that is not made yet."""
    return tmp_path / "state"


@pytest.fixture
def store(root):
    """A new store."""
    with Store(root) as store:
        yield store


def fill(store, image):
    """Put all content of an image made by `records.image` into the store; its name is in it."""
    name = image_name(image)
    config = next(
        text for text in (f"config {name}", "config app") if records.blob(text) == image.config
    )
    store.blobs.put(f"manifest {name}".encode())
    store.blobs.put(config.encode())
    for layer in image.layers:
        text = next(text for text in "abc" if records.blob(text) == layer.blob)
        store.blobs.put(text.encode())
        with store.layers.ingest(layer.diff_id) as transaction:
            if transaction is not None:
                transaction.write(f"tar {text}".encode())
                transaction.finish()
                transaction.commit(b"index")


def image_name(image):
    """What `records.image` was called with."""
    return next(
        name for name in ("app", "other") if records.blob(f"manifest {name}") == image.manifest
    )


def bring(store, image, *names):
    """Fill and name an image."""
    fill(store, image)
    store.name_image(image, [records.name(name, image) for name in names])


def index(root):
    """(digest, name) of each entry of index.json."""
    document = json.loads((root / "index.json").read_text())
    assert document["schemaVersion"] == 2
    key = "org.opencontainers.image.ref.name"
    return [
        (entry["digest"], entry.get("annotations", {}).get(key)) for entry in document["manifests"]
    ]


def test_a_new_store_is_an_empty_image_layout(store, root):
    """image-spec image-layout.md: the marker, the index, the folder of blobs."""
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert index(root) == []
    assert (root / "blobs/sha256").is_dir()


def test_nobody_else_can_enter_a_store(store, root):
    """SE-19: images hold setuid files, so the directory is its owner's alone."""
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert [path for path in root.iterdir() if path.stat().st_mode & 0o022] == []


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(root, umask):
    """The directory is its owner's alone under any mask, and he can use it."""
    old = os.umask(umask)
    try:
        outcome_ = None
        if umask != 0o777:  # that one leaves nothing to the owner either
            with Store(root) as store:
                bring(store, APP, "x:1")
            outcome_ = stat.S_IMODE(root.stat().st_mode)
    finally:
        os.umask(old)

    assert outcome_ in (0o700, None)


def test_an_empty_directory_becomes_a_store(root):
    """One that is there already is closed to others first."""
    root.mkdir(mode=0o755)

    Store(root).close()

    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_a_store_is_opened_again(store, root):
    """What was named is there in the next process."""
    bring(store, APP, "x:1")

    with Store(root) as again:
        assert again.database.images() == [APP]
        assert again.database.name("x:1") == records.name("x:1", APP)


def make_foreign(root, kind):
    """A directory of somebody else."""
    match kind:
        case "files":
            root.mkdir()
            (root / "precious").write_text("x")
        case "OCI layout":
            tars.oci_layout(root, [tars.archive()])
        case "folder called blobs":
            (root / "blobs").mkdir(parents=True)


@pytest.mark.parametrize("kind", ["files", "OCI layout", "folder called blobs"])
def test_a_directory_of_somebody_else_is_refused(root, kind):
    """It is left as it was, index.json of an image layout included."""
    make_foreign(root, kind)
    before = {path: path.is_file() and path.read_bytes() for path in root.rglob("*")}

    with pytest.raises(StoreError, match="is not empty and no state directory") as raised:
        Store(root)

    assert "--root" in raised.value.hint
    assert {path: path.is_file() and path.read_bytes() for path in root.rglob("*")} == before


def test_a_file_is_no_state_directory(root):
    """The error names it."""
    root.touch()

    with pytest.raises(StoreError, match=str(root)):
        Store(root)


@pytest.mark.parametrize("name", ["oci-layout", "index.json", "blobs", "layers", "containers"])
def test_a_store_that_was_begun_is_finished(store, root, name):
    """A process killed while it made the directory keeps nobody from using it."""
    store.close()
    target = root / name
    if target.is_dir():
        for folder in sorted(target.rglob("*"), reverse=True):
            folder.rmdir()
        target.rmdir()
    else:
        target.unlink()

    with Store(root) as again:
        bring(again, APP, "x:1")
    assert index(root) == [(str(APP.manifest), "x:1")]


def test_many_make_one_store_at_once(root):
    """Whoever comes first, all can use it."""

    def work():
        until(root.with_name("go").exists)
        Store(root).close()

    with child(work) as one, child(work) as two, child(work) as three:
        root.with_name("go").touch()
        assert [one.wait(), two.wait(), three.wait()] == [0, 0, 0]


@pytest.mark.root
def test_a_root_that_is_closed_to_the_user_says_so(tmp_path, root):
    """Whoever may not write gets an error with a hint, not a traceback."""
    Store(root).close()
    (tmp_path / "closed").mkdir(mode=0o755)
    tmp_path.chmod(0o755)

    def work():
        for path in ("state", "closed/state", "closed/deep/state"):
            with pytest.raises(StoreError, match="permission denied") as raised:
                Store(Path(path))
            assert "--root" in raised.value.hint

    assert outcome(work, uid=NOBODY, folder=tmp_path) == 0


def test_an_image_with_all_its_content_gets_its_names(store, root):
    """Database and index.json show it."""
    bring(store, APP, "x:1", "x:2")

    assert store.database.images() == [APP]
    assert index(root) == [(str(APP.manifest), "x:1"), (str(APP.manifest), "x:2")]


@pytest.mark.parametrize("what", ["manifest", "config", "blob", "layer"])
def test_an_image_without_some_of_its_content_gets_no_name(store, root, what):
    """What somebody removed meanwhile is told, and nothing has changed."""
    bring(store, OTHER, "x:1")
    fill(store, APP)
    match what:
        case "manifest":
            store.blobs.remove(APP.manifest)
        case "config":
            store.blobs.remove(APP.config)
        case "blob":
            store.blobs.remove(APP.layers[1].blob)
        case "layer":
            store.layers.remove(APP.layers[1].diff_id)

    with pytest.raises(NotFoundError, match="was removed while"):
        store.name_image(APP, [records.name("x:1", APP)])

    assert store.database.images() == [OTHER]
    assert store.database.name("x:1") == records.name("x:1", OTHER)
    assert index(root) == [(str(OTHER.manifest), "x:1")]


def test_an_image_that_lost_its_name_stays(store, root):
    """It is listed without one until it is removed."""
    bring(store, APP, "x:1")
    bring(store, OTHER, "x:1")

    assert sorted(index(root), key=str) == sorted(
        [(str(OTHER.manifest), "x:1"), (str(APP.manifest), None)], key=str
    )


def test_removal_keeps_what_others_share(store, root):
    """K13: only content that no image needs any more goes."""
    bring(store, APP, "x:1")
    bring(store, OTHER, "y:1")

    store.remove_names(["x:1"], [APP])

    assert store.database.images() == [OTHER]
    assert index(root) == [(str(OTHER.manifest), "y:1")]
    blobs = {path.name for path in (root / "blobs/sha256").iterdir()}
    assert blobs == {
        each.hex for each in (OTHER.manifest, OTHER.config, *(x.blob for x in OTHER.layers))
    }
    assert {path.name for path in (root / "layers").iterdir()} == {
        layer.diff_id.hex for layer in OTHER.layers
    }
    assert list((root / "ingest").iterdir()) == []


def test_the_last_removal_leaves_an_empty_store(store, root):
    """Nothing of the content stays."""
    bring(store, APP, "x:1")

    store.remove_names(["x:1"], [APP])

    assert index(root) == []
    for folder in ("blobs/sha256", "layers", "ingest"):
        assert list((root / folder).iterdir()) == []


def test_removing_one_of_two_names_keeps_the_image(store, root):
    """The content stays with the other name."""
    bring(store, APP, "x:1", "x:2")

    store.remove_names(["x:1"], [])

    assert index(root) == [(str(APP.manifest), "x:2")]
    assert store.layers.has(APP.layers[0].diff_id)


def test_an_image_that_got_a_name_meanwhile_is_not_removed(store, root):
    """Removal is all or nothing: the names and the content are still there."""
    bring(store, APP, "x:1")
    store.name_image(APP, [records.name("late:1", APP)])

    with pytest.raises(ConflictError):
        store.remove_names(["x:1"], [APP])

    assert {name for _, name in index(root)} == {"x:1", "late:1"}
    assert store.layers.has(APP.layers[0].diff_id)


def make_index(store, *entries):
    """Put an index in; its digest."""
    listed = [{"mediaType": oci.OCI_INDEX, "digest": str(each), "size": 1} for each in entries]
    return store.blobs.put(json.dumps({"schemaVersion": 2, "manifests": listed}).encode())


def give_name(store, text, target, *way):
    """Let a name of the one image come from an index."""
    store.name_image(APP, [NameRecord(text, APP.manifest, target)], [target, *way])


class TestIndexes:
    """The indexes that a name came from stay as long as a name needs them."""

    def test_they_go_with_the_last_name(self, store, root):
        """Inner ones, too; index.json is about manifests in any case."""
        bring(store, APP, "x:0")
        inner = make_index(store)
        outer, other = make_index(store, inner), make_index(store, inner, inner)
        for text, target in (("x:1", outer), ("x:2", outer), ("x:3", other)):
            give_name(store, text, target, inner)
        assert {digest for digest, _ in index(root)} == {str(APP.manifest)}

        def here():
            return [store.blobs.has(digest) for digest in (inner, outer, other)]

        store.remove_names(["x:1"], [])
        assert here() == [True, True, True]
        store.remove_names(["x:2"], [])
        assert here() == [True, False, True]
        store.remove_names(["x:3"], [])
        assert here() == [False, False, False]
        assert store.database.images() == [APP]

    def test_one_that_a_name_moved_away_from_goes(self, store):
        """What is only of the old one; what the new one needs stays."""
        bring(store, APP, "x:0")
        inner, alone = make_index(store), make_index(store, digests.of_bytes(b"absent"))
        old, new = make_index(store, inner, alone), make_index(store, inner)
        give_name(store, "x:1", old, inner, alone)

        give_name(store, "x:1", new, inner)

        assert [store.blobs.has(each) for each in (old, alone, inner, new)] == [
            False, False, True, True,
        ]  # fmt: skip

    def test_one_that_is_not_here_is_no_fault(self, store, root):
        """Names from before indexes were kept can be given, moved and removed."""
        bring(store, APP, "x:0")
        absent = digests.of_bytes(b"absent")
        for target in (absent, APP.manifest, absent):
            store.name_image(APP, [NameRecord("x:1", APP.manifest, target)])

        store.remove_names(["x:0", "x:1"], [APP])

        assert list((root / "blobs/sha256").iterdir()) == []

    def test_one_that_went_meanwhile_leaves_no_name(self, store):
        """As with all other content, whoever brought it has to bring it again."""
        bring(store, APP, "x:0")

        with pytest.raises(NotFoundError, match="was removed while"):
            give_name(store, "x:1", digests.of_bytes(b"gone"))

        assert store.database.name("x:1") is None

    def test_they_are_not_discarded(self, store):
        """What a name needs is not removed, whoever says that it is not needed."""
        bring(store, APP, "x:0")
        inner = make_index(store)
        outer, stray = make_index(store, inner), make_index(store, inner, inner)
        give_name(store, "x:1", outer, inner)

        store.discard([inner, outer, stray], [])

        assert [store.blobs.has(each) for each in (inner, outer, stray)] == [True, True, False]

    def test_a_rotted_one_goes_all_the_same(self, store, root):
        """It needs not be read to be removed."""
        bring(store, APP, "x:0")
        target = make_index(store)
        give_name(store, "x:1", target)
        store.blobs.path(target).chmod(0o600)
        store.blobs.path(target).write_bytes(b"rotted")

        store.remove_names(["x:0", "x:1"], [APP])

        assert list((root / "blobs/sha256").iterdir()) == []


@pytest.mark.debian("skopeo", "umoci")
def test_other_tools_read_the_store_as_an_image_layout(store, root):
    """skopeo inspects an image by its name, and umoci lists the names."""
    tar = tars.archive(tars.file("f", "content"))
    blob, diff_id = put_layer(store, tar)
    image = put_image(store, blob, len(tars.gzipped(tar)), diff_id)
    store.name_image(
        image,
        [
            NameRecord("docker.io/library/app:1", image.manifest, image.manifest),
            NameRecord("localhost:5000/team/app:2", image.manifest, image.manifest),
        ],
    )

    for name in ("docker.io/library/app:1", "localhost:5000/team/app:2"):
        shown = json.loads(run("skopeo", "inspect", f"oci:{root}:{name}"))
        assert shown["Digest"] == str(image.manifest)
        assert shown["Layers"] == [str(blob)]
    assert run("umoci", "ls", "--layout", str(root)).split() == [
        "docker.io/library/app:1",
        "localhost:5000/team/app:2",
    ]


def run(*command):
    """What a program prints."""
    done = subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return done.stdout.decode()


def put_layer(store, tar):
    """Bring one real layer in."""
    diff_id = DiffID(digests.of_bytes(tar))
    with store.layers.ingest(diff_id) as transaction:
        transaction.write(tar)
        transaction.finish()
        transaction.commit(b"index")
    return store.blobs.put(tars.gzipped(tar)), diff_id


def put_image(store, blob, size, diff_id):
    """Bring config and manifest of an image with one layer in."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [str(diff_id)]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": oci.OCI_MANIFEST,
            "config": {
                "mediaType": oci.OCI_CONFIG,
                "digest": str(store.blobs.put(config)),
                "size": len(config),
            },
            "layers": [{"mediaType": tars.GZIP_LAYER, "digest": str(blob), "size": size}],
        }
    ).encode()
    return ImageRecord(
        manifest=store.blobs.put(manifest),
        media_type=oci.OCI_MANIFEST,
        manifest_size=len(manifest),
        config=digests.of_bytes(config),
        platform="linux/amd64",
        created="",
        size=7,
        layers=(LayerRecord(blob, diff_id),),
    )


@pytest.mark.root
@pytest.mark.parametrize("leave", [0, 4096, 64 << 10])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, leave):
    """No room left is an error of its own; the store works again when there is some."""
    with disks.small_ext4(tmp_path, 8 << 20) as place:
        root = place / "state"
        with Store(root) as store:
            bring(store, OTHER, "y:1")
            disks.fill(place, leave)
            with pytest.raises(StoreFullError):
                any(store.blobs.put(b"%d" % number * 1000) == "" for number in range(10_000))
            with pytest.raises(StoreFullError):
                bring(store, APP, *(f"x:{number}" for number in range(5000)))
            assert store.database.images() == [OTHER]
            assert index(root) == [(str(OTHER.manifest), "y:1")]
            assert list((root / "ingest").iterdir()) == []

            (place / "filler").unlink()
            bring(store, APP, "x:1")
        for blob in (root / "blobs/sha256").iterdir():
            assert digests.of_bytes(blob.read_bytes()).hex == blob.name


@pytest.mark.root
def test_no_room_for_a_new_store_is_told(tmp_path):
    """Making the directory on a full disk is an error of its own, with a hint."""
    with disks.small_ext4(tmp_path, 4 << 20) as place:
        disks.fill(place, 8192)

        with pytest.raises(StoreFullError) as raised:
            Store(place / "state")

        assert "--root" in raised.value.hint


def test_several_bring_images_in_at_a_time(store):
    """Arrivals do not wait for each other."""
    with store.arrival(), store.arrival():
        pass


def test_there_is_no_standstill_while_an_image_comes(store, root, tmp_path):
    """Another process that brings an image in is noticed, and so is its end."""

    def work():
        with Store(root) as other, other.arrival():
            (tmp_path / "flag").touch()
            until(lambda: False)

    with store.standstill() as alone:
        assert alone
    with child(work):
        until((tmp_path / "flag").exists)
        with store.standstill() as alone:
            assert not alone
    with store.standstill() as alone:
        assert alone


def test_an_image_waits_for_the_end_of_a_standstill(store, root, tmp_path):
    """Who begins to bring one in meanwhile goes on when it is over."""
    asks, over, still = (tmp_path / name for name in ("asks", "over", "still"))

    def work():
        until(still.exists)
        with Store(root) as other:
            asks.touch()
            with other.arrival():
                assert over.exists()

    with child(work) as process:  # before the lock, which it would inherit
        with store.standstill() as alone:
            assert alone
            still.touch()
            until(asks.exists)
            over.touch()
        assert process.wait() == 0
