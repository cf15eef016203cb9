"""Credentials, and the names of registries."""

from __future__ import annotations

import pytest

from layerkit.registry import Credentials, credentials
from layerkit.registry.credentials import Kind


@pytest.mark.parametrize("kind", Kind)
def test_a_secret_does_not_show(kind):
    """The representation of credentials, and their owner's name, have no secret in them."""
    found = Credentials("", "hunter2", kind)

    assert "hunter2" not in repr(found) + found.owner
    assert Credentials("me", "hunter2").owner == "'me'"


@pytest.mark.parametrize(
    ("registry", "key"),
    [
        ("docker.io", "https://index.docker.io/v1/"),
        ("registry-1.docker.io", "https://index.docker.io/v1/"),
        ("Quay.io", "quay.io"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_dockers_key_means_its_registry(registry, key):
    """Docker's key for a registry stands for all of that registry."""
    assert credentials.key_of(registry) == key
    assert credentials.scope_of(key) == (credentials.normal(registry), "")


def test_one_set_of_credentials_for_everything():
    """`only` gives the same to everybody, `anonymous` nothing."""
    mine = Credentials("me", "x")

    assert credentials.only(mine)("a.io", "b") is mine
    assert credentials.anonymous("a.io", "b") is None
