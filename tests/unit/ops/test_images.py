"""Images are listed and found as docker does."""

from __future__ import annotations

import pytest
from support import homes, tars

from layerkit.errors import NotFoundError, UsageError
from layerkit.ops.images import find_image, find_named, image_of, list_images
from layerkit.store.records import NameRecord

NAMES = {
    "docker.io/library/app:1": "app:1",
    "docker.io/library/app:latest": "app:latest",
    "docker.io/team/web:1.2": "team/web:1.2",
    "quay.io/team/web:1": "quay.io/team/web:1",
    "localhost:5000/app:1": "localhost:5000/app:1",
}


@pytest.fixture
def image(home, tmp_path):
    """An image with several names."""
    image = homes.load_layers(home, tmp_path / "layout", [tars.archive(tars.file("f", "text"))])
    records = [NameRecord(name, image.manifest, image.manifest) for name in NAMES]
    home.store.remove_names(["docker.io/library/app:1"], [])
    home.store.name_image(image, records)
    return image


@pytest.fixture
def other(home, tmp_path):
    """Another image, without a name."""
    image = homes.load_layers(
        home, tmp_path / "other", [tars.archive(tars.file("g", "more text"))], name="gone:1"
    )
    home.store.remove_names(["docker.io/library/gone:1"], [])
    return image


def test_each_name_is_a_row(home, image, other):
    """Names in their short form, and images without one, the newest image first."""
    rows = list_images(home)

    assert [(row.repository, row.tag, row.id) for row in rows] == [
        ("<none>", "<none>", other.config),
        ("app", "1", image.config),
        ("app", "latest", image.config),
        ("team/web", "1.2", image.config),
        ("localhost:5000/app", "1", image.config),
        ("quay.io/team/web", "1", image.config),
    ]
    assert (rows[0].digest, rows[1].digest) == ("<none>", str(image.manifest))
    assert (rows[0].size, rows[1].size) == (9, 4)


def test_a_name_with_a_digest_has_no_tag(home, image):
    """What was pulled by digest is listed with its repository alone."""
    name = f"docker.io/library/byd@{image.manifest}"
    home.store.name_image(image, [NameRecord(name, image.manifest, image.manifest)])

    (row,) = list_images(home, "byd")
    assert (row.tag, row.digest) == ("<none>", str(image.manifest))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("app", ["app:1", "app:latest"]),
        ("app:1", ["app:1"]),
        ("app:l*", ["app:latest"]),
        ("a?p", ["app:1", "app:latest"]),
        ("*", ["app:1", "app:latest"]),
        ("team/*", ["team/web:1.2"]),
        ("*/web", ["team/web:1.2"]),
        ("*/*/web", ["quay.io/team/web:1"]),
        ("quay.io/team/web", ["quay.io/team/web:1"]),
        ("localhost:5000/app", ["localhost:5000/app:1"]),
        ("localhost:5000/app:1", ["localhost:5000/app:1"]),
        ("localhost:5000/*:*", ["localhost:5000/app:1"]),
        ("nope", []),
        ("app:", []),
        ("APP", []),
    ],
)
def test_a_pattern_chooses_rows(home, image, other, pattern, found):
    """REPOSITORY[:TAG], each component with shell patterns of its own."""
    rows = list_images(home, pattern)

    assert [f"{row.repository}:{row.tag}" for row in rows] == found


def test_no_images(home):
    """An empty store lists nothing."""
    assert list_images(home) == []


@pytest.mark.parametrize(
    "text",
    [
        "app:1", "app", "library/app", "docker.io/library/app:1", "index.docker.io/app:1",
        "team/web:1.2", "quay.io/team/web:1", "localhost:5000/app:1",
    ],
)  # fmt: skip
def test_an_image_is_found_by_name(home, image, other, text):
    """Short and full names, with the tag that is meant when there is none."""
    found, name = find_named(home, text)

    assert found == image
    assert name is not None


def test_an_image_is_found_by_its_id(home, image, other):
    """The whole id, its beginning, and both with the algorithm in front."""
    for length in (64, 12, 6):
        for text in (image.config.hex[:length], f"sha256:{image.config.hex[:length]}"):
            assert find_named(home, text) == (image, None)


def test_an_image_is_found_by_its_manifest(home, image):
    """A repository with the digest that the registry gave finds any name of it there."""
    assert find_image(home, f"app@{image.manifest}") == image
    assert find_image(home, f"app:other@{image.manifest}") == image
    for text in (f"nope@{image.manifest}", f"app@sha256:{'0' * 64}", f"ap@{image.manifest}"):
        with pytest.raises(NotFoundError):
            find_image(home, text)


def test_a_name_goes_before_an_id(home, image, other):
    """What is a name is never read as the beginning of an id."""
    name = other.config.hex[:6]
    full = f"docker.io/library/{name}:latest"
    home.store.name_image(image, [NameRecord(full, image.manifest, image.manifest)])

    assert find_image(home, name) == image


def test_an_ambiguous_id_is_refused(home, tmp_path):
    """The beginning of several ids says how many; a digit more finds one."""
    images = [
        homes.load_layers(home, tmp_path / f"{number}", [tars.archive(tars.file(f"{number}"))])
        for number in range(17)
    ]
    by_first = {}
    for image in images:
        by_first.setdefault(image.config.hex[0], []).append(image)
    digit, several = next((digit, found) for digit, found in by_first.items() if len(found) > 1)

    with pytest.raises(UsageError, match=rf"ambiguous: it begins {len(several)} ids"):
        find_image(home, f"sha256:{digit}")
    assert find_image(home, several[0].config.hex) == several[0]


@pytest.mark.parametrize("text", ["nope", "app:2", "0000000", "sha256:0000000", "f" * 64])
def test_what_is_not_here_is_not_found(home, image, text):
    """The error names it, and says how to get it."""
    with pytest.raises(NotFoundError, match=text) as raised:
        find_image(home, text)

    assert "pull" in raised.value.hint


@pytest.mark.parametrize("text", ["", "App", "a b", "../x", "x:", "x@sha256:0"])
def test_what_is_no_name_is_a_usage_error(home, text):
    """Neither a name nor an id."""
    with pytest.raises(UsageError, match="invalid image name"):
        find_image(home, text)


def test_an_image_that_the_store_lost(home, image):
    """A manifest nobody knows is not found."""
    assert image_of(home, image.manifest) == image
    with pytest.raises(NotFoundError):
        image_of(home, image.config)
