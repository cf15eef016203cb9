"""A text names a container, an image here, or an image in a registry, in this order."""

from __future__ import annotations

import pytest
from support import tars
from support.lookers import bring, looker, make_container
from support.registry import TestRegistry

from layerkit.errors import NotFoundError, RegistryError, UsageError
from layerkit.ops.inside import LocalContainer, LocalImage
from layerkit.ops.look import split
from layerkit.ops.remote import RemoteImage


@pytest.fixture
def name():
    """The name of an image in a registry."""
    with TestRegistry() as running:
        running.add_image("app", "1", [tars.archive(tars.file("x"))])
        yield f"{running.host}/app:1"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("centos:7", ("centos:7", None)),
        ("centos:7:/etc/os-release", ("centos:7", b"/etc/os-release")),
        ("localhost:5000/app:1:/", ("localhost:5000/app:1", b"/")),
        ("try:/a:/b", ("try", b"/a:/b")),
        ("try:/caf\udce9", ("try", b"/caf\xe9")),
        ("try:/ü", ("try", "/ü".encode())),
        ("try:etc", ("try:etc", None)),
        (":/x", ("", b"/x")),
    ],
)
def test_a_path_begins_at_the_first_colon_before_a_slash(text, wanted):
    """Tags, ports and colons in paths are kept; bytes that are no text, too."""
    assert split(text) == wanted


def test_a_container_goes_before_an_image(name, state_root):
    """A name that both have means the container."""
    bring(state_root, name)
    make_container(state_root, name, "app")

    with looker(state_root) as found:
        assert isinstance(found.find("app"), LocalContainer)
        assert isinstance(found.find(name), LocalImage)
        assert isinstance(found.image(name), LocalImage)


def test_what_is_not_here_is_looked_for_in_the_registry(name, state_root):
    """Without the image in the store its registry has it."""
    notes = []

    with looker(state_root, notes) as found:
        assert isinstance(found.find(name), RemoteImage)

    assert notes == [f"note: {name} is not here: it is read from the registry"]


def test_a_thing_is_opened_once(name, state_root):
    """The same text gives the same object, with all that it has read."""
    with looker(state_root) as found:
        assert found.find(name) is found.find(name)


@pytest.mark.parametrize("text", ["0" * 64, "sha256:" + "0" * 64], ids=["id", "digest"])
def test_an_id_is_not_looked_for_elsewhere(text, state_root):
    """Registries know names; an id that is not here does not exist."""
    with looker(state_root) as found, pytest.raises(NotFoundError, match="no such image"):
        found.find(text)


def test_a_bad_name_is_a_usage_error(state_root):
    """A text that can be no name is told so."""
    with looker(state_root) as found, pytest.raises(UsageError, match="must be lower case"):
        found.find("x/Bad")


def test_an_image_that_is_nowhere_is_an_error(name, state_root):
    """The registry's refusal is the error."""
    with looker(state_root) as found, pytest.raises((NotFoundError, RegistryError)):
        found.find(name.replace("app", "other"))
