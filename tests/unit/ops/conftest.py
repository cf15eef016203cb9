"""A state directory for the use cases, and a registry with a client for those that need one."""

from __future__ import annotations

import pytest
from support.registry import LIMITS, TestRegistry

from layerkit.ops.home import Home
from layerkit.registry import Client


@pytest.fixture
def home(tmp_path):
    """A new state directory."""
    with Home(tmp_path / "state") as home:
        yield home


@pytest.fixture
def registry():
    """A registry on loopback where everybody may pull."""
    with TestRegistry() as registry:
        yield registry


@pytest.fixture
def client():
    """A client with little patience."""
    with Client(limits=LIMITS) as client:
        yield client
