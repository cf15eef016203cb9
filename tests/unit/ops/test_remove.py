"""Names go first, then images without one, then what only they had: by docker's rules."""

from __future__ import annotations

import json

import pytest
from support import homes, stores, tars
from support.homes import layered

from layerkit.errors import ConflictError, NotFoundError
from layerkit.ops import views
from layerkit.ops.containers import find_container, remove_container
from layerkit.ops.images import find_image, list_images
from layerkit.ops.load import load
from layerkit.ops.remove import remove_image
from layerkit.ops.tag import tag

BASE = tars.archive(tars.file("base", "b"))
TOP = tars.archive(tars.file("top", "t"))


@pytest.fixture
def image(home, tmp_path):
    """The image `app:1` of two layers."""
    return homes.load_layers(home, tmp_path / "layout", [BASE, TOP])


def names(home):
    """All names."""
    return [name.name.removeprefix("docker.io/library/") for name in home.store.database.names()]


def assert_empty(home):
    """Nothing of any image is left."""
    for folder in ("blobs/sha256", "layers", "trees", "ingest"):
        assert list((home.store.root / folder).iterdir()) == []
    assert json.loads((home.store.root / "index.json").read_text())["manifests"] == []
    assert list_images(home) == []


def test_the_last_name_takes_the_image_with_it(home, image):
    """Name, digest and id are told as docker tells them, and nothing stays."""
    assert remove_image(home, "app:1") == [
        "Untagged: app:1",
        f"Untagged: app@{image.manifest}",
        f"Deleted: {image.config}",
    ]
    assert_empty(home)


def test_one_of_two_names(home, image):
    """Only the name goes."""
    tag(home, "app:1", "app:2")

    assert remove_image(home, "app:1") == ["Untagged: app:1"]

    assert names(home) == ["app:2"]
    assert find_image(home, "app:2") == image


def test_by_id_with_one_name(home, image):
    """The name goes too."""
    assert remove_image(home, image.config.hex[:12])[0] == "Untagged: app:1"
    assert_empty(home)


def test_by_id_with_several_names(home, image):
    """That needs force; then all go."""
    tag(home, "app:1", "other:2")
    with pytest.raises(ConflictError, match="has 2 names") as raised:
        remove_image(home, image.config.hex)
    assert "-f" in raised.value.hint
    assert len(names(home)) == 2

    told = remove_image(home, image.config.hex, force=True)

    assert [line for line in told if "@" not in line] == [
        "Untagged: app:1",
        "Untagged: other:2",
        f"Deleted: {image.config}",
    ]
    assert_empty(home)


def test_an_image_without_a_name(home, image):
    """It goes by its id."""
    home.store.remove_names(["docker.io/library/app:1"], [])

    assert remove_image(home, image.config.hex) == [f"Deleted: {image.config}"]
    assert_empty(home)


def test_by_digest(home, image):
    """A repository with a digest is a name."""
    assert remove_image(home, f"app@{image.manifest}")[0] == "Untagged: app:1"
    assert_empty(home)


@pytest.mark.root
def test_what_others_share_stays(home, image, tmp_path):
    """Layers, views and blobs of another image are still there, and it still works."""
    other = homes.load_layers(home, tmp_path / "other", [BASE], name="other:1")
    for each in (image, other):
        layered(home, each)

    remove_image(home, "app:1")

    assert stores.faults(home.store.root) == []
    assert {path.name for path in (home.store.root / "layers").iterdir()} == {
        layer.diff_id.hex for layer in other.layers
    }
    assert {path.name for path in (home.store.root / "trees").iterdir()} == {
        chain.hex for chain in views.chains(other)
    }
    remove_image(home, "other:1")
    assert_empty(home)


@pytest.fixture
def container(home, image):
    """A container of the image."""
    return homes.create(home, image, name="box")


@pytest.mark.root
def test_an_image_with_a_container_is_in_use(home, image, container):
    """Its last name stays, and so does the id; the error says by whom."""
    for text in ("app:1", image.config.hex):
        with pytest.raises(
            ConflictError, match=f"container {container.id[:12]} was made"
        ) as raised:
            remove_image(home, text)
        assert "remove the container" in raised.value.hint
    assert names(home) == ["app:1"]


@pytest.mark.root
def test_force_takes_the_name_of_an_image_in_use(home, image, container):
    """The content stays for the container; when that is gone, the image can go."""
    assert remove_image(home, "app:1", force=True) == [
        "Untagged: app:1",
        f"Untagged: app@{image.manifest}",
    ]
    assert names(home) == []
    assert layered(home, image).lowers

    remove_container(home, find_container(home, "box"))
    assert remove_image(home, image.config.hex) == [f"Deleted: {image.config}"]
    assert_empty(home)


@pytest.mark.root
def test_another_name_of_an_image_in_use_may_go(home, image, container):
    """As long as one is left, nothing is taken from the container."""
    tag(home, "app:1", "app:2")

    assert remove_image(home, "app:1") == ["Untagged: app:1"]


def test_two_manifests_with_one_id(home, image, tmp_path):
    """By id all with this id go; by name only the one, and the id is told when the last one goes."""
    layout = tmp_path / "layout"
    index = json.loads((layout / "index.json").read_text())
    entry = index["manifests"][0]
    raw = (layout / "blobs/sha256" / entry["digest"][7:]).read_bytes() + b"\n"
    digest = tars.hashlib.sha256(raw).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(raw)
    entry.update(digest=f"sha256:{digest}", size=len(raw))
    entry["annotations"]["org.opencontainers.image.ref.name"] = "twin:1"
    (layout / "index.json").write_text(json.dumps(index))
    load(home, layout, platform=homes.AMD64)
    assert find_image(home, "twin:1").config == image.config

    with pytest.raises(ConflictError, match="2 names"):
        remove_image(home, image.config.hex)
    assert remove_image(home, "twin:1") == ["Untagged: twin:1", f"Untagged: twin@sha256:{digest}"]
    assert find_image(home, "app:1") == image
    load(home, layout, platform=homes.AMD64)
    told = remove_image(home, image.config.hex, force=True)

    assert told[-1] == f"Deleted: {image.config}"
    assert_empty(home)


def test_what_is_not_here(home, image):
    """An unknown name is not found, and nothing goes."""
    with pytest.raises(NotFoundError):
        remove_image(home, "nope")
    assert names(home) == ["app:1"]


def test_an_image_comes_back_after_its_removal(home, image, tmp_path):
    """Nothing of the removal is in the way."""
    remove_image(home, "app:1")

    load(home, tmp_path / "layout", platform=homes.AMD64)

    assert find_image(home, "app:1") == image
    assert stores.faults(home.store.root) == []
