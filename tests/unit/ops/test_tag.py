"""A tag is one more name for an image."""

from __future__ import annotations

import json

import pytest
from support import homes, tars

from layerkit.errors import NotFoundError, UsageError
from layerkit.ops.images import find_image, find_named, list_images
from layerkit.ops.tag import tag


@pytest.fixture
def image(home, tmp_path):
    """The image `app:1`."""
    return homes.load_layers(home, tmp_path / "layout", [tars.archive(tars.file("f"))])


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("other", "docker.io/library/other:latest"),
        ("app:2", "docker.io/library/app:2"),
        ("localhost:5000/team/app:v1", "localhost:5000/team/app:v1"),
    ],
)
def test_an_image_gets_one_more_name(home, image, target, name):
    """Found by either, listed under both, also in index.json."""
    tag(home, "app:1", target)

    assert find_named(home, target)[1].name == name
    assert find_image(home, target) == find_image(home, "app:1") == image
    index = json.loads((home.store.root / "index.json").read_text())
    assert len(index["manifests"]) == 2


def test_by_id_and_digest(home, image):
    """Whatever finds an image can be tagged; the digest stays what the registry gave."""
    tag(home, image.config.hex[:12], "one:1")
    tag(home, f"app@{image.manifest}", "two:1")

    assert {row.digest for row in list_images(home)} == {str(image.manifest)}
    assert {row.repository for row in list_images(home)} == {"app", "one", "two"}


def test_a_name_moves(home, image, tmp_path):
    """The image that had it stays, without a name."""
    other = homes.load_layers(
        home, tmp_path / "other", [tars.archive(tars.file("g"))], name="other:1"
    )

    tag(home, "app:1", "other:1")

    assert find_image(home, "other:1") == image
    assert find_image(home, other.config.hex) == other
    assert [row.id for row in list_images(home) if row.repository == "<none>"] == [other.config]


def test_again_changes_nothing(home, image):
    """The same name for the same image."""
    tag(home, "app:1", "app:1")

    assert len(list_images(home)) == 1


@pytest.mark.parametrize("target", [f"app@sha256:{'0' * 64}", f"app:1@sha256:{'0' * 64}"])
def test_a_digest_is_no_new_name(home, image, target):
    """It names an image already."""
    with pytest.raises(UsageError, match="a digest names an image already"):
        tag(home, "app:1", target)


@pytest.mark.parametrize("target", ["", "App:1", "a b", "x:", "0" * 64])
def test_a_bad_name_is_refused(home, image, target):
    """What is no name is a usage error."""
    with pytest.raises(UsageError, match="invalid image name"):
        tag(home, "app:1", target)


def test_an_image_that_is_not_here(home, image):
    """An unknown image is not found, and no name appears."""
    with pytest.raises(NotFoundError):
        tag(home, "nope", "new:1")
    assert len(list_images(home)) == 1
