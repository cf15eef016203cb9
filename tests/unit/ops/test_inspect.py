"""Inspect tells what is known, under docker's field names."""

from __future__ import annotations

import json
import re

import pytest
from support import homes, tars

from layerkit.errors import NotFoundError, UsageError
from layerkit.ops import containers, states
from layerkit.ops.inspect import inspect
from layerkit.ops.states import Run
from layerkit.ops.tag import tag
from layerkit.store.files import Lock

LAYERS = [tars.archive(tars.file("a", "x" * 100)), tars.archive(tars.file("b", "y"))]
RUNTIME = {"Env": ["A=b"], "Cmd": ["sh"], "Labels": {"x": "y"}, "ExposedPorts": {"80/tcp": {}}}
CREATED = "2001-09-09T01:46:40.123456789Z"


@pytest.fixture
def image(home, tmp_path):
    """The image `app:1` with all that a config can say."""
    config = {
        "created": CREATED,
        "author": "me",
        "variant": "v2",
        "config": RUNTIME,
        "history": [{"created_by": "a", "comment": "no"}, {"created_by": "b", "comment": "last"}],
    }
    tars.oci_layout(tmp_path / "layout", LAYERS, name="app:1", config=config)
    homes.load(home, tmp_path / "layout", platform=homes.AMD64)
    return home.store.database.images()[0]


def test_an_image_has_dockers_fields(home, image):
    """Names, digests, config and layers; fields of the config that layerkit does not know as well."""
    tag(home, "app:1", "localhost:5000/other:2")

    assert inspect(home, "app:1") == {
        "Id": str(image.config),
        "RepoTags": ["app:1", "localhost:5000/other:2"],
        "RepoDigests": [f"app@{image.manifest}", f"localhost:5000/other@{image.manifest}"],
        "Parent": "",
        "Comment": "last",
        "Created": CREATED,
        "Author": "me",
        "Config": RUNTIME,
        "Architecture": "amd64",
        "Variant": "v2",
        "Os": "linux",
        "Size": 101,
        "RootFS": {"Type": "layers", "Layers": [str(layer.diff_id) for layer in image.layers]},
        "Descriptor": {
            "mediaType": image.media_type,
            "digest": str(image.manifest),
            "size": image.manifest_size,
        },
    }


def test_an_image_with_little_to_say(home, tmp_path):
    """What the config leaves out is empty, not missing; no variant is no field."""
    tars.oci_layout(tmp_path / "layout", [], name="app:1", config={"config": None})
    homes.load(home, tmp_path / "layout", platform=homes.AMD64)

    shown = inspect(home, "app:1")

    assert (shown["Config"], shown["Comment"], shown["Author"], shown["Size"]) == ({}, "", "", 0)
    assert "Variant" not in shown
    assert shown["RootFS"]["Layers"] == []


@pytest.fixture
def container(home, image):
    """A container of the image."""
    return homes.create(home, image, name="box", image_name="app:1")


@pytest.mark.root
def test_a_container_has_dockers_fields(home, image, container):
    """What it was made with, where its files are, and what it does."""
    shown = inspect(home, "box")

    folder = home.store.root / "containers" / container.id
    assert (shown["Id"], shown["Name"], shown["Image"]) == (
        *(container.id, "/box"),
        str(image.config),
    )
    assert (shown["Path"], shown["Args"]) == ("sh", ["-c", "true"])
    assert shown["Config"]["Cmd"] == ["sh", "-c", "true"]
    assert (shown["Config"]["Image"], shown["Config"]["Env"]) == ("app:1", ["A=b"])
    assert (shown["State"]["Status"], shown["State"]["Pid"]) == ("created", 0)
    assert shown["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert (shown["Driver"], shown["GraphDriver"]["Name"]) == ("overlay", "overlay")
    assert shown["GraphDriver"]["Data"]["UpperDir"] == str(folder / "upper")
    assert shown["HostsPath"] == str(folder / "hosts")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}000Z", shown["Created"])
    json.dumps(shown)


@pytest.mark.root
def test_the_state_of_a_container(home, container):
    """It runs while somebody holds its lock, and has an exit code afterwards."""
    with Lock(containers.folder_of(home, container) / "lock"):
        states.write(home, container, Run(1_000_000_000.25, pid=7))
        running = inspect(home, "box")["State"]
    states.write(home, container, Run(1_000_000_000.25, 7, finished=1_000_000_001.0, exit_code=3))
    ended = inspect(home, "box")["State"]

    assert (running["Status"], running["Running"]) == ("running", True)
    assert running["StartedAt"] == "2001-09-09T01:46:40.250000000Z"
    assert (ended["Status"], ended["Running"], ended["ExitCode"]) == ("exited", False, 3)


@pytest.mark.root
@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000000Z"),
        (1.5, "1970-01-01T00:00:01.500000000Z"),
        (1.9999999, "1970-01-01T00:00:02.000000000Z"),
    ],
)
def test_times_are_rounded_as_a_whole(home, container, seconds, text):
    """A fraction that rounds up takes the second with it."""
    states.write(home, container, Run(seconds))

    assert inspect(home, "box")["State"]["StartedAt"] == text


@pytest.mark.root
def test_a_container_goes_before_an_image(home, image, container):
    """One name for both means the container, unless the kind is asked for."""
    tag(home, "app:1", "box")

    assert inspect(home, "box")["Name"] == "/box"
    assert inspect(home, "box", "image")["Id"] == str(image.config)
    assert inspect(home, container.id[:12])["Id"] == container.id


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        (None, NotFoundError, "no such object: nope"),
        ("image", NotFoundError, "no such image: nope"),
        ("container", NotFoundError, "no such container: nope"),
    ],
)
def test_what_is_not_here(home, kind, error, message):
    """The error says what was looked for."""
    with pytest.raises(error, match=message):
        inspect(home, "nope", kind)


def test_a_name_that_is_none(home):
    """As an image it is a usage error, as anything it is just not there."""
    with pytest.raises(UsageError, match="invalid image name"):
        inspect(home, "a b", "image")
    with pytest.raises(NotFoundError, match="no such object: a b"):
        inspect(home, "a b")
